"""A card as it is for all topics, and what it becomes with the texts and marks of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from service.messages.rendering.fast_path.quoting import ShownExcerpt
from service.messages.rendering.fast_path.segments import Segment
from service.messages.rendering.fast_path.skeletons import constant
from service.messages.rendering.fast_path.slot_values import CannotShare
from service.messages.rendering.paper_cards import CardText, CardView
from service.presentation.highlight import WantedWords

_CARD_BYTES, _FILLED_BYTES = 900, 350
# The kind of a card, and how it shows an entry.
CardShape: TypeAlias = tuple[str, CardView]
# Stands for a text of a note, or for the excerpt.
_BLANK: CardText = (constant(""), False)


class FilledCard(NamedTuple):
    """A card of `shape` with the texts of a note. Those in `with_topic`, counted from the end, lack its
    topic. `next` is the same paper's card of another shape.
    """

    texts: Sequence[CardText]
    with_topic: tuple[int, ...]
    shape: CardShape
    next: FilledCard | None


@dataclass(frozen=True, slots=True)
class CardSkeleton:
    """The `texts` of a card whose note marks nothing, with a blank for each text of the note, in
    `slots`, and for the excerpt.

    `signature` names the slots, `numbers` are those of the words that `fill` needs. `size` is in bytes,
    without the segments, which other forms of the card share.
    """

    texts: tuple[CardText, ...]
    marked: tuple[tuple[int, Segment], ...]
    slots: tuple[int, ...]
    with_topic: tuple[int, ...]
    signature: int
    numbers: tuple[int, ...]
    excerpt: tuple[int, ShownExcerpt] | None
    size: int

    def fill(
        self, own: Sequence[CardText], wanted: Mapping[int, WantedWords]
    ) -> tuple[Sequence[CardText], int] | None:
        """Return the texts with those of a note and its marked words, and the bytes that these take;
        None where that cannot be done.
        """
        texts = list(self.texts)
        size = _FILLED_BYTES
        marked = self.marked
        if self.excerpt is not None:
            at, excerpt = self.excerpt
            segment = excerpt.find(wanted)
            if segment is None:
                return None
            marked = (*marked, (at, segment))
        for at, segment in marked:
            text = texts[at] = segment.show(wanted)
            if text is not segment.whole:
                # What is not marked belongs to the skeleton.
                size += text[0].size
        for at, text in zip(self.slots, own, strict=True):
            texts[at] = text
        return tuple(texts), size


def make_skeleton(parts: Sequence[Segment | ShownExcerpt | None], signature: int) -> CardSkeleton:
    """Return the skeleton of these parts; None is a slot. Raises `CannotShare`."""
    shown = [part for part in parts if not isinstance(part, Segment) or part.whole[0].wire]
    segments = [(at, part) for at, part in enumerate(shown) if isinstance(part, Segment)]
    excerpts = [(at, part) for at, part in enumerate(shown) if isinstance(part, ShownExcerpt)]
    if len(excerpts) > 1:
        raise CannotShare("a card with two excerpts")
    with_topic = [at - len(shown) for at, segment in segments if segment.whole[1]]
    numbers = {number for _, segment in segments for number, _, _ in segment.texts}
    numbers.update(number for _, excerpt in excerpts for number in excerpt.numbers)
    return CardSkeleton(
        tuple([part.whole if isinstance(part, Segment) else _BLANK for part in shown]),
        tuple([(at, segment) for at, segment in segments if segment.texts]),
        tuple([at for at, part in enumerate(shown) if part is None]),
        tuple(with_topic),
        signature,
        tuple(numbers),
        excerpts[0] if excerpts else None,
        _CARD_BYTES,
    )
