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
from math import ceil, fsum, hypot, log, sqrt
from operator import mul
from typing import Final

from service.similarity.domain import vectors
from service.similarity.domain.bm25 import Corpus, ShippedCorpus, lexeme_key, pack_like_query
from service.similarity.domain.common_directions import without_common

WORDS_SHARE: Final = 1.5
"""Weight of the words' z-score relative to WordLlama's vector."""
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
_LEAST_PAPERS: Final = 2

# Reweighing: how many papers are nearest by the vector, and the least share of a word's weight.
NEAREST: Final = 100
_LEAST_SHARE: Final = 0.1

# Mean and deviation of sparse products with descriptions, over 48,000 papers (docs/relevance.md).
_SHIPPED_WEIGHT: Final = (150.0, 179.0)
# One standard deviation in integer units of a score: fine enough that rounding has no effect.
_UNIT: Final = 2**26


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a model's vectors are combined with words, as measured (docs/relevance.md).

    Words count `words` times the vector, in a long description `words_of_long` times, in a list of
    words `words_of_list` times, on the page of a paper `words_of_page` times. Feedback adds lexemes
    and shifts the vector by these shares of their lengths. `dense` is the mean and the deviation of
    dot products with descriptions.
    """

    words: float = WORDS_SHARE
    words_of_long: float = WORDS_SHARE
    words_of_list: float = WORDS_SHARE
    words_of_page: float = WORDS_SHARE
    added: tuple[float, float] = (0.5, 0.5)
    added_to_paper: tuple[float, float] = (0.0, 0.0)
    dense: tuple[float, float] = (43_700.0, 22_900.0)
    is_sentence_model: bool = False
    """Whether the nearest papers by vector alone are good enough to judge a description's words."""


_TUNINGS: Final = {
    vectors.MINILM: Tuning(
        words=0.5,
        words_of_long=0.75,
        words_of_list=1.0,
        words_of_page=0.25,
        added=(0.0, 0.0),
        added_to_paper=(1.0, 0.5),
        dense=(28_300.0, 26_600.0),
        is_sentence_model=True,
    )
}


def find_tuning(model: str) -> Tuning:
    """Return the tuning of the model with this name; WordLlama's for one that has none."""
    return _TUNINGS.get(model, Tuning())


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


DENSE_ONLY: Final = ScoreScale(1, 0, 0.0, 1.0)
"""Scores by the vector alone."""


def scale_of_pool(
    pool: ReferenceScores, *, has_dense: bool, share: float = WORDS_SHARE
) -> ScoreScale:
    """Return the scale measured on the pool, where words count `share` times the vector."""
    count = len(pool.paper_ids)
    dense, sparse = pool.measure()
    share = share if has_dense else 0.0
    return _scale(_moments(dense, count), _moments(sparse, count), share)


def scale_of_shipped(
    target: Target, tuning: Tuning = Tuning(), share: float = WORDS_SHARE
) -> ScoreScale:
    """Return the scale expected from the shipped numbers, for a database with few papers."""
    corpus, weights = ShippedCorpus(), dict(target.sparse)
    shares = [
        (weights.get(lexeme_key(lexeme), 0), corpus.count(lexeme) / corpus.paper_count)
        for lexeme in target.weights
    ]
    mean = fsum(weight * share for weight, share in shares)
    variance = fsum(weight**2 * share * (1 - share) for weight, share in shares)
    sparse = (_SHIPPED_WEIGHT[0] * mean, _SHIPPED_WEIGHT[1] * sqrt(variance))
    return _scale(tuning.dense, sparse, share if target.dense else 0.0)


def _scale(dense: tuple[float, float], sparse: tuple[float, float], share: float) -> ScoreScale:
    """Combine (mean, deviation) of both products; a share of 0 means that there is no vector."""
    has_dense, share = share > 0, share or 1.0
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


def reweigh(
    weights: Mapping[str, float],
    nearest: Mapping[str, int],
    count: int,
    corpus: Corpus | ShippedCorpus,
) -> dict[str, float]:
    """Return the weights of a description's lexemes by how much its nearest papers use them.

    `nearest` is how many of the `count` papers nearest by the vector contain each. A lexeme that
    these contain no more often than others ("aspects", "includes") keeps a third of its weight, one
    that none but these contain all of it: so rare words of no meaning cannot outweigh the subject.
    """
    most = log(max(2.0, corpus.paper_count / count))
    return {
        lexeme: weight * sqrt(max(_LEAST_SHARE, _log_ratio(lexeme, nearest, count, corpus) / most))
        for lexeme, weight in weights.items()
    }


def _log_ratio(
    lexeme: str, nearest: Mapping[str, int], count: int, corpus: Corpus | ShippedCorpus
) -> float:
    near = (nearest.get(lexeme, 0) + 0.5) / (count + 1)
    return log(near * (corpus.paper_count + 1) / (corpus.count(lexeme) + 0.5))


def join_vectors(parts: Sequence[bytes]) -> bytes:
    """Return the direction of the sum of these vectors; those that are empty count nothing."""
    known = [memoryview(part).cast("b") for part in parts if part]
    return vectors.quantize([float(sum(column)) for column in zip(*known, strict=True)])


def join_examples(examples: Sequence[Target], model: str) -> Target:
    """Return the target of several papers: the sum of their words, and of their vectors what they do
    not share with all papers.
    """
    weights: dict[str, float] = {}
    for lexeme, weight in (pair for example in examples for pair in example.weights.items()):
        weights[lexeme] = weights.get(lexeme, 0.0) + weight
    known = [memoryview(example.dense).cast("b") for example in examples if example.dense]
    mean = [sum(column) / len(known) for column in zip(*known, strict=True)]
    return Target(vectors.quantize(without_common(mean, model)), weights)


def expand(
    target: Target, papers: Sequence[Target], added: tuple[float, float] = (0.5, 0.5)
) -> Target:
    """Return the target moved toward `papers` (J. J. Rocchio, 1971); unchanged for two or fewer.

    `added` is by how much of their lengths: words, vector. Only lexemes of at least two papers are
    added, so that no single odd paper adds its own.
    """
    if len(papers) <= _LEAST_PAPERS:
        return target
    paper_counts = Counter(lexeme for paper in papers for lexeme in paper.weights)
    total = {
        lexeme: fsum(paper.weights.get(lexeme, 0.0) for paper in papers)
        for lexeme, count in paper_counts.items()
        if count >= _LEAST_PAPERS
    }
    new = sorted(total.items(), key=lambda pair: (-pair[1], pair[0]))[:ADDED_LEXEMES]
    own, other = _length(target.weights.values()), _length(weight for _, weight in new)
    weights = {lexeme: weight / own for lexeme, weight in target.weights.items()}
    for lexeme, weight in new:
        weights[lexeme] = weights.get(lexeme, 0.0) + added[0] * weight / other
    vectors_of = [paper.dense for paper in papers if paper.dense]
    return Target(_shift(target.dense, vectors_of, added[1]), weights)


def _shift(dense: bytes, others: Sequence[bytes], share: float) -> bytes:
    if not dense or not others or not share:
        return dense
    own = memoryview(dense).cast("b")
    total = [sum(column) for column in zip(*(memoryview(o).cast("b") for o in others), strict=True)]
    share *= _length(own) / (_length(total) or 1.0)
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
