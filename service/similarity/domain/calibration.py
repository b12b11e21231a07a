"""Build a like query: combine words and vector, expand it by feedback, pick its threshold.

Words and vector are combined as z-scores (standard deviations above the average paper) over a pool
of stored papers. The threshold is a share of the score of the pool's best papers, so that vague
and precise descriptions both find the papers near the best (docs/relevance.md: the numbers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from math import ceil, fsum, hypot, sqrt
from operator import mul
from typing import Final

from service.similarity.domain import vectors
from service.similarity.domain.bm25 import ShippedCorpus, lexeme_key, pack_like_query

WORDS_SHARE: Final = 1.5
"""Weight of the words' z-score relative to the vector's."""
THRESHOLD_SHARE: Final = 0.54
"""The threshold, as a share of the way from the mean score to that of the pool's ten best."""
LEAST_THRESHOLD: Final = 3.0
"""The lowest threshold, in standard deviations above the mean, however poor the best are."""
BEST: Final = 10
LEAST_POOL: Final = 1_000
"""The smallest pool that is used; with fewer papers the shipped numbers are used."""
SHIPPED_THRESHOLD: Final = 5.0

# Pseudo-relevance feedback (Rocchio): lexemes of the ten best papers are added to the query.
ADDED_LEXEMES: Final = 40
ADDED_SHARE: Final = 0.5
_LEAST_PAPERS: Final = 2

# Mean and deviation of dot products with descriptions, over 48,000 papers (docs/relevance.md).
_SHIPPED_DENSE: Final = (43_700.0, 22_900.0)
_SHIPPED_WEIGHT: Final = (150.0, 179.0)
# One standard deviation in integer units of a score: fine enough that rounding has no effect.
_UNIT: Final = 2**26


@dataclass(frozen=True, slots=True)
class Target:
    """What a like query searches for: a dense vector and weighted lexemes. Either may be empty."""

    dense: bytes
    weights: Mapping[str, float]

    @property
    def sparse(self) -> vectors.Sparse:
        """The weights by key, packed for a like query."""
        return pack_like_query(self.weights)


