"""Highlighting of words in a text, and excerpts of long texts."""

from __future__ import annotations

import re
import sys
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, TypeAlias

from markupsafe import Markup, escape
from Stemmer import Stemmer

from service.platform.caches import cached
from service.presentation.formulas import find_formulas, widen, write
from service.presentation.sentences import sentence_ends

# Scripts without spaces are split into letters, so that a word is found inside a run of them.
_WORD = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
    r"|[^\W_\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)
_WORD_APART = re.compile(f"({_WORD.pattern})")
# What may stand between the words of a phrase: "prompt-tuning" is "prompt tuning".
_GAP = re.compile(r"[\s\-\u2010-\u2014/_'’]{0,3}")
_NEXT_WORD = re.compile(f"{_GAP.pattern}({_WORD.pattern})")
# Before and after each stem of a text or a phrase; no word holds it.
_EDGE = "\0"
# Phrases, the longest first, each as `NumberedWords.stems` has them.
WantedWords: TypeAlias = tuple[str, ...]
_ELLIPSIS = "…"
_SHORTEST_SHARE = 0.4


# By the word as it is written, so that a known one costs nothing but the look-up.
@cached("word stems", maxsize=65_536)
def _fold(word: str) -> str:
    # A stemmer is stateful, so threads must not share one; thanks to the cache few are made.
    return sys.intern(Stemmer("english", 0).stemWord(word.casefold()))


def mark(text: str, words: Iterable[str]) -> Markup:
    """Return `text` as safe HTML, its formulas typeset, with every occurrence of `words` in `<mark>`.

    Words match by their English stem ("networks" finds "network"); an entry of several words
    is a phrase and matches only where its words follow each other.
    """
    return _mark(text, tuple(words))


# The same paper is rendered with several card templates, at different times.
@cached("marked texts", maxsize=1_024, typed=True)
def _mark(text: str, words: tuple[str, ...]) -> Markup:
    formulas = find_formulas(text)
    spans = list(find_spans(text, words))
    if not (spans or formulas):
        return escape(text)
    pieces: list[str] = []
    end = 0
    for start, stop in widen(spans, formulas):
        pieces += (
            write(text, formulas, end, start),
            "<mark>",
            write(text, formulas, start, stop),
            "</mark>",
        )
        end = stop
    pieces.append(write(text, formulas, end, len(text)))
    return Markup("".join(pieces))  # noqa: S704 - each piece is escaped


