"""Excerpts of abstracts: whole sentences that tell what was done and found, or hold a topic's words.

What depends on the paper alone is computed once and cached; of a topic's words only the sentence is
looked up. docs/excerpts.md describes the method.
"""

from __future__ import annotations

import textwrap
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Protocol, TypeAlias

from service.platform.caches import cached
from service.presentation.highlight import (
    NumberedWords,
    WantedWords,
    WordPlaces,
    find_starts,
    look_for,
    number_words,
    shorten,
)
from service.presentation.sentences import sentence_spans
from service.presentation.telling import score_sentences

_ELLIPSIS = "…"
_GAP = f" {_ELLIPSIS} "
# A further sentence must leave a tenth of the limit free, so that excerpts are on average no longer
# than the first sentences of the same abstracts were.
_FULL = 0.9

# The numbers of the pieces that an excerpt must show for a topic's words; none for the usual excerpt.
Quoted: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ShownWords:
    """The words that an excerpt shows of an abstract's, numbered as in the excerpt.

    `pieces` has the piece of each of all `words`; `moved` says by how much the numbers of those in a shown
    piece differ.
    """

    words: NumberedWords
    pieces: Sequence[int]
    moved: Mapping[int, int]

    @property
    def stems(self) -> str:
        """Those of the whole abstract."""
        return self.words.stems

    def find(self, wanted: WantedWords) -> list[tuple[int, int]]:
        """Return the first and the last word of each phrase, as `NumberedWords.find` does."""
        moved, pieces = self.moved, self.pieces
        return [
            (first + moved[pieces[first]], last + moved[pieces[first]])
            for first, last in self.words.find(wanted)
            if pieces[first] in moved
        ]


