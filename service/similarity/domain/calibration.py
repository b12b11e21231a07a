"""How a probe is made: what it looks for, what the best stored papers add, and where it draws the line.

Words and vector are put on one scale by z-scores against a pool of stored papers (how far above
the ordinary paper, in standard deviations), and the line is a share of what the pool's best reach,
so that a loose description and a sharp one both bring what is near the best there is. How the
numbers were chosen on judged topics: docs/relevance.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from math import ceil, fsum, hypot, sqrt
from operator import mul
from typing import Final

from service.similarity.domain.bm25 import ShippedCorpus, lexeme_key, pack_like_query
from service.similarity.domain.vectors import (
    FACTOR_LIMIT,
    WORDS_ONLY,
    LikeQueryView,
    PaperVectors,
    Sparse,
    quantize,
    score_paper,
)

WORDS_SHARE: Final = 1.5
"""How much more the words' z-score counts than the vector's."""
LINE_SHARE: Final = 0.54
"""The line, as a share of the mean score of the pool's ten best."""
LEAST_LINE: Final = 3.0
"""Standard deviations above the mean that a paper must reach however poor the best are."""
BEST: Final = 10
LEAST_POOL: Final = 1_000
"""Papers below which a pool says nothing about the ordinary paper, and shipped numbers serve."""
SHIPPED_LINE: Final = 5.0

# Rocchio's feedback from the best ten: what a reader did not write, but all good papers say.
ADDED_LEXEMES: Final = 40
ADDED_SHARE: Final = 0.5
_SAID_BY: Final = 2

# The ordinary paper's dot product with a description, over 48,000 papers (docs/relevance.md).
_SHIPPED_DENSE: Final = (43_700.0, 22_900.0)
_SHIPPED_WEIGHT: Final = (150.0, 179.0)
# One standard deviation in the integers of a score: fine enough that rounding never shows.
_UNIT: Final = 2**26


@dataclass(frozen=True, slots=True)
class Target:
    """What to look for: a direction, and lexemes with their weights. Either may be empty."""

    dense: bytes
    weights: Mapping[str, float]

    @property
    def sparse(self) -> Sparse:
        return pack_like_query(self.weights)


