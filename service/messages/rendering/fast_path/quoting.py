"""Excerpts in skeletons of cards: the usual one, and one for each set of sentences that topics quote.

A topic whose words are not in the usual excerpt only looks up which sentences have them; cards of
other topics that quote the same sentences share the text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from markupsafe import escape

from service.messages.rendering.fast_path import symbolic
from service.messages.rendering.fragments import to_body
from service.messages.rendering.html_filters import marked_excerpt
from service.messages.rendering.text_part import text_excerpt
from service.papers.domain.types import PaperView
from service.presentation.excerpts import Excerpts, Quoted, read_excerpts
from service.presentation.highlight import Sentence, WantedWords
from service.presentation.sanitize import clean

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
    """The text around the excerpt of a card, for topics that quote other sentences than the usual.

    `number` is that of the words to quote, `marked` that of the words to mark in HTML. `wrap` makes
    lines of the excerpt in the text part, and raises `CannotShare` where the card would be tidied.
    """

    excerpts: Excerpts
    number: int
    marked: int | None
    before: tuple[Piece, ...]
    after: tuple[Piece, ...]
    wrap: Callable[[str], str]

    def write(self, quoted: Quoted, words: Callable[[int], WantedWords]) -> bytes:
        """Return the body of the whole text with these sentences; `words` gives those to mark."""
        if self.marked is None:
            pieces: list[Piece] = [self.wrap(self.excerpts.show(quoted))]
        else:
            pieces = [
                each
                if isinstance(each, str)
                else (self.excerpts.pieces[each], self.excerpts.sentences[each], self.marked)
                for each in self.excerpts.lay_out(quoted)
            ]
        written = [
            piece if isinstance(piece, str) else _mark(piece[1], words(piece[2]))
            for piece in (*self.before, *pieces, *self.after)
        ]
        return to_body("".join(written))


def _mark(sentence: Sentence, wanted: WantedWords) -> str:
    marked = sentence.mark(wanted)
    text: str = sentence.text if sentence.is_plain else escape(sentence.text)
    return clean(str(text if marked is None else marked))
