"""Words that weigh: BM25 with its paper side frozen, so that no stored paper is ever computed again.

BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) is a sum over shared
words of (how much the paper says the word) * (how rare the word is). The first factor needs nothing
but the paper once the average length is a constant; the second stands in the probe.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Final
from zlib import crc32

from service.papers.domain.tsvector import Lexemes
from service.similarity.domain.lexeme_frequencies import SHIPPED_COUNTS, SHIPPED_PAPERS
from service.similarity.domain.vectors import (
    LIKE_QUERY_LEXEMES,
    PROBE_LIMIT,
    SPARSE_DIMENSIONS,
    SPARSE_LIMIT,
    Sparse,
)

# Measured on judged lists (docs/relevance.md): near these values little depends on them.
TITLE_WEIGHT: Final = 2
SATURATION: Final = 1.2
LENGTH_SHARE: Final = 0.75
AVERAGE_LENGTH: Final = 160.0
"""Lexemes of a title (twice) and an abstract, over 48,000 papers of arXiv. Never to be changed."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """In how many of `paper_count` papers a lexeme stands, for the lexemes that matter now."""

    paper_count: int
    counts: Mapping[str, int]

    def count(self, lexeme: str) -> int:
        return self.counts.get(lexeme, 0)


class ShippedCorpus:
    """The stand-in for a database with few papers: how common the commonest lexemes are on arXiv.

    A lexeme that is not among them is taken for one that stands in one paper of a thousand.
    """

    paper_count = SHIPPED_PAPERS

    def count(self, lexeme: str) -> int:
        return SHIPPED_COUNTS.get(lexeme_key(lexeme), SHIPPED_PAPERS // 1000)


def lexeme_key(lexeme: str) -> int:
    """The number under which a lexeme is stored; two may share one, once in a million pairs."""
    return crc32(lexeme.encode()) % SPARSE_DIMENSIONS


def weigh_paper(title: Lexemes, abstract: Lexemes) -> dict[str, int]:
    """How much a paper says each of its lexemes, 1 to 255: the part of BM25 that is the paper's.

    `title` and `abstract` are what Postgres computed, with positions.
    """
    said = {lexeme: float(len(places) or 1) for lexeme, places in abstract.items()}
    for lexeme, places in title.items():
        said[lexeme] = said.get(lexeme, 0.0) + TITLE_WEIGHT * (len(places) or 1)
    length = sum(said.values()) / AVERAGE_LENGTH
    half = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * length)
    return {
        lexeme: max(1, round(SPARSE_LIMIT * count / (count + half)))
        for lexeme, count in said.items()
    }


def weigh_text(lexemes: Lexemes, corpus: Corpus | ShippedCorpus) -> dict[str, float]:
    """How much each lexeme of a description matters: rarity, and a little for being repeated."""
    return {
        lexeme: rarity(corpus, lexeme) * 2 * len(places) / (len(places) + 1)
        for lexeme, places in lexemes.items()
        if places
    }


def rarity(corpus: Corpus | ShippedCorpus, lexeme: str) -> float:
    """Robertson and Spärck Jones' inverse document frequency, never below zero."""
    count = min(corpus.count(lexeme), corpus.paper_count)
    return log(1 + (corpus.paper_count - count + 0.5) / (count + 0.5))


def pack_paper(weights: Mapping[str, int]) -> Sparse:
    """A paper's weights by key. Lexemes that share a key share its weight."""
    return _pack(weights, SPARSE_LIMIT)


def pack_like_query(weights: Mapping[str, float]) -> Sparse:
    """A probe's heaviest lexemes by key, the heaviest at the limit."""
    heaviest = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))[:LIKE_QUERY_LEXEMES]
    if not heaviest:
        return ()
    scale = PROBE_LIMIT / heaviest[0][1]
    return _pack({lexeme: round(weight * scale) for lexeme, weight in heaviest}, PROBE_LIMIT)


def _pack(weights: Mapping[str, int], limit: int) -> Sparse:
    by_key: dict[int, int] = {}
    for lexeme, weight in weights.items():
        key = lexeme_key(lexeme)
        by_key[key] = min(limit, by_key.get(key, 0) + weight)
    return tuple(sorted((key, weight) for key, weight in by_key.items() if weight))
