"""The stored copy of a sent mail: its hash, its private text, and keys of shared fragments.

A whole digest is 40 kB, the private text of one subscriber 1–2 kB.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from service.messages.rendering.fragments import Fragment, MailPartFragments
from service.messages.rendering.renderer import RenderedMail

# Separates the texts of a recipe; no text of a mail contains it.
_NEXT = b"\x1e"
_SHARED, _TOPIC, _KEY_OCTETS = "s", "t", 16


@dataclass(frozen=True, slots=True)
class ArchivedMail:
    """A copy to store. `content_hash` is the SHA-256 of the decoded HTML part (with CRLF).

    `recipe` lists the fragments in order, `shared` has the text of the shared ones by key.
    """

    content_hash: bytes
    recipe: bytes
    shared: Mapping[bytes, bytes] = field(repr=False)


def copy_mail(mail: RenderedMail) -> ArchivedMail:
    """Return the copy of a mail's HTML."""
    part = mail.html_part
    shared: dict[bytes, bytes] = {}
    return ArchivedMail(sha256(part.body).digest(), _write(part, shared), shared)


def _write(part: MailPartFragments, shared: dict[bytes, bytes]) -> bytes:
    """Return the recipe: order of fragments, keys of shared ones, private texts; fill `shared`.

    In the order, `s` is the next key and a number is a private text, so that a repeated text is
    stored once; `t12` after it is the fragment's topic. Nothing is compressed, because compressing
    took longer than all the rest.
    """
    order: list[str] = []
    keys: list[bytes] = []
    own: dict[bytes, str] = {}
    for fragment, topic in part.fragments:
        key = fragment.key
        if key:
            keys.append(key)
            shared[key] = fragment.body
            name = _SHARED
        else:
            name = own.setdefault(fragment.body, str(len(own)))
        order.append(f"{name}{_TOPIC}{topic}" if topic else name)
    texts = (b"".join(keys) + part.change.encode(), *own)
    return _NEXT.join((" ".join(order).encode(), *texts))


def shared_keys(recipe: bytes) -> list[bytes]:
    """Return the keys of the shared fragments that a recipe needs."""
    return [fragment.key for fragment, _ in _read(recipe)[1] if fragment.key]


def restore_copy(recipe: bytes, shared: Mapping[bytes, bytes]) -> bytes:
    """Return the HTML part, byte for byte. Raises `KeyError` for a missing shared fragment."""
    change, fragments = _read(recipe)
    restored = ((Fragment(shared[f.key], b"") if f.key else f, topic) for f, topic in fragments)
    return MailPartFragments(tuple(restored), change).body


def _read(recipe: bytes) -> tuple[str, list[tuple[Fragment, int]]]:
    """Return the text of CHANGE, and the fragments; shared ones have only their key."""
    header, _, rest = recipe.partition(_NEXT)
    order = [word.partition(_TOPIC) for word in header.decode().split()]
    ends = sum(name == _SHARED for name, _, _ in order) * _KEY_OCTETS
    keys = (rest[at : at + _KEY_OCTETS] for at in range(0, ends, _KEY_OCTETS))
    change, *own = rest[ends:].split(_NEXT)
    fragments = []
    for name, _, topic in order:
        is_shared = name == _SHARED
        fragment = Fragment(b"", b"", next(keys)) if is_shared else Fragment(own[int(name)], b"")
        fragments.append((fragment, int(topic or 0)))
    return change.decode(), fragments
