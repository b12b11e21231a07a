"""Split a bounce mail into its headers, its text, its status blocks and the mail it returns.

The input is untrusted, so sizes are bounded before anything is parsed: the standard library's
parser recurses once per nested part.
"""

import codecs
from dataclasses import dataclass
from email import message_from_bytes, message_from_string
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from html import unescape
from typing import Any

from service.messages.domain.errors import MailError
from service.platform import linear_regex
from service.platform.linear_regex import LinearPattern

# A digest is under 200 kB, and a server that returns all of it adds a few kilobytes.
MOST_BYTES = 5_000_000
# A returned mail has a handful of parts, each of which is announced by one of these words.
MOST_PARTS = 120
MOST_LETTER = 40_000
# For heuristics that match every line of a message against many patterns.
MOST_LINES = 3_000
MOST_SAMPLE = 250_000
# A mail of ours has one recipient; lists and aliases behind it may have more.
MOST_RECIPIENTS = 100
MOST_HEADER = 4_000

# Python's own codecs, which no mail uses; some of them warn or fail on ordinary bytes.
_NO_CHARSETS = frozenset({"unicode_escape", "raw_unicode_escape", "punycode", "idna", "undefined"})

_PART_WORDS = linear_regex.compile(rb"multipart\s*/|message\s*/", "i")
_BLOCK = linear_regex.compile(r"(?im)^(?:final|original)-recipient:")
# Where a text without MIME parts begins to return the mail: its headers, or a line that says so.
_RETURNED = linear_regex.compile(
    r"(?im)^[ \t>]*(?:received:[ \t]+(?:from|by|\(|$)|return-path:|x-original-to:|delivered-to:"
    r"|dkim-signature:|mime-version:[ \t]*1)|^[>]*message-id:[ \t]*<"
)
_SAYS_COPY = linear_regex.compile(
    r"(?im)^[ \t]*[-_=*#|>]*[ \t]*(?:below this line|this is a copy of|the following is a copy"
    r"|(?:a )?copy of (?:your|the) (?:message|mail|letter)|original[ _](?:message|mail|header)"
    r"|(?:message|mail|returned) headers?|the (?:header|text|body) of the (?:original|message)"
    r"|unsent message|returned message|your (?:original )?message (?:follows|(?:is|reads|was)(?: (?:below|attached|included|as follows))?[ \t]*[:.]?[ \t]*$)"
    r"|returned (?:mail|content)|message text follows|message (?:body|header) follows"
    r"|start of returned message|undelivered message).*$"
)
_SUBJECT = linear_regex.compile(
    r"(?im)^[ \t>]*(?:subject|betreff|objet|asunto|sujet|件名)[ \t]*:.*$"
)
# What no person sees, by beginning and end. A pattern for both would be searched for again and again.
_HIDDEN = (
    (
        linear_regex.compile(r"(?i)<(?:style|script|head)\b"),
        linear_regex.compile(r"(?i)</(?:style|script|head)>"),
    ),
    (linear_regex.compile("<!--"), linear_regex.compile("-->")),
)
_LINE_TAG = linear_regex.compile(r"(?i)<br[^<>]*>|</(?:p|div|tr|td|li|h\d)>")
_ANY_TAG = linear_regex.compile("<[^<>]+>")
_ADDRESS_IN_TAG = linear_regex.compile(r"<[\w.+=-]+@")
_QUOTE_MARK = linear_regex.compile(r"(?m)^>[ \t]?")
_BLANK_LINE = linear_regex.compile(r"\n[ \t]*\n")


class NotReadable(MailError):
    """The message is too large or has too many parts; nothing of it was parsed."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a bounce mail.

    `letter` is its human-readable text, `blocks` are the per-recipient fields of its delivery
    status (RFC 3464 §2.3), `feedback` the fields of a complaint (RFC 5965 §3.1), `returned` the
    headers of the mail it is about, if included. `sample` is the message cut to its first lines
    and bytes.
    """

    headers: Message
    sample: Message
    letter: str
    blocks: tuple[Message, ...]
    feedback: Message | None
    returned: Message | None


