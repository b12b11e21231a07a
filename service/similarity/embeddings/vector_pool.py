"""Vectors of many papers in memory, so that a `like:` clause is previewed while it is typed.

The sums equal those of Postgres (`store.corpus.scan_pool`, `store.vectors.like_condition`):
integers below 2**24, exact in 32-bit floats in any order, and scores below 2**53 in 64-bit floats.
So a like query that is built here is bit for bit the one that Postgres would give.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from service.similarity.domain.calibration import ReferenceScores, ScoreScale, Target
from service.similarity.domain.vectors import LikeQueryView, Sparse

Packed: TypeAlias = tuple[int, bytes, bytes]
"""A paper's id and its two vectors as pgvector sends them: `halfvec_send`, `sparsevec_send`."""
_Products: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]

_HALF_HEADER, _SPARSE_HEADER = 4, 12
_ROWS_AT_ONCE = 512
# Every scan visits each block, so with more of them all vectors are loaded again.
_MOST_BLOCKS = 12


@dataclass(frozen=True, slots=True)
class ReferencePool(ReferenceScores):
    """`ReferenceScores` on arrays: the same results in a tenth of the time."""

    def measure(self) -> tuple[tuple[float, float], tuple[float, float]]:
        return _measure(np.asarray(self.dense)), _measure(np.asarray(self.sparse))

    def find_best(self, scale: ScoreScale, count: int) -> list[tuple[float, int]]:
        scores = scale.dense_factor * np.asarray(self.dense)
        scores = scores + scale.sparse_factor * np.asarray(self.sparse)
        if len(scores) > count:
            line = np.partition(scores, len(scores) - count)[len(scores) - count]
            chosen = np.flatnonzero(scores >= line)
        else:
            chosen = np.arange(len(scores))
        ids = np.asarray(self.paper_ids)
        found = [(float(scores[n]), int(ids[n])) for n in chosen]
        return sorted(found, key=lambda pair: (-pair[0], pair[1]))[:count]


def _measure(values: NDArray[np.float64]) -> tuple[float, float]:
    whole = values.astype(np.int64)
    return float(whole.sum()), float((whole * whole).sum())


class ModelVectors:
    """The vectors of vector model in memory: the newest `pool_size` papers, which are the reference
    pool, and others that a `like:` clause may find. Immutable; updates return a new object.
    """

    def __init__(
        self, model: str, papers: Iterable[Packed], pool_size: int, floor: int = 0
    ) -> None:
        """Every embedded paper whose id is at least `floor` must be among `papers`."""
        self.model = model
        self.floor = floor
        self._pool_size = pool_size
        self._blocks = [_Block(papers)]
        self._last: tuple[bytes, NDArray[np.float64] | None] = b"", None

    def with_changes(
        self, papers: Iterable[Packed], changed_ids: Iterable[int]
    ) -> ModelVectors | None:
        """Return the vectors with `papers` in place of the changed ones, or None to load all again.

        None where a paper of the pool was deleted, since the next older one is not in memory.
        """
        given, changed = list(papers), {*changed_ids}
        gone = changed - {paper_id for paper_id, *_ in given}
        if len(self._blocks) >= _MOST_BLOCKS or any(block.holds(gone) for block in self._blocks):
            return None
        new = ModelVectors(self.model, given, self._pool_size, self.floor)
        new._blocks = [*(block.without(changed) for block in self._blocks), *new._blocks]
        return new

    def scan(self, target: Target, without: Sequence[int] = ()) -> ReferenceScores:
        """Return the newest papers' dot products with `target`, leaving out the papers `without`."""
        ids, dense, sparse = self._multiply(target.dense, target.sparse)
        if without:
            is_other = ~np.isin(ids, without)
            ids, dense, sparse = ids[is_other], dense[is_other], sparse[is_other]
        if len(ids) > self._pool_size:
            newest = np.argpartition(ids, len(ids) - self._pool_size)[-self._pool_size :]
            ids, dense, sparse = ids[newest], dense[newest], sparse[newest]
        # Cast, since an array has the methods of a Sequence but does not inherit from it.
        return ReferencePool(cast("Any", ids), cast("Any", dense), cast("Any", sparse))

    def find_like(self, like_query: LikeQueryView) -> list[int]:
        """Return the ids of the papers that satisfy `like_query`."""
        if like_query.model != self.model:
            return []
        ids, dense, sparse = self._multiply(like_query.dense, like_query.sparse)
        scores = float(like_query.dense_factor) * dense + float(like_query.sparse_factor) * sparse
        return [int(i) for i in ids[scores >= float(like_query.threshold)]]

    def find_nearest(
        self, like_query: LikeQueryView, paper_id: int, limit: int
    ) -> list[tuple[int, int]]:
        """Return (id, score) of the papers in memory as `store.vectors.find_nearest` returns all."""
        if like_query.model != self.model:
            return []
        ids, dense, sparse = self._multiply(like_query.dense, like_query.sparse)
        scores = float(like_query.dense_factor) * dense + float(like_query.sparse_factor) * sparse
        near = np.flatnonzero((scores >= float(like_query.threshold)) & (ids != paper_id))
        best = near[np.lexsort((-ids[near], -scores[near]))[:limit]]
        return [(int(ids[n]), int(scores[n])) for n in best]

    def _multiply(self, dense: bytes, sparse: Sparse) -> _Products:
        ids = [block.living_ids for block in self._blocks]
        sparses = [block.multiply_sparse(sparse) for block in self._blocks]
        return np.concatenate(ids), self._multiply_dense(dense), np.concatenate(sparses)

    def _multiply_dense(self, dense: bytes) -> NDArray[np.float64]:
        """Multiply the matrices, or return the last product: a clause asks for one several times."""
        last, product = self._last
        if dense != last or product is None:
            product = np.concatenate([block.multiply_dense(dense) for block in self._blocks])
            # Set as a whole: another thread reads either pair.
            self._last = dense, product
        return product


