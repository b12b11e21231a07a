"""Segments: what a card shows between two slots of its note, encoded once, with its words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from markupsafe import Markup, escape

from service.messages.rendering.fast_path.skeletons import constant
from service.messages.rendering.fragments import (
    encode_shared,
    move_places,
    put_marks,
    small_numbers,
    to_body,
)
from service.messages.rendering.paper_cards import CardText, card_text
from service.presentation.formulas import Formula, find_formulas
from service.presentation.highlight import WantedWords, WordPlaces, mark

_SEGMENT_BYTES, _PLACE_BYTES = 300, 2
# Between two slots of a note most cards have the same few letters.
SHORT = 48
# What is not one octet that is written as it is.
_WRITTEN_OTHERWISE = re.compile("[^ !#-%(-;=?-~]")


class Words(Protocol):
    """The words of a text, and how to find some; `stems` has at least theirs."""

    @property
    def stems(self) -> str: ...

    def find(self, wanted: WantedWords) -> list[tuple[int, int]]: ...


@dataclass(frozen=True, slots=True)
class MarkedText:
    """A text as it is written unmarked, the number of what is marked in it, and what finds that.

    `places` are the start and the end of each word, in octets; those of a formula are all of it.
    """

    written: str
    number: int
    words: Words | None
    places: Sequence[int]
    has_formulas: bool


# Constant text, or one in which words are marked.
Piece: TypeAlias = str | MarkedText


def read_marked(
    text: str, number: int, write: Callable[[Any], str], spans: WordPlaces
) -> MarkedText | None:
    """Return a text as `write` writes it; None where its parts are written otherwise.

    `spans` are its words; who finds those to mark is not known yet.
    """
    formulas = find_formulas(text)
    pieces: list[str] = []
    # Up to which character the text has grown, and by how many octets.
    longer: list[tuple[int, int]] = []
    at = growth = 0
    for start, end, html in _written_otherwise(text, formulas):
        other = write(Markup(html))  # noqa: S704 - of an escaped character, or of a formula
        pieces += (text[at:start], other)
        growth += len(to_body(other)) - (end - start)
        longer.append((end, growth))
        at = end
    written = write(mark(text, ()))
    if "".join((*pieces, text[at:])) != written:
        return None
    starts, ends = list(spans.starts), list(spans.ends)
    for one in formulas:
        for at_word, (start, end) in enumerate(zip(*spans, strict=True)):
            if one.start < end and start < one.end:
                starts[at_word] = min(starts[at_word], one.start)
                ends[at_word] = max(ends[at_word], one.end)
    places = [place for both in zip(starts, ends, strict=True) for place in both]
    moved = small_numbers(move_places(places, longer))
    return MarkedText(written, number, None, moved, bool(formulas))


def _written_otherwise(text: str, formulas: Sequence[Formula]) -> Iterator[tuple[int, int, str]]:
    """Yield the start, the end and the HTML of what does not stand for itself."""
    at = 0
    for start, end, html in (*formulas, Formula(len(text), len(text), "")):
        for found in _WRITTEN_OTHERWISE.finditer(text, at, start):
            yield found.start(), found.end(), escape(found[0])
        if html:
            yield start, end, html
        at = end


@dataclass(frozen=True, slots=True)
class Segment:
    """A card's text between two slots of its note; `whole` is as a note that marks nothing shows it.

    `texts` are those in which words are marked: the number of what is marked, the words, and how many
    words of the segment are before. `places` are the start and the end of each word, in octets of its
    body.
    """

    whole: CardText
    places: Sequence[int]
    texts: tuple[tuple[int, Words, int], ...]
    has_formulas: bool

    @property
    def size(self) -> int:
        """The bytes that a cache keeps for it."""
        return _SEGMENT_BYTES + self.whole[0].size + _PLACE_BYTES * len(self.places)

    def find(self, wanted: Mapping[int, WantedWords]) -> list[tuple[int, int]]:
        """Return the first and the last word of all that is to be marked, in order."""
        if len(self.texts) == 1 and not self.has_formulas:
            number, words, _ = self.texts[0]
            return words.find(wanted[number])
        spans: list[tuple[int, int]] = []
        for number, words, before in self.texts:
            found = words.find(wanted[number])
            spans += [(first + before, last + before) for first, last in found] if before else found
        return self._joined(spans) if self.has_formulas and len(spans) > 1 else spans

    def _joined(self, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return spans of which those that have a formula in common are one."""
        joined = spans[:1]
        for first, last in spans[1:]:
            if self.places[2 * first] < self.places[2 * joined[-1][1] + 1]:
                joined[-1] = (joined[-1][0], last)
            else:
                joined.append((first, last))
        return joined

    def show(self, wanted: Mapping[int, WantedWords]) -> CardText:
        """Return the text with these words marked, by the number of what is marked."""
        for number, words, _ in self.texts:
            stems = words.stems
            for phrase in wanted[number]:
                if phrase in stems:
                    return self._marked(wanted)
        return self.whole

    def _marked(self, wanted: Mapping[int, WantedWords]) -> CardText:
        spans = self.find(wanted)
        if not spans:
            return self.whole
        plain, has_topic = self.whole
        places = self.places
        octets = [(places[2 * first], places[2 * last + 1]) for first, last in spans]
        return put_marks(plain, octets), has_topic


def make_segment(pieces: Sequence[Piece], shown: tuple[int, Words] | None = None) -> Segment:
    """Return the segment of these pieces, encoded.

    `shown` is the number of what is marked in all of them, where their words have one order.
    """
    texts: list[tuple[int, Words, int]] = [(*shown, 0)] if shown else []
    places: list[int] = []
    written = ""
    for piece in pieces:
        if isinstance(piece, str):
            written += piece
        else:
            at = len(to_body(written))
            if piece.words is not None:
                texts.append((piece.number, piece.words, len(places) // 2))
            places += [at + place for place in piece.places]
            written += piece.written
    whole = (constant if len(written) < SHORT else encode_shared)(written)
    has_formulas = any(isinstance(piece, MarkedText) and piece.has_formulas for piece in pieces)
    return Segment(card_text(whole), small_numbers(places), tuple(texts), has_formulas)
