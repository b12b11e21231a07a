"""The stored copy of a sent mail: its hash, and the recipe that makes its HTML again.

A whole digest is 40 kB. What mails share is stored once and has a number; of a marked text only the
marks are in the recipe, and signed links are signed again. So a recipe has some 300 bytes.
"""

import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias

from service.messages.rendering.fragments import MailPartFragments, marked_fragment
from service.messages.rendering.renderer import RenderedMail
from service.platform.packing import Packer, add_number, read_number

# Separates the texts of a recipe; no text of a mail contains it.
_NEXT, _NEXT_WIRE = b"\x1e", b"=1E=\r\n"
# Stand for our address and the signed links (`archived_links`); no text of a mail contains them.
_SIGNS = (b"\x02", b"\x03", b"\x04", b"\x05", b"\x06")
# The kinds of a step, its two lowest bits; the rest is its value.
_OWN, _SHARED, _MARKED, _TOPIC = range(4)
# Of a shared fragment: the one after that from which the last step led away.
_LEFT = 1 << 2
# After the last step: the same topic again, which no step names.
_END = _TOPIC
# What reading a recipe raises that is cut off, forged, or needs a fragment that is gone.
BROKEN_RECIPE = (KeyError, IndexError, ValueError)


@dataclass(frozen=True, slots=True)
class ArchivedMail:
    """A copy to store. `content_hash` is `hash_copy` of the HTML part as it is sent.

    `links` are the texts that are made again: our address and the ends of the signed links.
    """

    content_hash: bytes
    part: MailPartFragments = field(repr=False)
    links: Sequence[bytes] = field(repr=False)


def copy_mail(mail: RenderedMail, links: Sequence[bytes] = (b"",)) -> ArchivedMail:
    """Return the copy of a mail's HTML."""
    part = mail.html_part
    return ArchivedMail(hash_copy(part.wire), part, links)


def hash_copy(wire: bytes) -> bytes:
    """Return 16 bytes of the SHA-256 of an HTML part in quoted-printable.

    They prove that a copy made again is the mail that was sent. 128 bits are enough: to pass for it, other
    HTML needs the same hash as a mail that we wrote, a second preimage, which costs 2¹²⁸ tries.
    Collisions, at 2⁶⁴, win nothing, because both texts would have to be mails of ours.
    """
    return sha256(wire).digest()[:16]


def write_recipe(copy: ArchivedMail, numbers: Mapping[bytes, int]) -> bytes:
    """Return the recipe of a copy whose shared fragments have these `numbers`, by key.

    Raises `KeyError` where one has none.

    A recipe is a list of steps, and the private texts. A step names a shared fragment by its
    distance from the one before: fragments that came together first are numbered in that order, so
    most steps are the same octet. After the fragments of a card, whose numbers are far away, the mail goes on
    where it left; that is an octet, too. A topic is named in the same way. A text that comes twice is
    stored once.
    """
    octets = bytearray()
    add = octets.append
    own: dict[bytes, int] = {}
    after, left = 1, 0
    current = 0
    for fragment, topic in copy.part.fragments:
        wire, key, marks = fragment
        if topic and topic != current:
            # A subscriber's topics mostly have numbers that follow each other.
            add_number(octets, _fold_sign(topic - current) << 2 | _TOPIC)
            current = topic
        if key:
            number = numbers[key]
            kind = _MARKED if marks else _SHARED
            if number == after:
                add(kind)
            else:
                if number == left:
                    add(_LEFT | kind)
                else:
                    add_number(octets, _fold_sign(number - after) + 1 << 2 | kind)
                left = after
            octets += marks
            after = number + 1
        else:
            new = len(own) + 1
            known = own.setdefault(wire, new)
            if known == new:
                add(_OWN)
            else:
                add_number(octets, known << 2)
    add(_END)
    # Fragments are decoded together as each alone, and in a tenth of the time.
    texts = _NEXT.join((copy.part.change.encode(), binascii.a2b_qp(_NEXT_WIRE.join(own))))
    for link, sign in zip(copy.links, _SIGNS, strict=False):
        if link:
            texts = texts.replace(link, sign)
    return _PACKER.pack(b"".join((octets, copy.links[0], _NEXT, texts)))


