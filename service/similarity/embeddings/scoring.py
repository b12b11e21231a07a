"""Score papers against many like queries at once, with the result of `is_like` on every pair.

The dense part is one matrix product; the sparse part selects, for each like query, the rows of its
lexemes from a lexeme-by-paper matrix. Both are sums of integers below 2**24 in 32-bit floats, exact
in any order in which BLAS adds them; the scores are integers below 2**53 in 64-bit floats.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from service.similarity.domain.vectors import LikeQueryView, PaperVectors

Matrix: TypeAlias = NDArray[np.float32]

# Sizes of a block: 256 x 2,048 scores are 4 MB, and the lexeme matrix takes 8 KB per row.
LIKE_QUERIES_AT_ONCE = 256
PAPERS_AT_ONCE = 2048


def like_sets(
    like_queries: Sequence[LikeQueryView],
    papers: Sequence[PaperVectors],
    like_queries_at_once: int = LIKE_QUERIES_AT_ONCE,
    papers_at_once: int = PAPERS_AT_ONCE,
) -> list[int]:
    """Return the papers that satisfy each like query: bit i of the integer is the i-th paper."""
    sets = [0] * len(like_queries)
    for start in range(0, len(papers), papers_at_once):
        table = _PaperTable(papers[start : start + papers_at_once], like_queries)
        for first, found in table.iterate_found(like_queries, like_queries_at_once):
            for number, row in enumerate(found, first):
                sets[number] |= int.from_bytes(row.tobytes(), "little") << start
    return sets


class _PaperTable:
    """Papers as arrays, with a row for each lexeme that a like query contains."""

    def __init__(
        self, papers: Sequence[PaperVectors], like_queries: Sequence[LikeQueryView]
    ) -> None:
        self._count = len(papers)
        self._models = np.array([paper.model for paper in papers], dtype=object)
        self._papers = papers
        in_queries = {key for like_query in like_queries for key, _ in like_query.sparse}
        in_papers = {key for paper in papers for key, _ in paper.sparse}
        self._rows = {key: row for row, key in enumerate(sorted(in_queries & in_papers))}
        self._table: Matrix = np.zeros((len(self._rows), self._count), dtype=np.float32)
        for column, paper in enumerate(papers):
            for key, weight in paper.sparse:
                row = self._rows.get(key)
                if row is not None:
                    self._table[row, column] = weight

    def iterate_found(
        self, like_queries: Sequence[LikeQueryView], at_once: int
    ) -> Iterable[tuple[int, NDArray[np.uint8]]]:
        """Yield (index of the first like query, rows of packed bits for it and the next ones)."""
        start = 0
        for model, same in groupby(like_queries, key=lambda like_query: like_query.model):
            dense, is_known = self._stack(model), self._models == model
            run = list(same)
            for offset in range(0, len(run), at_once):
                chunk = run[offset : offset + at_once]
                is_like = self._score(chunk, dense) >= _column(p.threshold for p in chunk)
                yield start + offset, np.packbits(is_like & is_known, axis=1, bitorder="little")
            start += len(run)

    def _stack(self, model: str) -> Matrix:
        """Return the papers' vectors as columns; zeros for another model or no vector."""
        length = max((len(p.dense) for p in self._papers if p.model == model), default=0)
        stacked = np.zeros((self._count, length), dtype=np.float32)
        for row, paper in enumerate(self._papers):
            if paper.model == model and paper.dense:
                stacked[row] = np.frombuffer(paper.dense, dtype=np.int8)
        return np.ascontiguousarray(stacked.T)

    def _score(self, like_queries: Sequence[LikeQueryView], papers: Matrix) -> NDArray[np.float64]:
        dense = np.zeros((len(like_queries), len(papers)), dtype=np.float32)
        sparse = np.zeros((len(like_queries), self._count), dtype=np.float32)
        for number, like_query in enumerate(like_queries):
            if like_query.dense and len(papers):
                dense[number] = np.frombuffer(like_query.dense, dtype=np.int8)
            known = [
                (self._rows[key], weight) for key, weight in like_query.sparse if key in self._rows
            ]
            if known:
                rows, weights = zip(*known, strict=True)
                sparse[number] = np.array(weights, dtype=np.float32) @ self._table[list(rows)]
        scores: NDArray[np.float64] = (dense @ papers) * _column(
            p.dense_factor for p in like_queries
        )
        scores += sparse * _column(p.sparse_factor for p in like_queries)
        return scores


def _column(values: Iterable[int]) -> NDArray[np.float64]:
    return np.array([float(value) for value in values])[:, None]
