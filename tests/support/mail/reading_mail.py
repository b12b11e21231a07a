"""Parsing of mails by independent programs: two MIME parsers, and a strict HTML parser."""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import fast_mail_parser
import html5lib

from service.papers.domain.latex import symbols

_XHTML = "{http://www.w3.org/1999/xhtml}"
# A raw macro whose plain form we know; a macro nobody knows stays as its author wrote it.
_MACRO = re.compile(
    r"\\(?:"
    + "|".join(sorted({*symbols.STYLES, *symbols.GREEK, *symbols.CITATIONS}, key=len))
    + r")(?![A-Za-z])"
)


@dataclass(frozen=True, slots=True)
class ReadMail:
    """The result on which both parsers agree; texts with newlines."""

    message: EmailMessage
    subject: str
    html: str
    text: str


def read_twice(payload: bytes) -> ReadMail:
    """Parse the mail with Python's parser and with one in Rust; fail where they differ."""
    message = message_from_bytes(payload, policy=policy.default)
    assert isinstance(message, EmailMessage)
    other = fast_mail_parser.parse_email(payload)
    assert message.defects == []
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    texts = {}
    for name, theirs in (("plain", other.text_plain), ("html", other.text_html)):
        part = message.get_body((name,))
        assert part is not None
        assert part.defects == []
        body = part.get_payload(decode=True)
        assert isinstance(body, bytes)
        assert len(theirs) == 1
        # The end of a part's last line may count to the boundary.
        assert body.decode().rstrip("\r\n") == theirs[0].rstrip("\r\n")
        texts[name] = body.decode().replace("\r\n", "\n")
    plain = message.get_body(("plain",))
    assert plain is not None
    parameters = dict(plain["Content-Type"].params)
    assert (parameters["format"], parameters["delsp"]) == ("flowed", "no")
    subject = str(message["Subject"])
    assert subject == other.subject
    return ReadMail(message, subject, texts["html"], texts["plain"])


def unflow(text: str) -> str:
    """Return a text as a program with RFC 3676 shows it: lines joined, stuffing removed."""
    lines: list[str] = []
    goes_on = False
    for raw in text.splitlines():
        assert not raw.startswith(">"), "a quote that nobody wrote"
        line = raw.removeprefix(" ")
        if goes_on:
            assert line, "a paragraph that goes on with nothing"
            lines[-1] += line
        else:
            lines.append(line)
        goes_on = line.endswith(" ") and line != "-- "
    assert not goes_on, "a paragraph that never ends"
    return "\n".join(lines) + "\n"


def parse_strictly(html: str) -> Element:
    """Return the HTML as a tree; raise where its syntax is invalid by the HTML standard."""
    root: Element = html5lib.HTMLParser(strict=True).parse(html)
    return root


def addresses(root: Element) -> list[str]:
    """Return every address that a reader could open or a program would fetch."""
    found = [one.get(name) for one in root.iter() for name in ("href", "src", "background")]
    return [address for address in found if address is not None]


def shown_text(root: Element) -> str:
    """Return the words that a reader sees or hears, separated by single spaces."""
    body = root.find(f"{_XHTML}body")
    assert body is not None
    return " ".join("".join(body.itertext()).split())


def tags(root: Element) -> list[str]:
    names = (one.tag for one in root.iter() if isinstance(one.tag, str))
    return [name.removeprefix(_XHTML) for name in names]


def foreign_addresses(found: list[str], own_host: str, known: frozenset[str]) -> list[str]:
    """Return addresses that lead neither into the mail itself, nor to us by a signed or public path,
    nor to a known host.
    """
    return [address for address in found if not _is_known(address, own_host, known)]


def _is_known(address: str, own_host: str, known: frozenset[str]) -> bool:
    if re.fullmatch(r"#p\d+", address):
        return True
    parts = urlsplit(address)
    if parts.hostname == own_host:
        return bool(_SIGNED.match(parts.path) or _PUBLIC.fullmatch(parts.path))
    return parts.scheme in {"http", "https"} and parts.hostname in known


# A token has a payload and a signature of 32 bytes in base64.
_SIGNED = re.compile(
    r"/(?:preferences|unsubscribe|editions|change|confirm|never|address)/[\w-]+\.[\w-]{43}(?:/undo)?\Z"
)
_PUBLIC = re.compile(r"/|/admin|/status|/privacy|/papers/[\w:./-]+")


def raw_macros(text: str) -> list[str]:
    """Return TeX macros that should have become plain text."""
    return _MACRO.findall(text)
