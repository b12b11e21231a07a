"""Finding the reader's words in a text, and saying the beginning of a long one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise

import snowballstemmer
from markupsafe import Markup, escape

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
_ELLIPSIS = "…"
_SHORTEST_SHARE = 0.4


@lru_cache(maxsize=65_536)
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
    pieces: list[str | Markup] = []
    end = 0
    for start, stop in _find(text, words):
        pieces += [escape(text[end:start]), Markup("<mark>"), escape(text[start:stop])]
        pieces.append(Markup("</mark>"))
        end = stop
    pieces.append(escape(text[end:]))
    return Markup("").join(pieces)


def _find(text: str, words: Iterable[str]) -> Iterator[tuple[int, int]]:
    """The spans that say one of `words`: left to right, the longest first, never overlapping."""
    phrases = {tuple(_fold(word) for word in _WORD.findall(entry)) for entry in words}
    wanted = sorted((phrase for phrase in phrases if phrase), key=len, reverse=True)
    if not wanted:
        return
    tokens = list(_WORD.finditer(text))
    stems = [_fold(token.group()) for token in tokens]
    at = 0
    while at < len(tokens):
        length = next((len(p) for p in wanted if _stands_at(p, at, tokens, stems, text)), 0)
        if length:
            yield tokens[at].start(), tokens[at + length - 1].end()
        at += length or 1


def _stands_at(
    phrase: tuple[str, ...], at: int, tokens: list[re.Match[str]], stems: list[str], text: str
) -> bool:
    if stems[at] != phrase[0] or tuple(stems[at : at + len(phrase)]) != phrase:
        return False
    run = tokens[at : at + len(phrase)]
    return all(_GAP.fullmatch(text, one.end(), next_.start()) for one, next_ in pairwise(run))


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
        if not _ABBREVIATION.search(text[: found.start() + 1]):
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