@dataclass(frozen=True, slots=True)
class ReferenceScores:
    """The stored papers' dot products with an aim, in one order; `least` of them are telling."""

    paper_ids: Sequence[int]
    dense: Sequence[float]
    sparse: Sequence[float]
    least: int = LEAST_POOL

    @property
    def is_telling(self) -> bool:
        return len(self.paper_ids) >= self.least

    def measure(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The sum and the sum of squares of both products; exact, in whatever order they are."""
        return _sums(self.dense), _sums(self.sparse)

    def find_best(self, scale: ScoreScale, count: int) -> list[tuple[float, int]]:
        """The `count` highest (score, paper id), highest first, of equal ones the lower id."""
        scored = zip(scale.score(self), (-paper_id for paper_id in self.paper_ids), strict=True)
        return [(score, -negated) for score, negated in nlargest(count, scored)]


@dataclass(frozen=True, slots=True)
class ScoreScale:
    """Integer factors that put both dot products on one scale, its middle and its unit."""

    dense_factor: int
    sparse_factor: int
    middle: float
    deviation: float

    def score(self, pool: ReferenceScores) -> list[float]:
        """The score of each paper of the pool."""
        dense, sparse = float(self.dense_factor), float(self.sparse_factor)
        return [dense * d + sparse * s for d, s in zip(pool.dense, pool.sparse, strict=True)]


@dataclass(frozen=True, slots=True)
class RelevantPaper:
    """A good paper: its vector, and how much it says of each lexeme times the lexeme's rarity."""

    dense: bytes
    weights: Mapping[str, float]


def scale_of_pool(pool: ReferenceScores, *, has_dense: bool) -> ScoreScale:
    """The scale that the pool shows."""
    count = len(pool.paper_ids)
    dense, sparse = pool.measure()
    return _scale(_moments(dense, count), _moments(sparse, count), has_dense=has_dense)


def scale_of_shipped(target: Target) -> ScoreScale:
    """The scale that is to be expected before there are papers to show one."""
    corpus, weights = ShippedCorpus(), dict(target.sparse)
    told = [
        (weights.get(lexeme_key(lexeme), 0), corpus.count(lexeme) / corpus.paper_count)
        for lexeme in target.weights
    ]
    mean = fsum(weight * share for weight, share in told)
    variance = fsum(weight**2 * share * (1 - share) for weight, share in told)
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
    """Mean and standard deviation; whole numbers of this size lose nothing by the short formula."""
    mean = sums[0] / count
    return mean, sqrt(max(0.0, sums[1] / count - mean * mean))


def _factor(share: float, deviation: float) -> int:
    # Where no paper of the pool has a word in common, the first that has one must stand out.
    return min(FACTOR_LIMIT, max(1, round(_UNIT * share / max(deviation, 1.0))))


def choose_feedback(pool: ReferenceScores, scale: ScoreScale) -> list[int]:
    """The ids of the papers that may speak for the aim: the best, if they stand out at all."""
    line = scale.middle + LEAST_LINE * scale.deviation
    return [paper_id for score, paper_id in pool.find_best(scale, BEST) if score >= line]


def expand(target: Target, papers: Sequence[RelevantPaper]) -> Target:
    """The aim moved toward `papers` (J. J. Rocchio, 1971), or as it was where they are too few.

    Only what two of them say at least is added: else one odd paper would speak for all.
    """
    if len(papers) <= _SAID_BY:
        return target
    said_by = Counter(lexeme for paper in papers for lexeme in paper.weights)
    total = {
        lexeme: fsum(paper.weights.get(lexeme, 0.0) for paper in papers)
        for lexeme, count in said_by.items()
        if count >= _SAID_BY
    }
    added = sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:ADDED_LEXEMES]
    own, other = _length(target.weights.values()), _length(weight for _, weight in added)
    weights = {lexeme: weight / own for lexeme, weight in target.weights.items()}
    for lexeme, weight in added:
        weights[lexeme] = weights.get(lexeme, 0.0) + ADDED_SHARE * weight / other
    return Target(_move(target.dense, [paper.dense for paper in papers if paper.dense]), weights)


def _move(dense: bytes, others: Sequence[bytes]) -> bytes:
    if not dense or not others:
        return dense
    own = memoryview(dense).cast("b")
    total = [sum(column) for column in zip(*(memoryview(o).cast("b") for o in others), strict=True)]
    share = ADDED_SHARE * _length(own) / (_length(total) or 1.0)
    return quantize([a + share * b for a, b in zip(own, total, strict=True)])


def _length(values: Iterable[float]) -> float:
    return sqrt(fsum(value * value for value in values)) or 1.0


def pick_threshold(pool: ReferenceScores, scale: ScoreScale) -> int:
    """The threshold: a share of the way from the pool's ordinary paper to its ten best."""
    best = [score for score, _ in pool.find_best(scale, BEST)]
    above = fsum(best) / len(best) - scale.middle
    return ceil(scale.middle + max(LINE_SHARE * above, LEAST_LINE * scale.deviation))


def draw_shipped_line(scale: ScoreScale) -> int:
    return ceil(scale.middle + SHIPPED_LINE * scale.deviation)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a probe was made from: its clause, the model and the generation of the corpus."""

    text: str
    model: str = WORDS_ONLY
    generation: int = 0


def build_like_query(
    origin: Origin, target: Target, scale: ScoreScale, threshold: int
) -> LikeQueryView:
    """The probe, once the line is drawn. One that looks for nothing finds nothing."""
    is_empty = not target.dense and not target.weights
    return LikeQueryView(
        text=origin.text,
        model=origin.model,
        generation=origin.generation,
        dense=target.dense,
        sparse=target.sparse,
        dense_factor=scale.dense_factor,
        sparse_factor=scale.sparse_factor,
        threshold=1 if is_empty else threshold,
    )


def admit(like_query: LikeQueryView, paper: PaperVectors) -> LikeQueryView:
    """The probe with its line where `paper` is on the right side of it: it named that paper."""
    return replace(like_query, threshold=min(like_query.threshold, score_paper(like_query, paper)))
