"""Fragments: pieces of a mail that are rendered and encoded once and joined into many mails.

Each fragment begins at the first column and ends with a line end or a soft line break (RFC 2045
§6.7, rule 5), so that fragments can be concatenated as bytes.
"""

import binascii
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple, TypeAlias

from service.platform.caches import cached
from service.platform.packing import pack_numbers

# Unicode noncharacters: `sanitize.clean` removes them from all untrusted text, so only we write them.
# In encoded bytes the same slots are control characters, which no mail may hold.
CARD_OPENS, CARD_ENDS, CHANGE, TOPIC = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
# \ufdd4 is `plain`'s. The slot of a symbolic value in a skeleton:
OPEN_OPENS, OPEN_ENDS = "\ufdd5", "\ufdd6"
_CHANGE, _TOPIC = CHANGE.encode(), TOPIC.encode()
_CHANGE_WIRE, _TOPIC_WIRE = b"\x00", b"\x01"
_PLACES_WIRE = {_CHANGE_WIRE, _TOPIC_WIRE}
_PLACES = re.compile(b"([\x00\x01])")
_LONGEST_LINE = 76
# Reserved for the header block of a message, including a signature that the relay may add.
HEADER_RESERVE = 2_048
_SOFT_END = b"=\r\n"
_DOT_AT_START = re.compile(rb"(?m)^\.+")
# `binascii` lets a line that ends with a blank become one octet too long.
_LATE_BLANK = re.compile(rb"(?m)^([^\r\n]{74})(=20|=09)(?=\r$)")


class Fragment(NamedTuple):
    """A text in quoted-printable, `wire`, from which it is read again where it is needed.

    It may hold CHANGE and TOPIC as NUL and SOH. `key` is a hash of a fragment that many mails share,
    without a topic's marks; empty for one that belongs to a single mail. `marks` are the topic's words
    in it, as `take_marks` returns them, packed.
    """

    wire: bytes
    key: bytes = b""
    marks: bytes = b""

    @property
    def size(self) -> int:
        """The bytes that a cache keeps for it, with its objects."""
        return len(self.wire) + 200

    @property
    def has_topic(self) -> bool:
        """Whether the text differs from topic to topic."""
        return _TOPIC_WIRE in self.wire

    @property
    def body(self) -> bytes:
        """The text in UTF-8 with CRLF."""
        return binascii.a2b_qp(self.wire)

    @property
    def plain(self) -> bytes:
        """The same without the topic's marks."""
        return take_marks(self.body)[0] if self.marks else self.body


# Fragments in their order, each with the id of its topic (0 without one).
Place: TypeAlias = list[tuple[Fragment, int]]


@dataclass
class MailPartFragments:
    """A whole part: its fragments, each with its topic (0 without one), and the value of CHANGE.

    The bytes are joined on first access and then kept.
    """

    fragments: Sequence[tuple[Fragment, int]]
    change: str = ""

    @cached_property
    def body(self) -> bytes:
        """The part as a mail program decodes it: UTF-8 with CRLF."""
        pieces = [
            fragment.body.replace(_TOPIC_WIRE, b"%d" % topic) if topic else fragment.body
            for fragment, topic in self.fragments
        ]
        return b"".join(pieces).replace(_CHANGE_WIRE, self.change.encode())

    @cached_property
    def wire(self) -> bytes:
        """The part in quoted-printable."""
        pieces = [
            fragment.wire.replace(_TOPIC_WIRE, b"%d=\r\n" % topic) if topic else fragment.wire
            for fragment, topic in self.fragments
        ]
        return b"".join(pieces).replace(_CHANGE_WIRE, _encode_change(self.change))

    @property
    def text(self) -> str:
        """The part as people read it, with newlines."""
        return self.body.decode().replace("\r\n", "\n")


def encode_private(text: str) -> Fragment:
    """Encode text that belongs to one mail."""
    if text and text.isascii() and text.isprintable():
        body = text.encode()
        return Fragment(_encode(body) if "=" in text else _break(body))
    return Fragment(encode_body(to_body(text)))


def encode_shared(text: str) -> Fragment:
    """Encode text that many mails share; its hash names it in the archive, without its marks."""
    body, marks = take_marks(to_body(text))
    return marked_fragment(body, sha256(body).digest()[:16], marks)


_MARK, _END_MARK = b"<mark>", b"</mark>"


