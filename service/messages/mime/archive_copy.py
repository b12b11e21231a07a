"""A sent mail as it is kept: its hash, its own words, and the names of the runs that it shares.

A whole digest is 40 kB; what belongs to one reader alone is one or two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from service.messages.rendering.fast_path.fragments import Fragment, MailPartFragments
from service.messages.rendering.renderer import RenderedMail

# What separates the texts of a recipe; no text of a mail holds it.
_NEXT = b"\x1e"
_SHARED, _TOPIC, _KEY_OCTETS = "s", "t", 16


@dataclass(frozen=True, slots=True)
class ArchivedMail:
    """`content_hash` is the SHA-256 of the HTML part as a mail program decodes it (with CRLF).

    `recipe` names the runs in their order, `shared` holds the text of those that other mails
    show as well, by name.
    """

    content_hash: bytes
    recipe: bytes
    shared: Mapping[bytes, bytes] = field(repr=False)


def copy_mail(mail: RenderedMail) -> ArchivedMail:
    """The copy of a mail's HTML."""
    part = mail.html_part
    shared: dict[bytes, bytes] = {}
    return ArchivedMail(sha256(part.body).digest(), _write(part, shared), shared)


def _write(part: MailPartFragments, shared: dict[bytes, bytes]) -> bytes:
    """The recipe of a part: the order of its runs, the keys of the shared ones, its own texts.

    In the order `s` is the next key and a number a text of its own, so that an address that stands
    thrice is kept once; `t12` after it is the topic of the run. Nothing is compressed: that took
    longer than all the rest. What is shared is added to `shared`.
    """
    order: list[str] = []
    keys: list[bytes] = []
    own: dict[bytes, str] = {}
    for run, topic in part.runs:
        key = run.key
        if key:
            keys.append(key)
            shared[key] = run.body
            word = _SHARED
        else:
            word = own.setdefault(run.body, str(len(own)))
        order.append(f"{word}{_TOPIC}{topic}" if topic else word)
    told = (b"".join(keys) + part.change.encode(), *own)
    return _NEXT.join((" ".join(order).encode(), *told))


def shared_keys(recipe: bytes) -> list[bytes]:
    """Which shared runs a recipe needs."""
    return [run.key for run, _ in _read(recipe)[1] if run.key]


def restore_copy(recipe: bytes, shared: Mapping[bytes, bytes]) -> bytes:
    """The HTML part, byte for byte. Raises `KeyError` where a shared run is missing."""
    change, runs = _read(recipe)
    placed = ((Fragment(shared[run.key], b"") if run.key else run, topic) for run, topic in runs)
    return MailPartFragments(tuple(placed), change).body


def _read(recipe: bytes) -> tuple[str, list[tuple[Fragment, int]]]:
    """What CHANGE stands for, and the runs; the shared ones have only their key."""
    written, _, rest = recipe.partition(_NEXT)
    order = [word.partition(_TOPIC) for word in written.decode().split()]
    ends = sum(name == _SHARED for name, _, _ in order) * _KEY_OCTETS
    keys = (rest[at : at + _KEY_OCTETS] for at in range(0, ends, _KEY_OCTETS))
    change, *own = rest[ends:].split(_NEXT)
    runs = []
    for name, _, topic in order:
        is_shared = name == _SHARED
        run = Fragment(b"", b"", next(keys)) if is_shared else Fragment(own[int(name)], b"")
        runs.append((run, int(topic or 0)))
    return change.decode(), runs
