"""Excerpts in skeletons of cards: the usual one, and one for each set of sentences that topics quote.

A topic whose words are not in the usual excerpt only looks up which sentences have them; cards of
other topics that quote the same sentences share the text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple, TypeAlias

from service.messages.rendering.fast_path import symbolic
from service.messages.rendering.fast_path.slot_values import CannotShare
from service.messages.rendering.fragments import encode_shared_body, to_body
from service.messages.rendering.html_filters import marked_excerpt
from service.messages.rendering.paper_cards import CardText, card_text
from service.messages.rendering.text_part import text_excerpt
from service.papers.domain.types import PaperView
from service.platform.caches import Generations
from service.presentation.excerpts import Excerpts, Quoted, read_excerpts
from service.presentation.highlight import Sentence, WantedWords
from service.presentation.sanitize import clean

# Constant text, or a sentence as it is written unmarked, with the number of the words to mark in it.
Piece: TypeAlias = str | tuple[str, Sentence, int]


_NO_WORDS = WantedWords((), (), ())


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
    serial: int = field(default_factory=count().__next__)
    # Of the words around the excerpt, each between two spaces.
    stems: str = field(init=False, default="")

    def __post_init__(self) -> None:
        """Raise `CannotShare` where words are marked around the excerpt that are not marked in it."""
        pieces = (*self.before, *self.after)
        around = [piece[1:] for piece in pieces if not isinstance(piece, str)]
        if any(number != self.marked for _, number in around):
            raise CannotShare("other words marked beside an excerpt")
        stems = "".join(f" {' '.join(sentence.stems)} " for sentence, _ in around)
        object.__setattr__(self, "stems", stems)

    def text(
        self, words: Callable[[int], WantedWords], marked: Generations[CardText]
    ) -> CardText | tuple[()] | None:
        """Return the text with the sentences that a topic quotes; empty where these are the usual
        ones, None where the card must be rendered whole. `words` returns a topic's by their number.
        """
        quoted = self.excerpts.quote(words(self.number))
        if not quoted:
            return ()
        wanted = _NO_WORDS
        if self.marked is not None:
            wanted = self.excerpts.narrow(words(self.marked), self.stems)
        key = ("quoted", self.serial, quoted, wanted.phrases)
        found = marked.get(key)
        if found is None:
            try:
                body = self._write(quoted, wanted)
            except CannotShare:
                return None
            found = marked.add(key, card_text(encode_shared_body(body)))
        return found

    def _write(self, quoted: Quoted, wanted: WantedWords) -> bytes:
        if self.marked is None:
            excerpt = self.wrap(self.excerpts.show(quoted))
        else:
            excerpt = "".join(
                each if isinstance(each, str) else clean(self.excerpts.mark(each, wanted))
                for each in self.excerpts.lay_out(quoted)
            )
        before, after = (
            "".join(one if isinstance(one, str) else _mark(one, wanted) for one in pieces)
            for pieces in (self.before, self.after)
        )
        return to_body(f"{before}{excerpt}{after}")


def _mark(piece: tuple[str, Sentence, int], wanted: WantedWords) -> str:
    marked = piece[1].mark(wanted)
    return piece[0] if marked is None else clean(str(marked))