def needed_numbers(recipe: bytes) -> set[int]:
    """Return the numbers of the shared fragments that a recipe needs."""
    return {number for number, _, _, _ in _read(recipe)[1] if number}


def restore_copy(
    recipe: bytes, shared: Mapping[int, bytes], links: Sequence[bytes] = ()
) -> MailPartFragments:
    """Return the HTML part, byte for byte, with these links, at the address that we had then.

    Raises `BROKEN_RECIPE`, a `KeyError` for a missing shared fragment.
    """
    texts, steps = _read(recipe)
    address, texts = texts.split(_NEXT, 1)
    for link, sign in zip((address, *links[1:]), _SIGNS, strict=False):
        texts = texts.replace(sign, link)
    change, *own = texts.split(_NEXT)
    fragments = []
    for number, marks, text, topic in steps:
        body = shared[number] if number else own[text]
        fragments.append((marked_fragment(body, marks=marks), topic))
    return MailPartFragments(fragments, change.decode())


# A number (0 for a private text) and its marks, the place of a private text, the topic.
_Step: TypeAlias = tuple[int, Sequence[int], int, int]


def _read(recipe: bytes) -> tuple[bytes, list[_Step]]:
    """Return the private texts, and the steps."""
    octets = iter(_PACKER.unpack(recipe))
    steps: list[_Step] = []
    after, left, topic, own = 1, 0, 0, 0
    while (step := read_number(octets)) != _END:
        kind, value = step & 3, step >> 2
        if kind == _TOPIC:
            topic += _unfold_sign(value)
        elif kind == _OWN:
            steps.append((0, (), value - 1 if value else own, topic))
            own += not value
        else:
            number = (after, left)[value] if value < 2 else after + _unfold_sign(value - 1)
            if value:
                left = after
            after = number + 1
            marks = [
                read_number(octets) for _ in range(read_number(octets) if kind == _MARKED else 0)
            ]
            steps.append((number, marks, 0, topic))
    return bytes(octets), steps


def _fold_sign(distance: int) -> int:
    """Return a number that is small where a distance is, in either direction (zigzag)."""
    return distance << 1 if distance >= 0 else ~distance << 1 | 1


def _unfold_sign(value: int) -> int:
    return ~(value >> 1) if value & 1 else value >> 1


# What private texts have in common. A copy is proved by its hash.
_PACKER = Packer(
    is_proved=True,
    dictionary=(
        "Information Retrieval Robotics Cryptography and Security Databases Human-Computer Interaction"
        "Neural and Evolutionary Computing Computers and Society Software Engineering Astrophysics "
        "High Energy Physics Theory Statistics Optimization and Control Image and Video Processing"
        "Computer Vision and Pattern Recognition Computation and Language Artificial Intelligence "
        "Machine Learning the author is it is similar to your example mentions and 2 others"
        "January February March April June July August September October November December 2026 2027"
        " Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec Trending Newest 1 paper more papers"
        " new on  and  · Mon Tue Wed Thu Fri Sat Sun papers\x1e, “” and “”\x1e\x02/status\x1e"
        "\x02\x03\x1e\x02\x03#pause\x1e\x02\x06\x1e\x02\x04\x1e\x02/\x1e\x02/privacy"
        "12 new on  and 2 other topics · Tue 1 Dec\x1e12 papers\x1e"
        "\x01\x00\x01\x00\x01\x00\x01\x00\x01\x00\x01\x00\x01\x00\x01\x00\x01\x00\x01\x00"
        '</mark> and the author is <mark></p><p class="why">You get this because it is in Machine Learning, the title'
        " says <mark>model</mark>, <mark>learning</mark>.\x1e"
        '</p><p class="why">You get this because the abstract says <mark>'
    ).encode(),
)