@dataclass(frozen=True, slots=True)
class ReferenceScores:
    """The dot products of stored papers with a target; fewer than `least` give no scale."""

    paper_ids: Sequence[int]
    dense: Sequence[float]
    sparse: Sequence[float]
    least: int = LEAST_POOL

    @property
    def is_large_enough(self) -> bool:
        """Whether there are enough papers to measure a scale."""
        return len(self.paper_ids) >= self.least

    def measure(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return (sum, sum of squares) of the dense and the sparse products, exact in any order."""
        return _sums(self.dense), _sums(self.sparse)

    def find_best(self, scale: ScoreScale, count: int) -> list[tuple[float, int]]:
        """Return the `count` highest (score, paper id), highest first, with ties by lower id."""
        scored = zip(scale.score(self), (-paper_id for paper_id in self.paper_ids), strict=True)
        return [(score, -negated) for score, negated in nlargest(count, scored)]


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """Integer factors that combine both dot products to a score, with its mean and deviation."""

    dense_factor: int
    sparse_factor: int
    middle: float
    deviation: float

    def score(self, pool: ReferenceScores) -> list[float]:
        """Return the score of each paper of the pool."""
        dense, sparse = float(self.dense_factor), float(self.sparse_factor)
        return [dense * d + sparse * s for d, s in zip(pool.dense, pool.sparse, strict=True)]


@dataclass(frozen=True, slots=True)
class RelevantPaper:
    """A paper for feedback: its vector, and the BM25 weights of its lexemes."""

    dense: bytes
    weights: Mapping[str, float]


def scale_of_pool(pool: ReferenceScores, *, has_dense: bool) -> ScoreScale:
    """Return the scale measured on the pool."""
    count = len(pool.paper_ids)
    dense, sparse = pool.measure()
    return _scale(_moments(dense, count), _moments(sparse, count), has_dense=has_dense)


def scale_of_shipped(target: Target) -> ScoreScale:
    """Return the scale expected from the shipped numbers, for a database with few papers."""
    corpus, weights = ShippedCorpus(), dict(target.sparse)
    shares = [
        (weights.get(lexeme_key(lexeme), 0), corpus.count(lexeme) / corpus.paper_count)
        for lexeme in target.weights
    ]
    mean = fsum(weight * share for weight, share in shares)
    variance = fsum(weight**2 * share * (1 - share) for weight, share in shares)
    sparse = (_SHIPPED_WEIGHT[0] * mean, _SHIPPED_WEIGHT[1] * sqrt(variance))
    return _scale(_SHIPPED_DENSE, sparse, has_dense=bool(target.dense))


def _scale(
    dense: tuple[float, float], sparse: tuple[float, float], *, has_dense: bool
) -> ScoreScale:
    share = WORDS_SHARE if has_dense else 1.0
    dense_factor = _factor(1.0, dense[1]) if has_dense else 0
    sparse_factor = _factor(share, sparse[1])
    middle = dense_factor * dense[0] + sparse_factor * sparse[0]
    return ScoreScale(dense_factor, sparse_factor, middle, _UNIT * hypot(share, float(has_dense)))


def _sums(values: Sequence[float]) -> tuple[float, float]:
    return fsum(values), fsum(map(mul, values, values))


def _moments(sums: tuple[float, float], count: int) -> tuple[float, float]:
    """Return mean and standard deviation; the short formula is exact for integers of this size."""
    mean = sums[0] / count
    return mean, sqrt(max(0.0, sums[1] / count - mean * mean))


def _factor(share: float, deviation: float) -> int:
    # At least 1.0: if no paper of the pool shares a word, one that does gets a high score.
    return min(vectors.FACTOR_LIMIT, max(1, round(_UNIT * share / max(deviation, 1.0))))


def choose_feedback(pool: ReferenceScores, scale: ScoreScale) -> list[int]:
    """Return the ids of the ten best papers that are far enough above the mean to give feedback."""
    line = scale.middle + LEAST_THRESHOLD * scale.deviation
    return [paper_id for score, paper_id in pool.find_best(scale, BEST) if score >= line]


def expand(target: Target, papers: Sequence[RelevantPaper]) -> Target:
    """Return the target moved toward `papers` (J. J. Rocchio, 1971); unchanged for two or fewer.

    Only lexemes of at least two papers are added, so that no single odd paper adds its own.
    """
    if len(papers) <= _LEAST_PAPERS:
        return target
    paper_counts = Counter(lexeme for paper in papers for lexeme in paper.weights)
    total = {
        lexeme: fsum(paper.weights.get(lexeme, 0.0) for paper in papers)
        for lexeme, count in paper_counts.items()
        if count >= _LEAST_PAPERS
    }
    added = sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:ADDED_LEXEMES]
    own, other = _length(target.weights.values()), _length(weight for _, weight in added)
    weights = {lexeme: weight / own for lexeme, weight in target.weights.items()}
    for lexeme, weight in added:
        weights[lexeme] = weights.get(lexeme, 0.0) + ADDED_SHARE * weight / other
    return Target(_shift(target.dense, [paper.dense for paper in papers if paper.dense]), weights)


def _shift(dense: bytes, others: Sequence[bytes]) -> bytes:
    if not dense or not others:
        return dense
    own = memoryview(dense).cast("b")
    total = [sum(column) for column in zip(*(memoryview(o).cast("b") for o in others), strict=True)]
    share = ADDED_SHARE * _length(own) / (_length(total) or 1.0)
    return vectors.quantize([a + share * b for a, b in zip(own, total, strict=True)])


def _length(values: Iterable[float]) -> float:
    return sqrt(fsum(value * value for value in values)) or 1.0


def pick_threshold(pool: ReferenceScores, scale: ScoreScale) -> int:
    """Return the threshold: a share of the way from the mean score to that of the ten best."""
    best = [score for score, _ in pool.find_best(scale, BEST)]
    above = fsum(best) / len(best) - scale.middle
    return ceil(scale.middle + max(THRESHOLD_SHARE * above, LEAST_THRESHOLD * scale.deviation))


def shipped_threshold(scale: ScoreScale) -> int:
    """Return the threshold for a scale that was not measured."""
    return ceil(scale.middle + SHIPPED_THRESHOLD * scale.deviation)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a like query is built from: the clause, the model and the generation of the corpus."""

    text: str
    model: str = vectors.WORDS_ONLY
    generation: int = 0


def build_like_query(
    origin: Origin, target: Target, scale: ScoreScale, threshold: int
) -> vectors.LikeQueryView:
    """Return the like query; one with an empty target finds nothing."""
    return vectors.LikeQueryView(
        text=origin.text,
        model=origin.model,
        generation=origin.generation,
        dense=target.dense,
        sparse=target.sparse,
        dense_factor=scale.dense_factor,
        sparse_factor=scale.sparse_factor,
        threshold=threshold if target.dense or target.weights else 1,
    )


def admit(like_query: vectors.LikeQueryView, paper: vectors.PaperVectors) -> vectors.LikeQueryView:
    """Return the like query with a threshold that `paper`, which the clause names, reaches."""
    return replace(
        like_query, threshold=min(like_query.threshold, vectors.score_paper(like_query, paper))
    )
