"""The message around a mail: RFC 5322 headers, RFC 8058 unsubscribe, two parts, exact bytes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, quote, unquote
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

import idna

from service.domain.keyed_hash import keyed_hash
from service.domain.types import DeliveryKind
from service.mail.errors import HeaderError
from service.mail.render import RenderedMail

LIST_KINDS = frozenset({DeliveryKind.DIGEST, DeliveryKind.CATCH_UP, DeliveryKind.WELCOME})

# Amazon SES refuses a From or To of more than 320 characters; only the name can go.
_LONGEST_ADDRESS_FIELD = 320
_LONGEST_LINE = 998
_LINE = 76
_CONTROL = re.compile("[\x00-\x1f\x7f]")
# RFC 5322 `dot-atom`, the only form of a local part that mail programs agree on.
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
# The same where the relay takes UTF-8 (RFC 6531 §3.3); surrogates are no letters.
_UTF8_LOCAL_PART = re.compile(
    _LOCAL_PART.pattern.replace("~-]", "~\\u00a1-\\ud7ff\\ue000-\\U0010ffff-]")
)
_HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
# RFC 2047 §5 (3): what a "Q" word may hold in any header; 76 columns with "Subject: =?utf-8?q??=".
_Q_OCTETS = tuple(
    chr(octet) if chr(octet).isascii() and chr(octet).isalnum() else f"={octet:02X}"
    for octet in range(256)
)
_Q_OCTETS = (*_Q_OCTETS[:32], "_", *_Q_OCTETS[33:])
_LONGEST_WORD = 55
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHeaders:
    """What the header block says beside the subject.

    `sender` and `reply_to` may have a name (`Paperboy <digest@example.org>`); `to` is an address.
    `message_id` is in angle brackets (see `message_id`), `date` is aware. `list_id` is
    `Name <id.example.org>` or empty. `unsubscribe_url` becomes the one-click header where RFC
    8058 allows it: in digests and welcomes, with https or a loopback host. `is_for_postmark`: the
    relay is Postmark, which takes its orders from headers and removes them.
    """

    sender: str
    to: str
    message_id: str
    date: datetime
    kind: DeliveryKind
    reply_to: str = ""
    list_id: str = ""
    unsubscribe_url: str | None = None
    unsubscribe_mailto: str | None = None
    is_for_postmark: bool = False


def build_message(rendered: RenderedMail, headers: MessageHeaders) -> bytes:
    """The mail as the bytes for DATA: CRLF, lines of at most 998, the same input the same bytes.

    Raises `HeaderError`, without the value, where a header would break out of its line or an
    address is none. A local part outside ASCII stands in To as it is, in UTF-8 (RFC 6532 §3.2);
    only a relay with SMTPUTF8 takes such a message.
    """
    fields = [*_fields(rendered.subject, headers), ("MIME-Version", "1.0")]
    # "=_" cannot occur in quoted-printable or base64, so no text can end its own part.
    boundary = f"=_{hashlib.sha256(headers.message_id.encode()).hexdigest()[:32]}"
    fields.append(("Content-Type", f'multipart/alternative;\r\n boundary="{boundary}"'))
    lines = [f"{name}: {value}".encode() for name, value in fields]
    _check_lines(lines)
    parts = [
        *_part(boundary, _PLAIN, rendered.text_part.wire),
        *_part(boundary, _HTML, rendered.html_part.wire),
    ]
    return b"\r\n".join([*lines, b"", *parts, f"--{boundary}--".encode(), b""])


# RFC 3676: `plain.wrap` marks the lines that go on, and `delsp=no` keeps the spaces at their ends.
_PLAIN = b'Content-Type: text/plain; charset="utf-8"; format=flowed; delsp=no'
_HTML = b'Content-Type: text/html; charset="utf-8"'


def _part(boundary: str, content_type: bytes, wire: bytes) -> list[bytes]:
    return [
        f"--{boundary}".encode(),
        content_type,
        b"Content-Transfer-Encoding: quoted-printable",
        b"",
        wire,
    ]


def _fields(subject: str, headers: MessageHeaders) -> list[tuple[str, str]]:
    if headers.date.tzinfo is None:
        raise HeaderError("the Date header needs an aware time")
    if not _MESSAGE_ID.fullmatch(headers.message_id):
        raise HeaderError("the Message-ID is not <left@right>")
    fields = [
        ("From", _mailbox("From", headers.sender)),
        ("To", _mailbox("To", headers.to)),
        ("Subject", _words("Subject", subject)),
        ("Date", _date(headers.date)),
        ("Message-ID", headers.message_id),
    ]
    if headers.reply_to:
        fields.append(("Reply-To", _mailbox("Reply-To", headers.reply_to)))
    if headers.list_id:
        fields.append(("List-Id", _list_id(headers.list_id)))
        fields.append(("List-Post", "NO"))
    if headers.kind in LIST_KINDS:
        fields += _unsubscribe_fields(headers)
    if headers.kind not in {DeliveryKind.DIGEST, DeliveryKind.CATCH_UP}:
        fields.append(("Auto-Submitted", "auto-generated"))
    fields.append(("X-Auto-Response-Suppress", "All"))
    if headers.is_for_postmark:
        # Else it gives the mail an identity of its own, and its webhooks could name none of ours.
        fields += [("X-PM-KeepID", "true"), ("X-PM-Metadata-message-id", headers.message_id)]
    return fields


def _unsubscribe_fields(headers: MessageHeaders) -> list[tuple[str, str]]:
    """RFC 8058: exactly one https address, and Post only together with it."""
    url = headers.unsubscribe_url or ""
    is_one_click = bool(url) and _is_one_click(url)
    targets = [url] if is_one_click else []
    if headers.unsubscribe_mailto:
        mailto = headers.unsubscribe_mailto
        targets.append(mailto if mailto.startswith("mailto:") else f"mailto:{mailto}")
    for target in targets:
        if not target.isascii() or _CONTROL.search(target) or set(target) & set(" <>,"):
            raise HeaderError("the unsubscribe address has a character that no header may hold")
    fields = []
    if targets:
        said = ",\r\n ".join(f"<{target}>" for target in targets)
        fields.append(("List-Unsubscribe", said))
    if is_one_click:
        fields.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    return fields


def _is_one_click(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise HeaderError("the unsubscribe address is not a URL") from error
    if parts.scheme == "https":
        return bool(host)
    return parts.scheme == "http" and _is_loopback(host)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def message_id(kind: DeliveryKind, delivery_id: int, secret: bytes, domain: str) -> str:
    """`<digest.123.4f0c…@example.org>`: the same for the same delivery, forged by nobody else.

    A bounce or complaint that quotes it names its delivery, and the 20 hexadecimal digits of the
    HMAC-SHA256 prove that the mail was ours.
    """
    name = f"{kind}.{delivery_id}"
    proof = keyed_hash(secret)(f"message-id:{name}".encode()).hex()[:20]
    return f"<{name}.{proof}@{_ascii_host('Message-ID', domain)}>"


def ascii_address(address: str, field: str = "To") -> str:
    """`x@münchen.de` as `x@xn--mnchen-3ya.de`, for relays without SMTPUTF8.

    Raises `HeaderError` where the part before the @ is not plain ASCII: nothing can encode that.
    """
    local, _, host = address.rpartition("@")
    if not _LOCAL_PART.fullmatch(local):
        raise HeaderError(f"the {field} address has no plain ASCII part before the @")
    return f"{local}@{_ascii_host(field, host)}"


def wire_address(address: str) -> str:
    """The reader's address for RCPT and To: its domain in ASCII, its local part as it is.

    Raises `HeaderError` for what is no address.
    """
    local, _, host = address.rpartition("@")
    if local.isascii():
        return ascii_address(address)
    if not (_UTF8_LOCAL_PART.fullmatch(local) and local.isprintable()):
        raise HeaderError("the To address has no usable part before the @")
    return f"{local}@{_ascii_host('To', host)}"


def _ascii_host(field: str, host: str) -> str:
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise HeaderError(f"the {field} domain is not a domain name") from error
    if not _HOST.fullmatch(host):
        raise HeaderError(f"the {field} domain is not a domain name")
    return host


# A window of messages goes out in the same second.
_date = lru_cache(maxsize=64)(format_datetime)


@lru_cache(maxsize=1_024)
def _mailbox(field: str, value: str) -> str:
    # The standard parsers repair what they read ("a@b c" becomes an address); here a repaired
    # address would be somebody else's.
    name, address = _split(field, value)
    address = wire_address(address) if field == "To" else ascii_address(address, field)
    if not name or len(value) > _LONGEST_ADDRESS_FIELD:
        return address
    return f"{_phrase(field, name)} <{address}>"


@lru_cache(maxsize=16)
def _list_id(value: str) -> str:
    """RFC 2919: a name and, in angle brackets, something that looks like a host."""
    if not value.endswith(">"):
        raise HeaderError("the List-Id is not `Name <id.example.org>`")
    name, host = _split("List-Id", value)
    host = _ascii_host("List-Id", host)
    return f"{_phrase('List-Id', name)} <{host}>" if name else f"<{host}>"


def _split(field: str, value: str) -> tuple[str, str]:
    """`Name <address>` as its two halves; without brackets all of it is the address."""
    _refuse_controls(field, value)
    name, bracket, rest = value.strip().rpartition("<")
    if not bracket:
        return "", value.strip()
    return unquote(name.strip()), rest.removesuffix(">")


def _phrase(field: str, name: str) -> str:
    """A display name: as it is, in quotes, or as encoded words (RFC 5322, RFC 2047)."""
    if not name.isascii() or "=?" in name:
        return Header(name, "utf-8", maxlinelen=_LINE, header_name=field).encode(linesep="\r\n")
    return name if _ATOMS.fullmatch(name) else f'"{quote(name)}"'


@lru_cache(maxsize=4_096)
def _words(field: str, text: str) -> str:
    """Free text as a header: folded at spaces, or as encoded words where it is not ASCII."""
    _refuse_controls(field, text)
    # A text that looks like an encoded word would be decoded by the reader's program.
    if text.isascii() and "=?" not in text:
        return Header(text, "us-ascii", maxlinelen=_LINE, header_name=field).encode(linesep="\r\n")
    return "\r\n ".join(f"=?utf-8?q?{word}?=" for word in _q_words(text))


def _q_words(text: str) -> list[str]:
    """`text` in "Q" encoding, cut between letters into words that fit on a line each."""
    words = [""]
    for letter in text:
        said = "".join(_Q_OCTETS[octet] for octet in letter.encode())
        if len(words[-1]) + len(said) > _LONGEST_WORD:
            words.append("")
        words[-1] += said
    return words


def _refuse_controls(field: str, value: str) -> None:
    if _CONTROL.search(value):
        raise HeaderError(f"the {field} header has a control character")


def _check_lines(lines: list[bytes]) -> None:
    for line in lines:
        if any(len(piece) > _LONGEST_LINE for piece in line.split(b"\r\n")):
            name = line.partition(b":")[0].decode()
            raise HeaderError(f"the {name} header has a line of more than {_LONGEST_LINE} bytes")