class _Block:
    """Papers with their dense vectors as a matrix and an inverted index of their lexemes."""

    def __init__(self, papers: Iterable[Packed]) -> None:
        """Read the papers one by one: as a list they would take more memory than the arrays."""
        ids, counts, dense, keys, weights = [], [], _Rows(), bytearray(), bytearray()
        for paper_id, vector, sparse in papers:
            count = (len(sparse) - _SPARSE_HEADER) // 8
            ids.append(paper_id)
            counts.append(count)
            dense.add(vector)
            keys += sparse[_SPARSE_HEADER : _SPARSE_HEADER + 4 * count]
            weights += sparse[_SPARSE_HEADER + 4 * count :]
        self.ids = np.array(ids, dtype=np.int64)
        self._alive = np.ones(len(ids), dtype=bool)
        self._dense = dense.stack()
        order = np.argsort(np.frombuffer(keys, ">i4"), kind="stable")
        rows = np.repeat(np.arange(len(ids), dtype=np.int32), counts)
        # The inverted index: keys, the start of each key's postings, then their rows and weights.
        distinct, starts = np.unique(np.frombuffer(keys, ">i4")[order], return_index=True)
        self._keys = distinct.astype(np.int64)
        self._starts = np.append(starts, len(rows))
        self._rows = rows[order]
        self._weights = np.frombuffer(weights, ">f4")[order].astype(np.uint8)

    def holds(self, paper_ids: Iterable[int]) -> bool:
        return bool(np.isin(self.ids[self._alive], [*paper_ids]).any())

    def without(self, paper_ids: Iterable[int]) -> _Block:
        """Return a block that shares these arrays and excludes some papers."""
        block = object.__new__(_Block)
        vars(block).update(vars(self))
        block._alive = self._alive & ~np.isin(self.ids, [*paper_ids])
        return block

    @property
    def living_ids(self) -> NDArray[np.int64]:
        """The ids of the papers that are not excluded."""
        living: NDArray[np.int64] = self.ids[self._alive]
        return living

    def multiply_dense(self, dense: bytes) -> NDArray[np.float64]:
        """Return the dense dot products of the papers that are not excluded."""
        if not dense or self._dense.shape[1] != len(dense):
            return np.zeros(int(self._alive.sum()))
        wanted = np.frombuffer(dense, dtype=np.int8).astype(np.float32)
        # Some rows at a time: as floats they stay in the processor's cache, and BLAS starts no
        # threads, which takes longer than the product.
        parts = [
            self._dense[start : start + _ROWS_AT_ONCE].astype(np.float32) @ wanted
            for start in range(0, len(self.ids), _ROWS_AT_ONCE)
        ]
        products: NDArray[np.float64] = np.concatenate(parts)[self._alive].astype(np.float64)
        return products

    def multiply_sparse(self, sparse: Sparse) -> NDArray[np.float64]:
        """Return the sparse dot products of the papers that are not excluded."""
        sparses = np.zeros(len(self.ids))
        places = np.searchsorted(self._keys, [key for key, _ in sparse])
        for (key, weight), place in zip(sparse, places, strict=True):
            if place < len(self._keys) and self._keys[place] == key:
                postings = slice(self._starts[place], self._starts[place + 1])
                sparses[self._rows[postings]] += float(weight) * self._weights[postings]
        living: NDArray[np.float64] = sparses[self._alive]
        return living


class _Rows:
    """Dense vectors as pgvector sends them, gathered to a matrix; zeros for a paper that has none."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._has_vector: list[bool] = []

    def add(self, vector: bytes) -> None:
        self._bytes += vector[_HALF_HEADER:]
        self._has_vector.append(bool(vector))

    def stack(self) -> NDArray[np.int8]:
        is_known = np.array(self._has_vector, dtype=bool)
        known = np.frombuffer(self._bytes, ">f2").reshape(int(is_known.sum()) or 1, -1)
        stacked = np.zeros((len(is_known), known.shape[1]), dtype=np.int8)
        if known.size:
            stacked[is_known] = known
        return stacked
