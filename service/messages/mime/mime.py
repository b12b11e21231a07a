"""The MIME message as exact bytes: RFC 5322 headers, RFC 8058 unsubscribe, two parts."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime, quote, unquote
from urllib.parse import urlsplit

from service.deliveries.domain.states import DeliveryKind
from service.messages.domain.errors import HeaderError
from service.messages.mime.addresses import ascii_address, ascii_host, is_ordinary, wire_address
from service.messages.rendering.renderer import RenderedMail
from service.platform.caches import cached
from service.platform.settings.kinds import is_loopback
from service.platform.signing.keyed_hash import keyed_hash

LIST_KINDS = frozenset({DeliveryKind.DIGEST, DeliveryKind.CATCH_UP, DeliveryKind.WELCOME})

# Amazon SES refuses a From or To of more than 320 characters; then the name is left out.
_LONGEST_ADDRESS_FIELD = 320
_LONGEST_LINE = 998
_LINE = 76
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")
# Matches our own links, so that they need not be parsed: scheme, host in lower case.
_ORDINARY_URL = re.compile(
    r"(https?)://([a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::\d{1,5})?/[A-Za-z0-9._~/%?#&=+:-]*"
)
# Non-ASCII, control characters, and those that would end a List-Unsubscribe target: ` `, `<>,`.
_NOT_IN_TARGET = re.compile(r"[^!-+\--;=?-~]")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageHeaders:
    """The values of the header block, except the subject.

    `sender` and `reply_to` may have a name (`Paperboy <digest@example.org>`); `to` is an address.
    `message_id` is in angle brackets (see `message_id`), `date` is aware. `list_id` is
    `Name <id.example.org>` or empty. `unsubscribe_url` becomes the one-click header where RFC
    8058 allows it: in digests and welcomes, with https or a loopback host; `unsubscribe_address`,
    if not empty, becomes a mailto: beside it. `feedback_id`: see `service.messages.build`.
    `is_for_postmark`: the relay is Postmark, which reads instructions from headers and removes them.
    """

    sender: str
    to: str
    message_id: str
    date: datetime
    kind: DeliveryKind
    reply_to: str = ""
    list_id: str = ""
    unsubscribe_url: str | None = None
    unsubscribe_address: str = ""
    feedback_id: str = ""
    is_for_postmark: bool = False


def build_message(rendered: RenderedMail, headers: MessageHeaders) -> bytes:
    """Return the bytes for DATA: CRLF, lines of at most 998 bytes; deterministic.

    Raises `HeaderError`, without the value, for a control character in a header or an invalid
    address. A non-ASCII local part is written to To as it is, in UTF-8 (RFC 6532 §3.2); only a
    relay with SMTPUTF8 accepts such a message.
    """
    # "=_" cannot occur in quoted-printable or base64, so no text can contain the boundary.
    boundary = f"=_{hashlib.sha256(headers.message_id.encode()).hexdigest()[:32]}"
    head = _head(rendered.subject, headers, boundary).encode()
    _check_lines(head)
    mark = f"\r\n--{boundary}".encode()
    text, html = rendered.text_part.wire, rendered.html_part.wire
    return b"".join((head, mark, _PLAIN, text, mark, _HTML, html, mark, b"--\r\n"))


_ENCODED = b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
# RFC 3676: `text_part.wrap` ends flowed lines with a space, which `delsp=no` keeps.
_PLAIN = b'\r\nContent-Type: text/plain; charset="utf-8"; format=flowed; delsp=no' + _ENCODED
_HTML = b'\r\nContent-Type: text/html; charset="utf-8"' + _ENCODED


def _head(subject: str, headers: MessageHeaders, boundary: str) -> str:
    """Return the header block, each line with CRLF."""
    if headers.date.tzinfo is None:
        raise HeaderError("the Date header needs an aware time")
    identity = headers.message_id
    if not _MESSAGE_ID.fullmatch(identity):
        raise HeaderError("the Message-ID is not <left@right>")
    to = headers.to if is_ordinary(headers.to) else _mailbox("To", headers.to)
    # Otherwise Postmark replaces the Message-ID, and its webhooks could not name our delivery.
    postmark = f"X-PM-KeepID: true\r\nX-PM-Metadata-message-id: {identity}\r\n"
    return (
        f"From: {_mailbox('From', headers.sender)}\r\n"
        f"To: {to}\r\n"
        f"Subject: {_words('Subject', subject)}\r\n"
        f"Date: {_date(headers.date.replace(microsecond=0))}\r\n"
        f"Message-ID: {identity}\r\n"
        f"{_about_list(headers.reply_to, headers.list_id)}"
        f"{_unsubscribing(headers) if headers.kind in LIST_KINDS else ''}"
        f"{_feedback(headers.feedback_id)}"
        f"{'' if headers.kind in _NO_ANSWERS else _ANSWERED}"
        "X-Auto-Response-Suppress: All\r\n"
        f"{postmark if headers.is_for_postmark else ''}"
        "MIME-Version: 1.0\r\n"
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n'
    )


_NO_ANSWERS = frozenset({DeliveryKind.DIGEST, DeliveryKind.CATCH_UP})
_ANSWERED = "Auto-Submitted: auto-generated\r\n"


@cached("list headers", maxsize=16)
def _about_list(reply_to: str, list_id: str) -> str:
    """Return the headers that all mails of an installation share: Reply-To, List-Id, List-Post."""
    lines = f"Reply-To: {_mailbox('Reply-To', reply_to)}\r\n" if reply_to else ""
    return f"{lines}List-Id: {_list_id(list_id)}\r\nList-Post: NO\r\n" if list_id else lines


def _unsubscribing(headers: MessageHeaders) -> str:
    """RFC 8058: one https address, Post only together with it; a mailto may stand beside or alone."""
    url, address = headers.unsubscribe_url, headers.unsubscribe_address
    mailto = f"<mailto:{address}?subject=unsubscribe>" if address else ""
    if not url or not _is_one_click(url):
        return f"List-Unsubscribe: {mailto}\r\n" if mailto else ""
    if _NOT_IN_TARGET.search(url):
        raise HeaderError("the unsubscribe address has a character that no header may hold")
    second = f",\r\n {mailto}" if mailto else ""
    post = "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
    return f"List-Unsubscribe: <{url}>{second}\r\n{post}\r\n"


def _feedback(feedback_id: str) -> str:
    return f"Feedback-ID: {feedback_id}\r\n" if feedback_id else ""


def _is_one_click(url: str) -> bool:
    ordinary = _ORDINARY_URL.fullmatch(url)
    if ordinary:
        return ordinary[1] == "https" or is_loopback(ordinary[2])
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise HeaderError("the unsubscribe address is not a URL") from error
    if parts.scheme == "https":
        return bool(host)
    return parts.scheme == "http" and is_loopback(host)


def message_id(kind: DeliveryKind, delivery_id: int, secret: bytes, domain: str) -> str:
    """Return `<digest.123.4f0c…@example.org>`: deterministic for a delivery, and unforgeable.

    A bounce or complaint that quotes it identifies its delivery; the 20 hexadecimal digits of an
    HMAC-SHA256 prove that the mail was ours.
    """
    name = f"{kind}.{delivery_id}"
    signature = keyed_hash(secret)(f"message-id:{name}".encode()).hex()[:20]
    return f"<{name}.{signature}@{_own_host(domain)}>"


@cached("Message-ID hosts", maxsize=16)
def _own_host(domain: str) -> str:
    return ascii_host("Message-ID", domain)


# The messages of one window have the same date, to the second.
_date = cached("header dates", maxsize=64)(format_datetime)


@cached("header mailboxes", maxsize=1_024)
def _mailbox(field: str, value: str) -> str:
    # The standard parsers repair invalid input ("a@b c" becomes an address); a repaired address
    # could belong to a different person.
    name, address = _split(field, value)
    address = wire_address(address) if field == "To" else ascii_address(address, field)
    if not name or len(value) > _LONGEST_ADDRESS_FIELD:
        return address
    return f"{_phrase(field, name)} <{address}>"


@cached("List-ID headers", maxsize=16)
def _list_id(value: str) -> str:
    """Return a List-Id (RFC 2919): a name and, in angle brackets, a host-like identifier."""
    if not value.endswith(">"):
        raise HeaderError("the List-Id is not `Name <id.example.org>`")
    name, host = _split("List-Id", value)
    host = ascii_host("List-Id", host)
    return f"{_phrase('List-Id', name)} <{host}>" if name else f"<{host}>"


def _split(field: str, value: str) -> tuple[str, str]:
    """Split `Name <address>`; without brackets the whole value is the address."""
    _refuse_controls(field, value)
    name, bracket, rest = value.strip().rpartition("<")
    if not bracket:
        return "", value.strip()
    return unquote(name.strip()), rest.removesuffix(">")


def _phrase(field: str, name: str) -> str:
    """Return a display name: unchanged, in quotes, or as encoded words (RFC 5322, RFC 2047)."""
    if not name.isascii() or "=?" in name:
        return Header(name, "utf-8", maxlinelen=_LINE, header_name=field).encode(linesep="\r\n")
    return name if _ATOMS.fullmatch(name) else f'"{quote(name)}"'


@cached("header words", maxsize=1_024)
def _words(field: str, text: str) -> str:
    """Return free text as a header value: folded at spaces, or as encoded words if not ASCII."""
    _refuse_controls(field, text)
    # Mail programs would decode text that looks like an encoded word.
    if text.isascii() and "=?" not in text:
        return Header(text, "us-ascii", maxlinelen=_LINE, header_name=field).encode(linesep="\r\n")
    return encode_words(text)


def _refuse_controls(field: str, value: str) -> None:
    if _CONTROL.search(value):
        raise HeaderError(f"the {field} header has a control character")


def _check_lines(head: bytes) -> None:
    lines = head.split(b"\r\n")
    if max(map(len, lines)) <= _LONGEST_LINE:
        return
    at = next(at for at, line in enumerate(lines) if len(line) > _LONGEST_LINE)
    while lines[at].startswith(b" "):
        at -= 1
    name = lines[at].partition(b":")[0].decode()
    raise HeaderError(f"the {name} header has a line of more than {_LONGEST_LINE} bytes")


# RFC 2047 §5 (3): characters of a "Q" word in any header; 76 columns with "Subject: =?utf-8?q??=".
_OCTETS = tuple(
    chr(octet) if chr(octet).isascii() and chr(octet).isalnum() else f"={octet:02X}"
    for octet in range(256)
)
_OCTETS = (*_OCTETS[:32], "_", *_OCTETS[33:])
_LONGEST = 55


def encode_words(text: str) -> str:
    """Return `text` as folded encoded words, each of which fits on a line."""
    encoded = "".join(map(_OCTETS.__getitem__, text.encode()))
    words: list[str] = []
    at = 0
    while at < len(encoded) or not words:
        end = _last_cut(encoded, at + _LONGEST)
        words.append(f"=?utf-8?q?{encoded[at:end]}?=")
        at = end
    return "\r\n ".join(words)


def _last_cut(encoded: str, at: int) -> int:
    """Return the last position up to `at` that is between two characters (RFC 2047 §5)."""
    if at >= len(encoded):
        return len(encoded)
    at -= 1 if encoded[at - 1] == "=" else 2 if encoded[at - 2] == "=" else 0
    # In UTF-8, continuation bytes begin with the bits 10.
    while encoded[at] == "=" and encoded[at + 1] in "89AB":
        at -= 3
    return at


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message for one recipient. `number` is the delivery's id.

    `is_wire` promises that the payload has CRLF line ends, at its end too, and no line that begins
    with a dot: checking this would cost as much as sending the message.
    """

    number: int
    sender: str
    recipient: str
    payload: bytes
    is_wire: bool = False
