"""Excerpts in skeletons of cards: the usual one, and one for each set of sentences that topics quote.

A topic whose words are not in the usual excerpt only looks up which sentences have them; cards of
other topics that quote the same sentences share the text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from service.messages.rendering.fast_path import symbolic
from service.messages.rendering.html_filters import marked_excerpt
from service.messages.rendering.text_part import text_excerpt
from service.papers.domain.types import PaperView
from service.presentation.excerpts import Excerpts, Quoted, read_excerpts
from service.presentation.highlight import Sentence

# Constant text, or a sentence as it is written unmarked, with the number of the words to mark in it.
Piece: TypeAlias = str | tuple[str, Sentence, int]


class ExcerptCall(NamedTuple):
    """A slot for the excerpt of a paper that has no AI summary; `words` are marked in HTML."""

    excerpts: Excerpts
    quoted: symbolic.SymbolicValue
    words: symbolic.SymbolicValue | None


def excerpt_call(value: symbolic.SymbolicValue) -> ExcerptCall | None:
    """Return the excerpt that a slot is for; None where it is for something else."""
    quoted: object
    words: object
    match symbolic.spec_of(value).call:
        case (function, (PaperView() as paper, int() as limit, quoted, words)) if (
            function is marked_excerpt
        ):
            pass
        case (function, (PaperView() as paper, int() as limit, quoted)) if function is text_excerpt:
            words = None
        case _:
            return None
    if (
        paper.summary
        or not isinstance(quoted, symbolic.SymbolicValue)
        or not isinstance(words, symbolic.SymbolicValue | None)
    ):
        return None
    return ExcerptCall(read_excerpts(paper.title, paper.abstract, limit), quoted, words)


@dataclass(frozen=True, slots=True)
class Quoting:
    """The excerpt of a card's segment: `number` is that of the words to quote.

    `pieces` returns the segment's pieces with an excerpt; it may raise `CannotShare`.
    """

    excerpts: Excerpts
    number: int
    pieces: Callable[[str], list[Piece]]

    def with_quoted(self, quoted: Quoted) -> list[Piece]:
        """Return the segment's pieces with the excerpt that shows these sentences."""
        return self.pieces(self.excerpts.show(quoted))
