"""Highlighting of words in a text, and excerpts of long texts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import snowballstemmer
from markupsafe import Markup, escape

from service.platform.caches import cached
from service.presentation.sentences import sentence_ends

# Scripts without spaces are split into letters, so that a word is found inside a run of them.
_WORD = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
    r"|[^\W_\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)
# What may stand between the words of a phrase: "prompt-tuning" is "prompt tuning".
_GAP = re.compile(r"[\s\-\u2010-\u2014/_'’]{0,3}")
_ELLIPSIS = "…"
_SHORTEST_SHARE = 0.4


@cached("word stems", maxsize=65_536)
def _stem(word: str) -> str:
    # A stemmer is stateful, so threads must not share one; thanks to the cache few are made.
    stemmed: str = snowballstemmer.stemmer("english").stemWord(word)
    return stemmed


def _fold(word: str) -> str:
    return _stem(word.casefold())


def mark(text: str, words: Iterable[str]) -> Markup:
    """Return `text` as safe HTML with every occurrence of `words` in `<mark>`.

    Words match by their English stem ("networks" finds "network"); an entry of several words
    is a phrase and matches only where its words follow each other.
    """
    return _mark(text, tuple(words))


# The same paper is rendered with several card templates, at different times.
@cached("marked texts", maxsize=4_096, typed=True)
def _mark(text: str, words: tuple[str, ...]) -> Markup:
    return _enclose(text, _find(text, words))


def _enclose(
    text: str, spans: Iterable[tuple[int, int]], write: Callable[[str], str] = escape
) -> Markup:
    pieces: list[str] = []
    end = 0
    for start, stop in spans:
        pieces += [write(text[end:start]), "<mark>", write(text[start:stop]), "</mark>"]
        end = stop
    pieces.append(write(text[end:]))
    return Markup("".join(pieces))  # noqa: S704 - each piece is escaped


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that is marked for many topics: its words are stemmed once."""

    text: str
    stems: tuple[str, ...]
    is_plain: bool

    def mark(self, wanted: WantedWords) -> Markup | None:
        """Return what `mark` returns for the same words; None where none of them occurs."""
        found = [at for at, stem in enumerate(self.stems) if stem in wanted.starts]
        if not found:
            return None
        spans = list(_spans(self.text, wanted, found))
        return _enclose(self.text, spans, str if self.is_plain else escape) if spans else None


# Each card of the same paper needs them.
@cached("sentences to mark", maxsize=4_096)
def sentences(text: str) -> tuple[Sentence, ...]:
    """Return the sentences of a text, which together are the text.

    No phrase crosses their ends, so marking each is marking the whole: what ends a sentence is none
    of the characters that may stand between the words of a phrase.
    """
    bounds = dict.fromkeys((0, *sentence_ends(text), len(text)))
    return tuple(make_sentence(text[start:end]) for start, end in pairwise(bounds))


def make_sentence(text: str) -> Sentence:
    """Return a text that holds no end of a sentence but its own, prepared for marking."""
    return Sentence(text, tuple(map(_fold, _WORD.findall(text))), escape(text) == text)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return where the words of a text begin and end; their stems are those of `make_sentence`."""
    return [word.span() for word in _WORD.finditer(text)]


def _find(text: str, words: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield the spans of `words`: left to right, the longest first, never overlapping."""
    wanted = look_for(tuple(words))
    # Stemming a word that is not cached takes as long as scanning a whole excerpt. All but the last
    # two letters of a stem, and always the first, begin its word too ("possibl" of "possibility").
    beginnings = tuple(stem[: max(len(stem) - 2, 1)] for stem in wanted.starts)
    letters = {letter for stem in wanted.starts for letter in (stem[0], stem[0].upper())}
    found = [
        at
        for at, word in enumerate(_WORD.findall(text))
        if (word[0] in letters or word[0] > "\x7f")
        and word.casefold().startswith(beginnings)
        and _fold(word) in wanted.starts
    ]
    if found:
        yield from _spans(text, wanted, found)


def _spans(text: str, wanted: WantedWords, found: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the spans of phrases that begin at the words numbered in `found`."""
    tokens = list(_WORD.finditer(text))
    end = 0
    for at in found:
        if at >= end:
            length = next((len(p) for p in wanted.phrases if _stands_at(p, tokens, at, text)), 0)
            if length:
                end = at + length
                yield tokens[at].start(), tokens[end - 1].end()


class WantedWords(NamedTuple):
    """Phrases as stems, the longest first; `starts` are their first stems, `words` as given."""

    phrases: tuple[tuple[str, ...], ...]
    starts: tuple[str, ...]
    words: tuple[str, ...]

    def may_be_in(self, stems: str) -> bool:
        """Return whether one of the words occurs among stems, each between two spaces."""
        for start in self.starts:  # noqa: SIM110 - each card asks; a generator takes twice as long
            if f" {start} " in stems:
                return True
        return False


@cached("words to mark", maxsize=1_024)
def look_for(words: tuple[str, ...]) -> WantedWords:
    """Return the words to mark, prepared for many texts."""
    phrases = {tuple(_fold(word) for word in _WORD.findall(entry)) for entry in words}
    wanted = sorted((phrase for phrase in phrases if phrase), key=len, reverse=True)
    return WantedWords(tuple(wanted), tuple({phrase[0]: None for phrase in wanted}), words)


def _stands_at(
    phrase: tuple[str, ...], tokens: Sequence[re.Match[str]], at: int, text: str
) -> bool:
    run = tokens[at : at + len(phrase)]
    return (
        len(run) == len(phrase)
        and all(_fold(token[0]) == stem for token, stem in zip(run, phrase, strict=True))
        and all(_GAP.fullmatch(text, a.end(), b.start()) for a, b in pairwise(run))
    )


def excerpt(text: str, words: Iterable[str], reach: int = 50) -> str:
    """Return the first occurrence of `words` with about `reach` characters on each side.

    The excerpt begins and ends with whole words; it is empty where no word occurs.
    """
    text = " ".join(text.split())
    found = next(_find(text, words), None)
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