def split_message(raw: bytes) -> Parts:
    """Return the parts of a message with any line ends. Raises `NotReadable`, and nothing else."""
    if len(raw) > MOST_BYTES:
        raise NotReadable(f"the message is larger than {MOST_BYTES} bytes")
    if sum(1 for _ in _PART_WORDS.finditer(raw)) > MOST_PARTS:
        raise NotReadable(f"the message has more than {MOST_PARTS} parts")
    # Some archives and servers end lines with a bare CR.
    normalized = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    message = message_from_bytes(normalized)
    leaves = _outer_parts(message)
    blocks = [block for part in leaves for block in _status_blocks(part)]
    forwarded = None if blocks else next(filter(None, map(_forwarded_report, leaves)), None)
    if forwarded is not None:
        leaves = _outer_parts(forwarded)
        blocks = [block for part in leaves for block in _status_blocks(part)]
    whole = _strip_quotes(_find_letter(leaves))
    letter, returned = _cut_letter(whole)
    enclosed = next(filter(None, map(_enclosed, leaves)), None)
    return Parts(
        headers=message,
        sample=_cut_sample(normalized, message),
        letter=letter,
        blocks=(tuple(blocks) or _blocks_of_letter(whole))[:MOST_RECIPIENTS],
        feedback=next(filter(None, map(_feedback, leaves)), None),
        returned=enclosed or returned,
    )


def _cut_sample(raw: bytes, message: Message) -> Message:
    """Return a message parsed from its first lines; itself where it has no more."""
    first = b"\n".join(raw[:MOST_SAMPLE].split(b"\n", MOST_LINES)[:MOST_LINES])
    return message if len(first) == len(raw) else message_from_bytes(first)


def header_text(message: Message | None, name: str) -> str:
    """Return a header, decoded and on one line; empty where it is missing."""
    value = message.get(name) if message is not None else None
    if value is None:
        return ""
    text = str(value)[:MOST_HEADER]
    try:
        pieces = decode_header(text)
    except (HeaderParseError, ValueError):
        # An invalid encoded word (bad base64, among others) is left undecoded.
        pieces = [(text, None)]
    decoded = "".join(
        piece if isinstance(piece, str) else _decode(piece, charset or "latin-1")
        for piece, charset in pieces
    )
    return " ".join(decoded.split())


def _decode(raw: bytes, charset: str) -> str:
    """Decode bytes in the charset that they claim, or as Latin-1 where it is unknown."""
    try:
        if codecs.lookup(charset).name in _NO_CHARSETS:
            return raw.decode("latin-1")
        return raw.decode(charset, "replace")
    except (LookupError, ValueError):
        return raw.decode("latin-1")


def _outer_parts(message: Message) -> list[Message]:
    """Return the leaf parts of a message, without descending into enclosed mails."""
    leaves, waiting = [], [message]
    while waiting:
        part = waiting.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            waiting += reversed(_inner(part))
        else:
            leaves.append(part)
    return leaves


def _forwarded_report(part: Message) -> Message | None:
    """Return the delivery report that a gateway has enclosed in a mail of its own."""
    inner = _first_inner(part) if part.get_content_type() == "message/rfc822" else None
    is_report = inner is not None and inner.get_content_type() == "multipart/report"
    return inner if is_report else None


def _text_of(part: Message) -> str:
    """Return the text of a leaf part; a wrong charset never raises."""
    try:
        payload = part.get_payload(decode=True)
        charset = part.get_content_charset() or "latin-1"
    except (LookupError, ValueError):
        # The library does not check the charset, which may contain a NUL.
        return ""
    return _decode(payload[: 4 * MOST_LETTER], charset) if isinstance(payload, bytes) else ""


def plain_text(message: Message) -> str:
    """Return the plain text of a message, without anything cut from it but its length."""
    return "\n".join(
        _text_of(part) for part in _outer_parts(message) if part.get_content_type() == "text/plain"
    )


def _find_letter(leaves: list[Message]) -> str:
    """Return all plain text of a message, else its HTML without the tags."""
    plain = [_text_of(part) for part in leaves if part.get_content_type() == "text/plain"]
    text = "\n\n".join(piece for piece in plain if piece.strip())
    if not text:
        html = [_text_of(part) for part in leaves if part.get_content_type() == "text/html"]
        text = _text_of_html("\n\n".join(html)[: 4 * MOST_LETTER])
    if not text:
        text = "\n\n".join(_text_of(part) for part in leaves if not part.is_multipart())
    # Many bounces quote the subject of our mail, which says nothing about why it bounced.
    return _SUBJECT.sub("", text[:MOST_LETTER])


