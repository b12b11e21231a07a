"""A sent mail as it is kept: its hash, its own words, and the names of the runs that it shares.

A whole digest is 40 kB; what belongs to one reader alone is one or two.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from service.mail.render import RenderedMail
from service.mail.runs import Part, Run

# Level 1 takes a third of the time of the usual 6, for a tenth more bytes.
_QUICK = 1
# In a recipe: what separates its runs (no text of a mail holds it), and what each begins with.
_NEXT, _SHARED, _OWN = b"\x1e", "s", b"o"
_NAME = 32


@dataclass(frozen=True, slots=True)
class MailCopy:
    """`content_hash` is the SHA-256 of the HTML part as a mail program decodes it (with CRLF).

    `recipe` names the runs in their order, `shared` holds the text of those that other mails
    show as well, by name.
    """

    content_hash: bytes
    recipe: bytes
    shared: Mapping[bytes, bytes] = field(repr=False)


def copy_mail(mail: RenderedMail) -> MailCopy:
    """The copy of a mail's HTML."""
    part = mail.html_part
    runs = [
        f"{_SHARED}{run.key.hex()}{topic}".encode() if run.key else _OWN + run.octets
        for run, topic in part.runs
    ]
    recipe = _NEXT.join([part.change.encode(), *runs])
    return MailCopy(
        sha256(part.octets).digest(),
        zlib.compress(recipe, _QUICK),
        {run.key: run.octets for run, _ in part.runs if run.key},
    )


def shared_keys(recipe: bytes) -> list[bytes]:
    """Which shared runs a recipe needs."""
    return [run.key for run, _ in _read(recipe)[1] if run.key]


def restore_copy(recipe: bytes, shared: Mapping[bytes, bytes]) -> bytes:
    """The HTML part, byte for byte. Raises `KeyError` where a shared run is missing."""
    change, runs = _read(recipe)
    placed = ((Run(shared[run.key], b"") if run.key else run, topic) for run, topic in runs)
    return Part(tuple(placed), change).octets


def _read(recipe: bytes) -> tuple[str, list[tuple[Run, int]]]:
    change, *runs = zlib.decompress(recipe).split(_NEXT)
    return change.decode(), [_read_run(run) for run in runs]


def _read_run(run: bytes) -> tuple[Run, int]:
    if run.startswith(_OWN):
        return Run(run[1:], b""), 0
    name, topic = run[1 : 1 + _NAME], run[1 + _NAME :]
    return Run(b"", b"", bytes.fromhex(name.decode())), int(topic)
