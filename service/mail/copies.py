"""A sent mail as it is kept: its hash, its own words, and the names of the runs that it shares.

A whole digest is 40 kB; what belongs to one reader alone is one or two.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from service.mail.render import RenderedMail
from service.mail.runs import Part, Run

# Level 1 takes a third of the time of the usual 6, for a tenth more bytes.
_QUICK = 1


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
    runs = [[run.key.hex(), topic] if run.key else run.octets.decode() for run, topic in part.runs]
    recipe = json.dumps([part.change, runs], ensure_ascii=False, separators=(",", ":"))
    return MailCopy(
        sha256(part.octets).digest(),
        zlib.compress(recipe.encode(), _QUICK),
        {run.key: run.octets for run, _ in part.runs if run.key},
    )


def shared_keys(recipe: bytes) -> list[bytes]:
    """Which shared runs a recipe needs."""
    _, runs = json.loads(zlib.decompress(recipe))
    return [bytes.fromhex(run[0]) for run in runs if isinstance(run, list)]


def restore_copy(recipe: bytes, shared: Mapping[bytes, bytes]) -> bytes:
    """The HTML part, byte for byte. Raises `KeyError` where a shared run is missing."""
    change, runs = json.loads(zlib.decompress(recipe))
    placed = tuple(
        (Run(shared[bytes.fromhex(run[0])], b""), run[1])
        if isinstance(run, list)
        else (Run(run.encode(), b""), 0)
        for run in runs
    )
    return Part(placed, change).octets