def _text_of_html(html: str) -> str:
    """Return the text of HTML, with a line end for each tag that ends a line."""
    for opening, closing in _HIDDEN:
        html = _cut_between(html, opening, closing)
    lines = _LINE_TAG.sub("\n", html)
    return unescape(
        _ANY_TAG.sub(lambda tag: tag[0] if _ADDRESS_IN_TAG.match(tag[0]) else " ", lines)
    )


def _cut_between(text: str, opening: LinearPattern[str], closing: LinearPattern[str]) -> str:
    """Return a text without all that is between an opening and the next closing."""
    *closed, rest = closing.split(text)
    starts = (opening.search(piece) for piece in closed)
    kept = [
        f"{piece[: found.start()]}\n" if found else f"{piece} "
        for piece, found in zip(closed, starts, strict=True)
    ]
    return "".join([*kept, rest])


def _strip_quotes(text: str) -> str:
    """Return the text without `>` quote marks, if most of its lines are quoted (a forward)."""
    lines = [line for line in text.splitlines() if line.strip()]
    quoted = sum(1 for line in lines if line.startswith(">"))
    return _QUOTE_MARK.sub("", text) if 2 * quoted > len(lines) else text


def _cut_letter(text: str) -> tuple[str, Message | None]:
    """Split a text into the text itself and the headers of the mail that it returns below."""
    starts = [found.start() for found in (_RETURNED.search(text), _SAYS_COPY.search(text)) if found]
    # A message that consists only of a copy is not split.
    start = min((place for place in starts if text[:place].strip()), default=len(text))
    letter, below = text[:start], text[start:]
    headers = _RETURNED.search(below)
    if headers is None:
        return letter, None
    return letter, message_from_string(below[headers.start() :].lstrip(" \t>"))


def _status_blocks(part: Message) -> list[Message]:
    """Return the per-recipient blocks of a delivery status; its first block is per-message."""
    kind = part.get_content_type()
    if kind not in {"message/delivery-status", "message/global-delivery-status"}:
        return []
    inner = _inner(part)
    blocks = [piece for each in inner if _is_recipient(each) for piece in _split_block(each)]
    # The parser treats the international form as one message, whose text holds the blocks.
    return blocks or [
        piece
        for each in (inner or [part])
        if not each.is_multipart()
        for piece in _blocks_of_letter(_text_of(each))
    ]


def _split_block(block: Message) -> list[Message]:
    """Return a block for each recipient, even if the empty lines between them are missing."""
    if len(block.get_all("Final-Recipient", [])) < 2:
        return [block]
    pieces: list[Message] = []
    for name, value in block.items():
        if not pieces or (name.lower() == "final-recipient" and pieces[-1].get(name)):
            pieces.append(Message())
        pieces[-1][name] = value
    return pieces


def _is_recipient(block: Message) -> bool:
    return any(block.get(name) for name in ("Final-Recipient", "Original-Recipient"))


def _blocks_of_letter(text: str) -> tuple[Message, ...]:
    """Return status blocks that are in plain text, as some gateways leave them."""
    pieces = _BLANK_LINE.split(text)
    blocks = [piece[at.start() :] for piece in pieces if (at := _BLOCK.search(piece))]
    return tuple(filter(_is_recipient, map(message_from_string, blocks)))


def _feedback(part: Message) -> Message | None:
    """Return the fields of a feedback report, however the parser has treated the part."""
    is_report = part.get_content_type() == "message/feedback-report"
    return _first_inner(part) if is_report else None


def _enclosed(part: Message) -> Message | None:
    """Return the headers of an enclosed mail."""
    kind = part.get_content_type()
    if kind in {"message/rfc822", "message/global"}:
        return _first_inner(part) if part.is_multipart() else None
    if kind in {"text/rfc822-headers", "message/rfc822-headers", "message/global-headers"}:
        return _first_inner(part)
    return None


def _inner(part: Message) -> list[Message]:
    """Return the messages inside a part; none where its payload is text."""
    payload: Any = part.get_payload() if part.is_multipart() else []
    return [each for each in payload if isinstance(each, Message)]


def _first_inner(part: Message) -> Message | None:
    """Return the first message in a part, or its text parsed as a message."""
    if part.is_multipart():
        return next(iter(_inner(part)), None)
    return message_from_string(_text_of(part).lstrip())
