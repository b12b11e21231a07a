"""Excerpts in cards: one segment for each choice of sentences.

A topic whose words are in other sentences than the usual ones only looks up which.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from service.messages.rendering.digest_phrases import excerpts_of
from service.messages.rendering.fast_path import symbolic
from service.messages.rendering.fast_path.segments import Segment
from service.messages.rendering.fast_path.slot_values import CannotShare
from service.messages.rendering.html_filters import marked_excerpt
from service.messages.rendering.text_part import text_excerpt
from service.papers.domain.types import PaperView
from service.presentation.excerpts import Excerpts, Quoted
from service.presentation.highlight import WantedWords


class ExcerptCall(NamedTuple):
    """What a slot for an excerpt says; `words` are marked in it, None in the text part."""

    paper: PaperView
    excerpts: Excerpts
    quoted: symbolic.SymbolicValue
    words: symbolic.SymbolicValue | None


def excerpt_call(value: symbolic.SymbolicValue) -> ExcerptCall | None:
    """Return the excerpt that a slot is for; None where it is for something else."""
    match symbolic.spec_of(value).call:
        case (
            function,
            (
                PaperView() as paper,
                int() as limit,
                symbolic.SymbolicValue() as quoted,
                symbolic.SymbolicValue() as words,
            ),
        ) if function is marked_excerpt:
            return ExcerptCall(paper, excerpts_of(paper, limit), quoted, words)
        case (
            function,
            (PaperView() as paper, int() as limit, symbolic.SymbolicValue() as quoted),
        ) if function is text_excerpt:
            return ExcerptCall(paper, excerpts_of(paper, limit), quoted, None)
    return None


@dataclass(slots=True)
class ShownExcerpt:
    """The excerpt of a card. `numbers` are those of the words to quote, and of those to mark in HTML.

    `make` returns the segment of an excerpt that shows these sentences; it may raise `CannotShare`.
    `size` is in bytes, with the segments made so far; `grow` tells the cache what each adds.
    """

    excerpts: Excerpts
    numbers: tuple[int, ...]
    make: Callable[[Quoted], Segment]
    grow: Callable[[int], None]
    size: int = 500
    _made: dict[Quoted, Segment | None] = field(default_factory=dict)

    def find(self, wanted: Mapping[int, WantedWords]) -> Segment | None:
        """Return the segment of the excerpt for these words; None where it cannot be shared."""
        return self.segment(self.excerpts.quote(wanted[self.numbers[0]]))

    def segment(self, quoted: Quoted) -> Segment | None:
        """Return the segment that shows these sentences."""
        if quoted not in self._made:
            try:
                made = self._made[quoted] = self.make(quoted)
                self.size += made.size
                self.grow(made.size)
            except CannotShare:
                self._made[quoted] = None
        return self._made[quoted]