def find_spans(text: str, words: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield the spans of `words` in characters: left to right, never overlapping.

    As `NumberedWords.find`, but only words that may begin a phrase are stemmed: to number all words of a
    text takes five times as long, which pays only where many topics look for theirs.
    """
    yield from _find_phrases(str(text), look_for(tuple(words)))


def _find_phrases(text: str, wanted: WantedWords) -> Iterator[tuple[int, int]]:
    phrases, beginnings = _prepare(wanted)
    free = 0
    for at in _find_places(text, beginnings):
        if at < free or not _is_start(text, at) or not (word := _WORD.match(text, at)):
            continue
        for others in phrases.get(_fold(word[0]), ()):
            end = _end_of(text, word.end(), others)
            if end:
                free = end
                yield at, end
                break


# Each sentence of an abstract is searched for the same phrases.
@cached("phrases to find", maxsize=1_024)
def _prepare(wanted: WantedWords) -> tuple[dict[str, list[list[str]]], list[str]]:
    """Return what follows the first stem of each phrase, and how words with these stems begin."""
    phrases: dict[str, list[list[str]]] = {}
    for phrase in wanted:
        first, *others = phrase[1:-1].split(_EDGE)
        phrases.setdefault(first, []).append(others)
    return phrases, sorted({_beginning(stem) for stem in phrases})


def _find_places(text: str, beginnings: Sequence[str]) -> Iterable[int]:
    """Return where words may begin so, in order; where all words do where that cannot be told."""
    folded = text.casefold()
    # ß is folded to ss, which moves what follows.
    if len(folded) != len(text):
        return [word.start() for word in _WORD.finditer(text)]
    places: list[int] = []
    for each in beginnings:
        at = folded.find(each)
        while at >= 0:
            places.append(at)
            at = folded.find(each, at + 1)
    return sorted(places) if len(beginnings) > 1 else places


def _is_start(text: str, at: int) -> bool:
    """Return whether no word goes on at a place, as `_WORD` finds them from left to right."""
    if not at or not text[at - 1].isalnum():
        return True
    before = _WORD.match(text, at - 1)
    return before is None or before.end() == at


def _end_of(text: str, end: int, others: Sequence[str]) -> int:
    """Return where a phrase ends whose first word ends at `end`; 0 where it goes on otherwise."""
    for stem in others:
        word = _NEXT_WORD.match(text, end)
        if word is None or _fold(word[1]) != stem:
            return 0
        end = word.end()
    return end


class WordPlaces(NamedTuple):
    """The first character of each word of a text, and the one after its last."""

    starts: Sequence[int]
    ends: Sequence[int]


@dataclass(frozen=True, slots=True)
class NumberedWords:
    """The words of a text in which many topics look for theirs, numbered and stemmed once.

    `starts` and `ends` are in characters, `stems` is one string. `is_next` is 1 for each word but the
    first that may follow the one before in a phrase.
    """

    starts: Sequence[int]
    ends: Sequence[int]
    stems: str
    is_next: bytes

    @property
    def spans(self) -> WordPlaces:
        """Where the words are."""
        return WordPlaces(self.starts, self.ends)

    def find(self, wanted: WantedWords) -> list[tuple[int, int]]:
        """Return the first and the last word of each phrase: left to right, the longest, none overlapping."""
        found: list[tuple[int, int]] = []
        for phrase in wanted:
            if phrase in self.stems:
                joints = phrase.count(_EDGE) - 2
                found += [(at, -at - joints) for at in self.places(phrase)]
        found.sort()
        spans: list[tuple[int, int]] = []
        end = -1
        for at, last in found:
            if at > end:
                end = -last
                spans.append((at, end))
        return spans

    def places(self, phrase: str) -> list[int]:
        """Return the first word of a phrase of `WantedWords` wherever it occurs."""
        places: list[int] = []
        stems, joints = self.stems, phrase.count(_EDGE) - 2
        at = stems.find(phrase)
        while at >= 0:
            word = stems.count(_EDGE, 0, at)
            if not joints or all(self.is_next[word : word + joints]):
                places.append(word)
            at = stems.find(phrase, at + 1)
        return places


# Each card of the same paper needs them.
@cached("numbered words", maxsize=256)
def words_of(text: str) -> NumberedWords:
    """Return what `number_words` returns, and keep it."""
    return number_words(text)


def number_words(text: str) -> NumberedWords:
    """Return the words of a text."""
    # Markup would check each slice. Gaps and words in turn, a gap first and last:
    pieces = _WORD_APART.split(str(text))
    places = array("H" if len(text) < 1 << 16 else "L", accumulate(map(len, pieces)))
    stems = _EDGE.join(["", *map(_fold, pieces[1::2]), ""])
    # Nearly all are one space.
    is_next = [gap == " " or _GAP.fullmatch(gap) is not None for gap in pieces[2:-1:2]]
    return NumberedWords(places[:-1:2], places[1::2], stems, bytes(is_next))


def find_starts(text: str, phrase: str) -> Iterator[int]:
    """Yield where a phrase of `WantedWords` begins in a text, as `find_spans` finds it."""
    for start, _ in _find_phrases(text, (phrase,)):
        yield start


def _beginning(stem: str) -> str:
    """Return how every word with this stem begins."""
    # The stemmer changes the last two letters of a stem at most: "probability" is "probabl", "dying" "die".
    return stem[: max(1, len(stem) - 2)]


@cached("words to mark", maxsize=1_024)
def look_for(words: tuple[str, ...]) -> WantedWords:
    """Return the words to mark, prepared for many texts."""
    phrases = {tuple(_fold(word) for word in _WORD.findall(entry)) for entry in words}
    wanted = sorted((phrase for phrase in phrases if phrase), key=len, reverse=True)
    return tuple([_EDGE.join(("", *phrase, "")) for phrase in wanted])


def excerpt(text: str, words: Iterable[str], reach: int = 50) -> str:
    """Return the first occurrence of `words` with about `reach` characters on each side.

    The excerpt begins and ends with whole words; it is empty where no word occurs.
    """
    text = " ".join(text.split())
    found = next(find_spans(text, words), None)
    if found is None:
        return ""
    start = text.rfind(" ", 0, max(0, found[0] - reach) + 1) + 1
    after = text.find(" ", found[1] + reach)
    end = len(text) if after < 0 else after
    return _ELLIPSIS * (start > 0) + text[start:end] + _ELLIPSIS * (end < len(text))


# Each card template of the same paper needs it.
@cached("first sentences", maxsize=4_096)
def first_sentences(text: str, limit: int) -> str:
    """Return the first whole sentences of `text` that fit in `limit` characters.

    If the first sentence is too long, or whole sentences would fill less than 40% of the limit,
    the text is cut after a word, with an ellipsis. White space becomes single spaces.
    """
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    if limit <= 0:
        return ""
    ends = [end for end in sentence_ends(text[: limit + 1]) if end <= limit]
    if ends and ends[-1] >= limit * _SHORTEST_SHARE:
        return text[: ends[-1]]
    return shorten(text, limit)


def shorten(text: str, limit: int) -> str:
    """Return `text` in at most `limit` characters, cut after a word, with an ellipsis."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    cut = max(limit - len(_ELLIPSIS), 0)
    # A text without spaces (Chinese, one endless word) is cut anywhere, but not inside a letter.
    space = text.rfind(" ", cut // 2, cut + 1)
    if space > 0:
        cut = space
    while cut > 0 and unicodedata.combining(text[cut]):
        cut -= 1
    return text[:cut].rstrip(" ,;:(-–") + _ELLIPSIS
