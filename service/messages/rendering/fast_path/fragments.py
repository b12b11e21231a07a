"""Stretches of a mail that are written and encoded once and stand in many mails.

A part of a message is made by joining runs. Each run's bytes begin at the first column and end
with a line end or a soft one (RFC 2045 §6.7, rule 5), so that runs follow each other unchanged.
"""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from markupsafe import escape

from service.platform.caches import cached

# Unicode's noncharacters, which `safety.clean` takes out of every text from outside: nobody but
# us can write them. The same places in bytes are control characters, which no mail may hold
# and which are found at once.
CARD_OPENS, CARD_ENDS, CHANGE, TOPIC = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
# 4 is `plain`'s. What an open value leaves in a frame:
OPEN_OPENS, OPEN_ENDS = "\ufdd5", "\ufdd6"
_CHANGE, _TOPIC = CHANGE.encode(), TOPIC.encode()
_CHANGE_WIRE, _TOPIC_WIRE = b"\x00", b"\x01"
_PLACES_WIRE = {_CHANGE_WIRE, _TOPIC_WIRE}
_PLACES = re.compile(b"([\x00\x01])")
_LONGEST_LINE = 76
# What the header block may take of a message's size, with the relay's own signature to come.
HEADER_RESERVE = 2_048
_SOFT_END = b"=\r\n"
_DOT_AT_START = re.compile(rb"(?m)^\.+")


@dataclass(frozen=True, slots=True)
class Fragment:
    """`body` is the text in UTF-8 with CRLF, `wire` the same in quoted-printable.

    They may hold CHANGE and TOPIC as NUL and SOH. `key` is a hash of a run that many
    mails share, empty for a reader's own.
    """

    body: bytes = field(repr=False)
    wire: bytes
    key: bytes = b""

    @property
    def has_topic(self) -> bool:
        """Whether it is another text for each topic."""
        return _TOPIC_WIRE in self.body


@dataclass(slots=True)
class MailPartFragments:
    """A whole part: runs with the topic of each that has one, and what CHANGE stands for.

    It is joined when it is first asked for, and does not change afterwards.
    """

    runs: Sequence[tuple[Fragment, int]]
    change: str = ""
    _octets: bytes | None = field(default=None, init=False, compare=False, repr=False)
    _wire: bytes | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def body(self) -> bytes:
        """The part as a mail program decodes it: UTF-8 with CRLF."""
        if self._octets is None:
            self._octets = self._join_octets()
        return self._octets

    @property
    def wire(self) -> bytes:
        """The part in quoted-printable."""
        if self._wire is None:
            self._wire = self._join_wire()
        return self._wire

    def _join_octets(self) -> bytes:
        pieces = [
            run.body.replace(_TOPIC_WIRE, b"%d" % topic) if topic else run.body
            for run, topic in self.runs
        ]
        return b"".join(pieces).replace(_CHANGE_WIRE, self.change.encode())

    def _join_wire(self) -> bytes:
        pieces = [
            run.wire.replace(_TOPIC_WIRE, b"%d=\r\n" % topic) if topic else run.wire
            for run, topic in self.runs
        ]
        return b"".join(pieces).replace(_CHANGE_WIRE, _encode_change(self.change))

    @property
    def text(self) -> str:
        """The part as people read it, with newlines."""
        return self.body.decode().replace("\r\n", "\n")


def encode_private(text: str) -> Fragment:
    """A run of this mail alone."""
    if text and text.isascii() and text.isprintable():
        body = text.encode()
        return Fragment(body, _encode(body) if "=" in text else _break(body))
    body = to_octets(text)
    return Fragment(body, _encode_octets(body))


def encode_shared(text: str) -> Fragment:
    """A run that other mails show as well."""
    body = to_octets(text)
    return Fragment(body, _encode_octets(body), sha256(body).digest()[:16])


def to_octets(text: str) -> bytes:
    body = text.replace("\n", "\r\n").encode()
    return body.replace(_CHANGE, _CHANGE_WIRE).replace(_TOPIC, _TOPIC_WIRE)


def markup_change(address: str) -> str:
    """The reader's address as it stands in HTML."""
    return str(escape(address))


def _encode_octets(body: bytes) -> bytes:
    """`body` in quoted-printable from the first column on, their places kept."""
    if _CHANGE_WIRE not in body:
        return _encode(body) if body else b""
    pieces = _PLACES.split(body)
    return b"".join([one if one in _PLACES_WIRE else _encode(one) for one in pieces if one])


# Both parts of a mail have the same, one after the other.
@cached("encoded change links", maxsize=64)
def _encode_change(change: str) -> bytes:
    return _encode_octets(to_octets(change))


def _break(body: bytes) -> bytes:
    """What `_encode` makes of letters that stand for themselves, an address mostly."""
    size = _LONGEST_LINE - 1
    if len(body) <= size:
        wire = body + _SOFT_END
    else:
        lines = [body[at : at + size] for at in range(0, len(body), size)]
        wire = _SOFT_END.join([*lines, b""])
    return _encode(body) if b"\n." in wire or wire.startswith(b".") else wire


def _encode(body: bytes) -> bytes:
    # binascii breaks lines as the first line of its input ends, hence the end that is cut again.
    wire = binascii.b2a_qp(body + b"\r\n", istext=True)[:-2]
    if b"\n." in wire or wire.startswith(b"."):
        # So that no message ever needs its dots doubled (RFC 5321 §4.5.2): looking for them in each
        # one costs more than writing it. The soft end keeps the line short.
        wire = _DOT_AT_START.sub(lambda dots: b"=2E=\r\n" * len(dots[0]), wire)
    if wire.endswith(b"\r\n"):
        return wire
    last = wire[wire.rfind(b"\n") + 1 :]
    if len(last) < _LONGEST_LINE:
        return wire + _SOFT_END
    # The soft end itself would make the line too long; a character moves to a line of its own.
    cut = 3 if last[-3:-2] == b"=" else 1
    return wire[:-cut] + _SOFT_END + wire[-cut:] + _SOFT_END