def take_marks(body: bytes) -> tuple[bytes, tuple[int, ...]]:
    """Return a text without its marks, and the marks: octets before each, and in it, in turn."""
    before, *marked = body.split(_MARK)
    if not marked:
        return body, ()
    plain, marks, gap = [before], [], len(before)
    for piece in marked:
        inside, end, after = piece.partition(_END_MARK)
        if not end or _END_MARK in after:
            return body, ()  # No pair, as in a text about marks: it stays as it is.
        marks += [gap, len(inside)]
        plain += [inside, after]
        gap = len(after)
    return b"".join(plain), tuple(marks)


def _show_marks(plain: bytes, marks: Sequence[int]) -> bytes:
    """Return a text with its marks."""
    shown: list[bytes] = []
    at = 0
    for gap, size in zip(marks[::2], marks[1::2], strict=True):
        start, end = at + gap, at + gap + size
        shown += (plain[at:start], _MARK, plain[start:end], _END_MARK)
        at = end
    return b"".join((*shown, plain[at:]))


def marked_fragment(plain: bytes, key: bytes = b"", marks: Sequence[int] = ()) -> Fragment:
    """Return the fragment of a text with the marks that `take_marks` took."""
    body = _show_marks(plain, marks) if marks else plain
    return Fragment(encode_body(body), key, pack_numbers(marks))


def move_places(places: Iterable[int], longer: Sequence[tuple[int, int]]) -> list[int]:
    """Return places in a text as they are in one that is longer.

    `longer` says from which place on it is longer, and by how much in all.
    """
    from_place = [place for place, _ in longer]
    growth = [0, *[by for _, by in longer]]
    return [place + growth[bisect_right(from_place, place)] for place in places]


def small_numbers(numbers: Sequence[int]) -> Sequence[int]:
    """Return numbers, the largest of which come last, in little space."""
    return array("H" if max(numbers[-2:]) < 1 << 16 else "L", numbers) if numbers else ()


def put_marks(plain: Fragment, places: Iterable[tuple[int, int]]) -> Fragment:
    """Return a fragment in which octets of its body are marked, given as first and after the last.

    They come in their order and do not overlap.
    """
    marks: list[int] = []
    at = 0
    for start, end in places:
        marks += (start - at, end - start)
        at = end
    return marked_fragment(plain.plain, plain.key, marks)


def to_body(text: str) -> bytes:
    """Return a text in UTF-8 with CRLF, as the body of a fragment has it."""
    body = text.replace("\n", "\r\n").encode()
    return body.replace(_CHANGE, _CHANGE_WIRE).replace(_TOPIC, _TOPIC_WIRE)


def encode_body(body: bytes) -> bytes:
    """Encode `body` as quoted-printable from the first column on, keeping its slots."""
    if _CHANGE_WIRE not in body:
        return _encode(body) if body else b""
    pieces = _PLACES.split(body)
    return b"".join([one if one in _PLACES_WIRE else _encode(one) for one in pieces if one])


# Both parts of a mail use the same address, one after the other.
@cached("encoded change links", maxsize=64)
def _encode_change(change: str) -> bytes:
    return encode_body(to_body(change))


def _break(body: bytes) -> bytes:
    """Break printable ASCII without `=` into lines, as `_encode` would; most are addresses."""
    size = _LONGEST_LINE - 1
    if len(body) <= size:
        wire = body + _SOFT_END
    else:
        lines = [body[at : at + size] for at in range(0, len(body), size)]
        wire = _SOFT_END.join([*lines, b""])
    return _encode(body) if b"\n." in wire or wire.startswith(b".") else wire


def _encode(body: bytes) -> bytes:
    # binascii uses the first line end of its input for soft breaks, hence the CRLF that is cut again.
    wire = binascii.b2a_qp(body + b"\r\n", istext=True)
    if b" \r" in body or b"\t\r" in body or body.endswith((b" ", b"\t")):
        wire = _LATE_BLANK.sub(rb"\1=\r\n\2", wire)
    wire = wire[:-2]
    if b"\n." in wire or wire.startswith(b"."):
        # Encode leading dots, so that no message needs dot-stuffing (RFC 5321 §4.5.2), which would
        # cost a search per message. The soft line break keeps the line short.
        wire = _DOT_AT_START.sub(lambda dots: b"=2E=\r\n" * len(dots[0]), wire)
    if wire.endswith(b"\r\n"):
        return wire
    last = wire[wire.rfind(b"\n") + 1 :]
    if len(last) < _LONGEST_LINE:
        return wire + _SOFT_END
    # The soft line break would make the line too long: move the last character to its own line.
    cut = 3 if last[-3:-2] == b"=" else 1
    return wire[:-cut] + _SOFT_END + wire[-cut:] + _SOFT_END