class HasAbstract(Protocol):
    """A paper, as far as an excerpt is concerned."""

    @property
    def title(self) -> str: ...

    @property
    def abstract(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Excerpts:
    """The excerpts of one abstract in at most `limit` characters.

    `pieces` are its sentences; one longer than the limit is cut into several. `ranked` are the
    numbers of whole sentences to show, the most telling first.
    """

    pieces: tuple[str, ...]
    ranked: tuple[int, ...]
    limit: int

    @cached_property
    def usual(self) -> Quoted:
        """The numbers of the pieces that are shown where no other is quoted."""
        return self._choose(())

    @cached_property
    def _words(self) -> tuple[NumberedWords, Sequence[int]]:
        """The words of all pieces, and the piece of each; no phrase goes from one piece to the next."""
        words = number_words(_GAP.join(self.pieces))
        counts = [bisect_left(words.starts, end) for end in self._starts[1:]]
        pieces = array("H")
        for number, count in enumerate(counts):
            pieces.extend([number] * (count - len(pieces)))
        return words, pieces

    @cached_property
    def _starts(self) -> list[int]:
        """Where each piece begins where all are joined, and where one more would."""
        return list(accumulate((len(piece) + len(_GAP) for piece in self.pieces), initial=0))

    def places_in(self, which: int) -> WordPlaces:
        """Return where the words of a piece are."""
        words, pieces = self._words
        first, last = _range_of(which, pieces)
        before = self._starts[which]
        return WordPlaces(
            [at - before for at in words.starts[first:last]],
            [at - before for at in words.ends[first:last]],
        )

    def shown_words(self, quoted: Quoted) -> ShownWords:
        """Return the words of the excerpt that shows these pieces."""
        words, pieces = self._words
        moved: dict[int, int] = {}
        count = 0
        for which in self.lay_out(quoted):
            if isinstance(which, int):
                start, end = _range_of(which, pieces)
                moved[which] = count - start
                count += end - start
        return ShownWords(words, pieces, moved)

    def quote(self, wanted: WantedWords) -> Quoted:
        """Return what must be shown so that each of these phrases is, where the abstract has it.

        Empty where the usual excerpt shows all of them.
        """
        before, quoted = self._latest
        if before is not wanted:
            # Both parts of a mail ask for the same words.
            quoted = self._quote(wanted, self._holders)
            self.__dict__["_latest"] = wanted, quoted
        return quoted

    @cached_property
    def _latest(self) -> tuple[WantedWords | None, Quoted]:
        return None, ()

    def quote_once(self, wanted: WantedWords) -> Quoted:
        """Return the same for an abstract in which hardly anybody else looks for words.

        Only words are read that may begin a phrase: to number all takes longer than a whole page.
        """
        text, starts = _GAP.join(self.pieces), self._starts

        def find_holders(phrase: str) -> list[int]:
            return [bisect_right(starts, at) - 1 for at in find_starts(text, phrase)]

        return self._quote(wanted, find_holders)

    def _quote(self, wanted: WantedWords, find_holders: Callable[[str], list[int]]) -> Quoted:
        added, kept = set[int](), set[int]()
        for phrase in wanted:
            holders = find_holders(phrase)
            if added.isdisjoint(holders):
                shown = next((number for number in holders if number in self.usual), None)
                if shown is not None:
                    kept.add(shown)
                elif holders:
                    added.add(holders[0])
        return (*sorted(added), *sorted(kept)) if added else ()

    def _holders(self, phrase: str) -> list[int]:
        """Return the numbers of the pieces in which a phrase is marked."""
        words, pieces = self._words
        return [pieces[at] for at in words.places(phrase)]

    def show(self, quoted: Quoted = ()) -> str:
        """Return the excerpt that shows these pieces, and others that tell as far as they fit."""
        return "".join(
            each if isinstance(each, str) else self.pieces[each] for each in self.lay_out(quoted)
        )

    def lay_out(self, quoted: Quoted = ()) -> tuple[int | str, ...]:
        """Return the numbers of the pieces of an excerpt, with what stands between them."""
        chosen = self._choose(quoted) if quoted else self.usual
        if not chosen:
            # All sentences are longer than the limit: the first piece of the most telling one.
            return self.ranked[:1]
        laid: list[int | str] = [chosen[0]]
        for before, number in pairwise(chosen):
            end, start = self.pieces[before][-1], self.pieces[number][0]
            # No space follows the full stop of Chinese and Japanese; a piece may have an ellipsis already.
            space = "" if end in "。！？" else " "
            is_joined = number == before + 1 or _ELLIPSIS in {end, start}
            laid += (space if is_joined else _GAP, number)
        return tuple(laid)

    def _choose(self, quoted: Quoted) -> Quoted:
        """Return the numbers to show, in the order of the text."""
        chosen: list[int] = []
        used = 0
        for number in (*quoted, *self.ranked):
            most = self.limit if not chosen or number in quoted else self.limit * _FULL
            more = len(self.pieces[number]) + (len(_GAP) if chosen else 0)
            if number not in chosen and used + more <= most:
                chosen.append(number)
                used += more
        return tuple(sorted(chosen))


def _range_of(which: int, pieces: Sequence[int]) -> tuple[int, int]:
    """Return the number of a piece's first word, and the one after its last; `pieces` has the piece of each."""
    return bisect_left(pieces, which), bisect_right(pieces, which)


# Each card template of the same paper needs them.
@cached("excerpts", maxsize=4_096)
def read_excerpts(title: str, abstract: str, limit: int) -> Excerpts:
    """Return the excerpts of an abstract in at most `limit` characters; empty for a limit of 0."""
    text = " ".join(abstract.split())
    if limit <= 0 or not text:
        return Excerpts((), (), limit)
    if len(text) <= limit:
        return Excerpts((text,), (0,), limit)
    sentences = [text[start:end] for start, end in sentence_spans(text)]
    pieces = [_cut(sentence, limit) for sentence in sentences]
    starts = list(accumulate(map(len, pieces), initial=0))
    ranked = _rank(title, sentences, limit)
    shown = tuple(starts[number] for number in ranked)
    return Excerpts(tuple(piece for cut in pieces for piece in cut), shown, limit)


def _rank(title: str, sentences: Sequence[str], limit: int) -> list[int]:
    """Return the numbers of the sentences to show, the best first.

    Those that tell and fit; without such all that fit; without these the best of all. Where none
    tells, as in another language, the first are the best.
    """
    scores = score_sentences(title, sentences)
    order = list(range(len(sentences)))
    if max(scores) > 0:
        order.sort(key=lambda number: -scores[number])
    fitting = [number for number in order if len(sentences[number]) <= limit]
    telling = [number for number in fitting if scores[number] > 0]
    return telling or fitting or order[:1]


def _cut(sentence: str, limit: int) -> list[str]:
    """Return a sentence in pieces of at most `limit` characters, cut after words."""
    if len(sentence) <= limit:
        return [sentence]
    first = shorten(sentence, limit)
    rest = sentence[len(first) - len(_ELLIPSIS) :].lstrip(" ,;:(-–")
    room = max(limit - 2 * len(_ELLIPSIS), 1)
    others = textwrap.wrap(rest, width=room, break_on_hyphens=False)
    return [
        first,
        *(f"{_ELLIPSIS}{piece}{_ELLIPSIS}" for piece in others[:-1]),
        *(f"{_ELLIPSIS}{piece}" for piece in others[-1:]),
    ]


def telling_excerpt(paper: HasAbstract, limit: int, words: Sequence[str] = ()) -> str:
    """Return what an abstract tells in at most `limit` characters, with the sentences of `words`.

    Between sentences that do not follow each other stands an ellipsis.
    """
    excerpts = read_excerpts(paper.title, paper.abstract, limit)
    return excerpts.show(excerpts.quote_once(look_for(tuple(words)))) if words else excerpts.show()
