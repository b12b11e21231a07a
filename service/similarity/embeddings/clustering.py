"""Group papers by what they are about: average linkage over vectors and words, in bounded groups.

Similarity is the sum of two z-scores over all pairs: the cosine of the vectors without what all
papers share, and the cosine of the weighted words. docs/relevance.md has what it brings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from service.similarity.domain.common_directions import read_common

_Array = NDArray[np.float32]
# Words of fewer papers connect nothing; of more than so many the heaviest are enough.
_MOST_WORDS = 4_096
_NONE = np.float32(-1e9)
# In a small file, groups that are so far below its average pair stay apart: one clause for two
# subjects finds neither. In a large one, what is left over is joined.
_UNLIKE, _SMALL_FILE = np.float32(-1.0), 30


def cluster_papers(
    model: str,
    dense: Sequence[bytes],
    words: Sequence[Mapping[str, float]],
    group_count: int,
    most: int,
) -> list[list[int]]:
    """Return groups of indexes, the largest first, of at most `most` papers each, best first.

    The nearest groups are joined until `group_count` are left, or all others would be too large or,
    in a small file, are unlike.
    `dense` are vectors by `model`, empty where there is none; `words` are weights by lexeme.
    """
    count = len(dense)
    if count < 2:
        return [[n] for n in range(count)]
    similarity = _standardize(_cosines(_dense_rows(model, dense)))
    similarity += _standardize(_cosines(_word_rows(words)))
    groups = _join(similarity, group_count, most)
    groups.sort(key=lambda group: (-len(group), group[0]))
    return [_by_centrality(similarity, group) for group in groups]


def _dense_rows(model: str, dense: Sequence[bytes]) -> _Array:
    length = max(map(len, dense))
    rows = np.zeros((len(dense), length), dtype=np.float32)
    for row, vector in enumerate(dense):
        if len(vector) == length:
            rows[row] = np.frombuffer(vector, dtype=np.int8)
    common = read_common(model)
    if common is None or not length:
        return rows
    mean, components = common
    rows -= np.array(mean, dtype=np.float32)
    for component, removed in components:
        direction = np.array(component, dtype=np.float32)
        direction /= np.linalg.norm(direction)
        rows -= removed * np.outer(rows @ direction, direction)
    return rows


def _word_rows(words: Sequence[Mapping[str, float]]) -> _Array:
    totals: dict[str, list[float]] = {}
    for weights in words:
        for lexeme, weight in weights.items():
            totals.setdefault(lexeme, []).append(weight)
    shared = {lexeme: sum(each) for lexeme, each in totals.items() if len(each) > 1}
    chosen = sorted(shared, key=lambda lexeme: (-shared[lexeme], lexeme))[:_MOST_WORDS]
    column = {lexeme: n for n, lexeme in enumerate(chosen)}
    rows = np.zeros((len(words), len(chosen) or 1), dtype=np.float32)
    for row, weights in enumerate(words):
        for lexeme, weight in weights.items():
            if lexeme in column:
                rows[row, column[lexeme]] = weight
        # The words that no other paper has count for the length, as in any cosine.
        rows[row] /= sum(weight * weight for weight in weights.values()) ** 0.5 or 1.0
    return rows


def _cosines(rows: _Array) -> _Array:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(lengths > 0, lengths, 1)
    cosines: _Array = (unit @ unit.T).astype(np.float32)
    return cosines


def _standardize(similarity: _Array) -> _Array:
    pairs = similarity[np.triu_indices(len(similarity), 1)]
    scaled: _Array = ((similarity - pairs.mean()) / (pairs.std() or 1)).astype(np.float32)
    return scaled


def _join(similarity: _Array, group_count: int, most: int) -> list[list[int]]:
    """Join the two groups with the highest mean similarity until `group_count` are left."""
    means = similarity.copy()
    np.fill_diagonal(means, _NONE)
    groups: dict[int, list[int]] = {n: [n] for n in range(len(means))}
    sizes = np.ones(len(means), dtype=np.float32)
    nearest = means.argmax(axis=1)
    least = _UNLIKE if len(means) <= _SMALL_FILE else _NONE
    while len(groups) > group_count:
        rows = np.arange(len(means))
        first = int(means[rows, nearest].argmax())
        second = int(nearest[first])
        if means[first, second] <= least:
            break
        joined = sizes[first] * means[first] + sizes[second] * means[second]
        sizes[first] += sizes[second]
        joined /= sizes[first]
        is_closed = (means[first] <= _NONE) | (means[second] <= _NONE)
        joined[is_closed | (sizes + sizes[first] > most)] = _NONE
        means[first], means[:, first] = joined, joined
        means[second], means[:, second] = _NONE, _NONE
        groups[first] += groups.pop(second)
        changed = np.flatnonzero((nearest == first) | (nearest == second))
        changed = np.append(changed, first)
        nearest[changed] = means[changed].argmax(axis=1)
        # A row whose best was another group may now be nearest to the joined one.
        is_nearer = means[:, first] > means[rows, nearest]
        nearest[is_nearer] = first
    return list(groups.values())


def _by_centrality(similarity: _Array, group: list[int]) -> list[int]:
    """Return the group with the papers nearest to all of it first."""
    central = similarity[np.ix_(group, group)].mean(axis=1)
    return [group[n] for n in np.argsort(-central, kind="stable")]
