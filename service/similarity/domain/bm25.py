"""BM25 weights with a frozen average length, so that no stored paper is ever recomputed.

BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) is a sum over shared
words of (term frequency factor) * (inverse document frequency). The first factor depends on the
paper alone once the average length is a constant; the second is part of the like query.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Final
from zlib import crc32

from service.papers.domain.tsvector import Lexemes
from service.similarity.domain import vectors
from service.similarity.domain.lexeme_frequencies import SHIPPED_COUNTS, SHIPPED_PAPERS

# Measured on judged lists (docs/relevance.md): small changes have little effect.
TITLE_WEIGHT: Final = 2
SATURATION: Final = 1.2
LENGTH_SHARE: Final = 0.75
AVERAGE_LENGTH: Final = 160.0
"""Mean lexemes of a title (twice) and an abstract in 48,000 arXiv papers. Must never change."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Document frequencies among `paper_count` papers, for the lexemes that are needed."""

    paper_count: int
    counts: Mapping[str, int]

    def count(self, lexeme: str) -> int:
        """Return how many papers contain the lexeme."""
        return self.counts.get(lexeme, 0)


class ShippedCorpus:
    """Shipped document frequencies of arXiv's most common lexemes, for a database with few papers.

    A lexeme that is not among them counts as one in a thousandth of the papers.
    """

    paper_count = SHIPPED_PAPERS

    def count(self, lexeme: str) -> int:
        """Return how many of `paper_count` papers contain the lexeme."""
        return SHIPPED_COUNTS.get(lexeme_key(lexeme), SHIPPED_PAPERS // 1000)


def lexeme_key(lexeme: str) -> int:
    """Return the key (hash) under which a lexeme is stored; one pair in a million shares a key."""
    return crc32(lexeme.encode()) % vectors.SPARSE_DIMENSIONS


def weigh_paper(title: Lexemes, abstract: Lexemes) -> dict[str, int]:
    """Return the term frequency factor of BM25 for each lexeme of a paper, scaled to 1 to 255.

    `title` and `abstract` are lexemes with positions, as Postgres computed them.
    """
    counts = {lexeme: float(len(places) or 1) for lexeme, places in abstract.items()}
    for lexeme, places in title.items():
        counts[lexeme] = counts.get(lexeme, 0.0) + TITLE_WEIGHT * (len(places) or 1)
    length = sum(counts.values()) / AVERAGE_LENGTH
    half = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * length)
    return {
        lexeme: max(1, round(vectors.SPARSE_LIMIT * count / (count + half)))
        for lexeme, count in counts.items()
    }


def weigh_text(lexemes: Lexemes, corpus: Corpus | ShippedCorpus) -> dict[str, float]:
    """Return the weight of each lexeme of a description: rarity, a little more if repeated."""
    return {
        lexeme: rarity(corpus, lexeme) * 2 * len(places) / (len(places) + 1)
        for lexeme, places in lexemes.items()
        if places
    }


def rarity(corpus: Corpus | ShippedCorpus, lexeme: str) -> float:
    """Return the inverse document frequency (Robertson and Spärck Jones), never below zero."""
    count = min(corpus.count(lexeme), corpus.paper_count)
    return log(1 + (corpus.paper_count - count + 0.5) / (count + 0.5))


def pack_paper(weights: Mapping[str, int]) -> vectors.Sparse:
    """Return a paper's weights by key; weights of lexemes that share a key are added."""
    return _pack(weights, vectors.SPARSE_LIMIT)


def pack_like_query(weights: Mapping[str, float]) -> vectors.Sparse:
    """Return the heaviest lexemes by key, scaled so that the heaviest weighs `LIKE_QUERY_LIMIT`."""
    heaviest = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))
    heaviest = heaviest[: vectors.LIKE_QUERY_LEXEMES]
    if not heaviest:
        return ()
    scale = vectors.LIKE_QUERY_LIMIT / heaviest[0][1]
    return _pack(
        {lexeme: round(weight * scale) for lexeme, weight in heaviest}, vectors.LIKE_QUERY_LIMIT
    )


def _pack(weights: Mapping[str, int], limit: int) -> vectors.Sparse:
    by_key: dict[int, int] = {}
    for lexeme, weight in weights.items():
        key = lexeme_key(lexeme)
        by_key[key] = min(limit, by_key.get(key, 0) + weight)
    return tuple(sorted((key, weight) for key, weight in by_key.items() if weight))
