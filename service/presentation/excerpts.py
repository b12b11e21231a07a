"""Excerpts of abstracts: whole sentences that tell what was done and found, or hold a topic's words.

What depends on the paper alone is computed once and cached; of a topic's words only the sentence is
looked up. docs/excerpts.md describes the method.
"""

from __future__ import annotations

import textwrap
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Protocol, TypeAlias

from markupsafe import escape

from service.platform.caches import cached
from service.presentation.highlight import (
    Sentence,
    WantedWords,
    look_for,
    make_sentence,
    shorten,
    word_spans,
)
from service.presentation.sentences import sentence_spans
from service.presentation.telling import score_sentences

_ELLIPSIS = "…"
_GAP = f" {_ELLIPSIS} "
# A further sentence must leave a tenth of the limit free, so that excerpts are on average no longer
# than the first sentences of the same abstracts were.
_FULL = 0.9

# Of a long abstract a few sentences are quoted often.
_MOST_LAID_OUT = 16

# The numbers of the pieces that an excerpt must show for a topic's words; none for the usual excerpt.
Quoted: TypeAlias = tuple[int, ...]


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
    _laid_out: dict[Quoted, tuple[int | str, ...]] = field(default_factory=dict)
    # One pair, replaced as a whole, so threads may share it.
    _last: list[tuple[WantedWords | None, Quoted]] = field(default_factory=lambda: [(None, ())])

    @cached_property
    def usual(self) -> Quoted:
        """The numbers of the pieces that are shown where no other is quoted."""
        return self._choose(())

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        """The pieces, prepared for marking."""
        return tuple(map(make_sentence, self.pieces))

    @cached_property
    def stems(self) -> tuple[str, ...]:
        """The stems of each piece, each stem between two spaces."""
        return tuple(f" {' '.join(sentence.stems)} " for sentence in self.sentences)

    @cached_property
    def _index(self) -> tuple[str, tuple[int, ...], str]:
        """The stems of all pieces, the offset where each piece begins, the stems that are shown.

        Two pieces are two spaces apart, so no phrase is found across them.
        """
        starts = tuple(accumulate(map(len, self.stems), initial=0))
        return "".join(self.stems), starts, "".join(self.stems[number] for number in self.usual)

    def quote(self, wanted: WantedWords) -> Quoted:
        """Return what must be shown so that each of these phrases is, where the abstract has it.

        Empty where the usual excerpt shows all of them.
        """
        # The parts of a mail ask the same, one after the other.
        latest, quoted = self._last[0]
        if latest is not wanted:
            quoted = self._quote(wanted)
            self._last[0] = wanted, quoted
        return quoted

    def _quote(self, wanted: WantedWords) -> Quoted:
        stems, starts, shown = self._index
        missing: list[int] = []
        for phrase in wanted.phrases:
            if len(phrase) > 1:
                return self._quote_all(wanted)
            needle = f" {phrase[0]} "
            if needle not in shown:
                at = stems.find(needle)
                if at >= 0:
                    missing.append(bisect_right(starts, at) - 1)
        if missing and len(wanted.phrases) > 1:
            return self._quote_all(wanted)
        return tuple(missing)

    def narrow(self, wanted: WantedWords, others: str) -> WantedWords:
        """Return those of the words whose stems are in the abstract or in `others`.

        They are marked alike, and more topics have them in common.
        """
        stems = self._index[0]
        found = tuple(
            phrase
            for phrase in wanted.phrases
            if (needle := f" {' '.join(phrase)} ") in stems or needle in others
        )
        return WantedWords(found, tuple({phrase[0]: None for phrase in found}), ())

    def mark(self, number: int, wanted: WantedWords) -> str:
        """Return a piece as HTML with these words in `<mark>`, as `highlight.mark` does."""
        sentence, stems = self.sentences[number], self.stems[number]
        if not wanted.may_be_in(stems):
            return sentence.text if sentence.is_plain else str(escape(sentence.text))
        # The phrases are sorted, the longest first.
        if len(wanted.phrases[0]) > 1 or not sentence.is_plain:
            marked = sentence.mark(wanted)
            return str(escape(sentence.text) if marked is None else marked)
        found: list[int] = []
        for stem in wanted.starts:
            needle = f" {stem} "
            at = stems.find(needle)
            while at >= 0:
                found.append(stems.count(" ", 0, at))
                at = stems.find(needle, at + len(needle) - 1)
        return self._enclose(number, sorted(found))

    def _enclose(self, number: int, words: Sequence[int]) -> str:
        text, starts, ends = self.pieces[number], *self._words[number]
        written: list[str] = []
        end = 0
        for word in words:
            written += (
                text[end : starts[word]],
                "<mark>",
                text[starts[word] : ends[word]],
                "</mark>",
            )
            end = ends[word]
        return "".join((*written, text[end:]))

    @cached_property
    def _words(self) -> tuple[tuple[array[int], array[int]], ...]:
        """The offsets at which the words of each piece begin and end."""
        spans = map(word_spans, self.pieces)
        return tuple(
            (array("I", [a for a, _ in one]), array("I", [b for _, b in one])) for one in spans
        )

    def _quote_all(self, wanted: WantedWords) -> Quoted:
        added, kept = set[int](), set[int]()
        for phrase in wanted.phrases:
            holders = list(self._holders(phrase))
            if not added.isdisjoint(holders):
                continue
            shown = next((number for number in holders if number in self.usual), None)
            if shown is not None:
                kept.add(shown)
            elif holders:
                added.add(holders[0])
        return (*sorted(added), *sorted(kept)) if added else ()

    def _holders(self, phrase: tuple[str, ...]) -> Iterator[int]:
        """Yield the numbers of the pieces in which a phrase is marked."""
        stems, starts, _ = self._index
        needle = f" {' '.join(phrase)} "
        at = stems.find(needle)
        while at >= 0:
            number = bisect_right(starts, at) - 1
            # Its words may be apart, as in "a prompt, tuning".
            alone = WantedWords((phrase,), phrase[:1], ())
            if len(phrase) == 1 or self.sentences[number].mark(alone) is not None:
                yield number
            at = stems.find(needle, starts[number + 1])

    def show(self, quoted: Quoted = ()) -> str:
        """Return the excerpt that shows these pieces, and others that tell as far as they fit."""
        return "".join(
            each if isinstance(each, str) else self.pieces[each] for each in self.lay_out(quoted)
        )

    def lay_out(self, quoted: Quoted = ()) -> tuple[int | str, ...]:
        """Return the numbers of the pieces of an excerpt, with what stands between them."""
        found = self._laid_out.get(quoted)
        if found is None:
            found = self._lay_out(self._choose(quoted) if quoted else self.usual)
            if len(self._laid_out) < _MOST_LAID_OUT:
                self._laid_out[quoted] = found
        return found

    def _lay_out(self, chosen: Quoted) -> tuple[int | str, ...]:
        if not chosen:
            # All sentences are longer than the limit: the first piece of the most telling one.
            return self.ranked[:1]
        laid: list[int | str] = [chosen[0]]
        for before, number in pairwise(chosen):
            # No space follows the full stop of Chinese and Japanese.
            space = "" if self.pieces[before][-1] in "。！？" else " "
            laid += (space if number == before + 1 else _GAP, number)
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


# Each card template of the same paper needs them.
@cached("excerpts", maxsize=8_192)
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
    return excerpts.show(excerpts.quote(look_for(tuple(words)))) if words else excerpts.show()
