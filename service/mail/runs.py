"""Stretches of a mail that are written and encoded once and stand in many mails.

A part of a message is made by joining runs. Each run's bytes begin at the first column and end
with a line end or a soft one (RFC 2045 §6.7, rule 5), so that runs follow each other unchanged.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from markupsafe import escape

# Unicode's noncharacters, which `safety.clean` takes out of every text from outside: nobody but
# us can write them. The same places in encoded bytes are control characters, which
# quoted-printable never leaves bare.
CARD_OPENS, CARD_ENDS, CHANGE, TOPIC = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
_CHANGE_WIRE, _TOPIC_WIRE = b"\x00", b"\x01"
_LONGEST_LINE = 76
_SOFT_END = b"=\r\n"


@dataclass(frozen=True, slots=True)
class Run:
    """`text` may hold CHANGE and TOPIC, where `wire`, in quoted-printable, has NUL and SOH.

    `key` is a hash of the text of a run that many mails share, empty for a reader's own.
    """

    text: str
    wire: bytes
    key: bytes = b""


@dataclass(frozen=True, slots=True)
class Part:
    """A whole part: runs with the topic of each, and what CHANGE stands for."""

    runs: Sequence[tuple[Run, int]]
    change: str = ""

    @property
    def text(self) -> str:
        """The part as people read it, with newlines."""
        pieces = [
            run.text.replace(TOPIC, str(topic)) if topic else run.text for run, topic in self.runs
        ]
        return "".join(pieces).replace(CHANGE, self.change)

    @property
    def wire(self) -> bytes:
        """The part as quoted-printable, with CRLF."""
        pieces = [
            run.wire.replace(_TOPIC_WIRE, b"%d=\r\n" % topic) if topic else run.wire
            for run, topic in self.runs
        ]
        return b"".join(pieces).replace(_CHANGE_WIRE, encode_run(self.change))


def own_run(text: str) -> Run:
    """A run of this mail alone."""
    return Run(text, encode_run(text))


def shared_run(text: str) -> Run:
    """A run that other mails show as well."""
    return Run(text, encode_run(text), sha256(text.encode()).digest()[:16])


def markup_change(address: str) -> str:
    """The reader's address as it stands in HTML."""
    return str(escape(address))


def encode_run(text: str) -> bytes:
    """`text` in quoted-printable from the first column on, its places kept."""
    if CHANGE not in text:
        return _encode(text) if text else b""
    wire = []
    for number, piece in enumerate(text.split(CHANGE)):
        before, topic, after = piece.partition(TOPIC)
        wire.append(_CHANGE_WIRE if number else b"")
        wire.append(_encode(before) if before else b"")
        wire.append(_TOPIC_WIRE if topic else b"")
        wire.append(_encode(after) if after else b"")
    return b"".join(wire)


def _encode(text: str) -> bytes:
    # binascii breaks lines as the first line of its input ends, hence the end that is cut again.
    octets = text.replace("\n", "\r\n").encode() + b"\r\n"
    wire = binascii.b2a_qp(octets, istext=True)[:-2]
    if wire.endswith(b"\r\n"):
        return wire
    last = wire[wire.rfind(b"\n") + 1 :]
    if len(last) < _LONGEST_LINE:
        return wire + _SOFT_END
    # The soft end itself would make the line too long; a character moves to a line of its own.
    cut = 3 if last[-3:-2] == b"=" else 1
    return wire[:-cut] + _SOFT_END + wire[-cut:] + _SOFT_END
