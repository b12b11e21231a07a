"""Finding the reader's words in a text, and saying the beginning of a long one."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import snowballstemmer
from markupsafe import Markup, escape

from service.platform.caches import cached

# Scripts without spaces are read letter by letter, so that a word is found inside a run of them.
_WORD = re.compile(
    r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
    r"|[^\W_\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)
# What may stand between the words of a phrase: "prompt-tuning" is "prompt tuning".
_GAP = re.compile(r"[\s\-\u2010-\u2014/_'’]{0,3}")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*(?=\s)|[。！？]")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:e\.g|i\.e|cf|vs|et al|etc|resp|approx|fig|figs|eq|eqs|sec|ref|refs|no|st|dr|prof|[a-z])\.$",
    re.IGNORECASE,
)
# More than the longest of them with its dot and what stands before it.
_TAIL = 12
_ELLIPSIS = "…"
_SHORTEST_SHARE = 0.4


@cached("word stems", maxsize=65_536)
def _stem(word: str) -> str:
    # A stemmer keeps the word it works on in itself, so threads must not share one; the cache
    # makes a new one cheap, since a language has few words.
    stemmed: str = snowballstemmer.stemmer("english").stemWord(word)
    return stemmed


def _fold(word: str) -> str:
    return _stem(word.casefold())


def mark(text: str, words: Iterable[str]) -> Markup:
    """`text` as safe HTML in which every place that says one of `words` stands in `<mark>`.

    Words agree by their English stem ("networks" finds "network"); an entry of several words
    is a phrase and is found only where its words follow each other.
    """
    return _mark(text, tuple(words))


# A paper's card is written in several ways, and some of them later than others.
@cached("marked texts", maxsize=4_096, typed=True)
def _mark(text: str, words: tuple[str, ...]) -> Markup:
    pieces: list[str] = []
    end = 0
    for start, stop in _find(text, words):
        pieces += [escape(text[end:start]), "<mark>", escape(text[start:stop]), "</mark>"]
        end = stop
    pieces.append(escape(text[end:]))
    return Markup("".join(pieces))  # noqa: S704 - each piece is escaped


def _find(text: str, words: Iterable[str]) -> Iterator[tuple[int, int]]:
    """The spans that say one of `words`: left to right, the longest first, never overlapping."""
    wanted = _look_for(tuple(words))
    found = [
        at
        for at, word in enumerate(_WORD.findall(text))
        if (word[0] in wanted.letters or word[0] > "\x7f")
        and word.casefold().startswith(wanted.beginnings)
        and _fold(word) in wanted.starts
    ]
    if not found:
        return
    tokens = list(_WORD.finditer(text))
    end = 0
    for at in found:
        if at >= end:
            length = next((len(p) for p in wanted.phrases if _stands_at(p, tokens, at, text)), 0)
            if length:
                end = at + length
                yield tokens[at].start(), tokens[end - 1].end()


class _Wanted(NamedTuple):
    """Phrases as stems, the longest first, and how to see at once that a word begins none.

    Of a stem all but the last two letters are its word's ("possibl" of "possibility"), and always
    the first: finding the stem of a word that is new takes as long as reading a whole excerpt.
    """

    phrases: list[tuple[str, ...]]
    starts: frozenset[str]
    beginnings: tuple[str, ...]
    letters: frozenset[str]


@cached("words to mark", maxsize=1_024)
def _look_for(words: tuple[str, ...]) -> _Wanted:
    phrases = {tuple(_fold(word) for word in _WORD.findall(entry)) for entry in words}
    wanted = sorted((phrase for phrase in phrases if phrase), key=len, reverse=True)
    starts = frozenset(phrase[0] for phrase in wanted)
    beginnings = tuple(stem[: max(len(stem) - 2, 1)] for stem in starts)
    letters = frozenset(letter for stem in starts for letter in (stem[0], stem[0].upper()))
    return _Wanted(wanted, starts, beginnings, letters)


def _stands_at(
    phrase: tuple[str, ...], tokens: Sequence[re.Match[str]], at: int, text: str
) -> bool:
    run = tokens[at : at + len(phrase)]
    return (
        len(run) == len(phrase)
        and all(_fold(token[0]) == stem for token, stem in zip(run, phrase, strict=True))
        and all(_GAP.fullmatch(text, one.end(), next_.start()) for one, next_ in pairwise(run))
    )


def excerpt(text: str, words: Iterable[str], reach: int = 50) -> str:
    """The first place that says one of `words`, with about `reach` characters on each side.

    It begins and ends with whole words; empty where the text says none.
    """
    text = " ".join(text.split())
    found = next(_find(text, words), None)
    if found is None:
        return ""
    start = text.rfind(" ", 0, max(0, found[0] - reach) + 1) + 1
    after = text.find(" ", found[1] + reach)
    end = len(text) if after < 0 else after
    before_it = _ELLIPSIS if start else ""
    after_it = _ELLIPSIS if end < len(text) else ""
    return f"{before_it}{text[start:end]}{after_it}"


# Asked for by each way of writing a paper's card.
@cached("first sentences", maxsize=4_096)
def first_sentences(text: str, limit: int) -> str:
    """The whole sentences at the beginning of `text` that fit in `limit` characters.

    Where the first sentence alone is too long, or where whole sentences would leave most of the
    room empty, it ends after a word with an ellipsis. White space becomes single spaces.
    """
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    if limit <= 0:
        return ""
    ends = [end for end in _sentence_ends(text[: limit + 1]) if end <= limit]
    if ends and ends[-1] >= limit * _SHORTEST_SHARE:
        return text[: ends[-1]]
    return shorten(text, limit)


def _sentence_ends(text: str) -> Iterator[int]:
    for found in _SENTENCE_END.finditer(text):
        stop = found.start() + 1
        if not _ABBREVIATION.search(text[max(0, stop - _TAIL) : stop]):
            yield found.end()


def shorten(text: str, limit: int) -> str:
    """`text` in at most `limit` characters, cut after a word and closed by an ellipsis."""
    text = " ".join(text.split())
    if len(text) <= limit:
        return text
    cut = max(limit - len(_ELLIPSIS), 0)
    # A text without spaces (Chinese, one endless word) is cut anywhere but inside a letter.
    space = text.rfind(" ", cut // 2, cut + 1)
    if space > 0:
        cut = space
    while cut > 0 and unicodedata.combining(text[cut]):
        cut -= 1
    return text[:cut].rstrip(" ,;:(-–") + _ELLIPSIS
