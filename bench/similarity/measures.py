"""Measures of an order and of a set, and the comparison of systems group by group."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
MEASURES = ("ndcg10", "precision", "recall")
OURS = "like"
# What `like:` is held against; a written topic is another kind of query.
RIVALS = ("bm25", "svm", "minilm", "bm25+minilm")
# Draws of the judged papers, by which the figures of a single query get a standard error.
DRAWS = 300


@dataclass(frozen=True, slots=True)
class Found:
    """One result: a score for each paper, and the papers it selects (None: cut at another's size)."""

    scores: Scores
    is_in: NDArray[np.bool_] | None = None


def cut(scores: Scores, size: int) -> NDArray[np.bool_]:
    chosen = np.zeros(len(scores), dtype=bool)
    chosen[np.argsort(-scores, kind="stable")[:size]] = True
    return chosen


def judge(
    scores: Scores, is_in: NDArray[np.bool_], is_right: NDArray[np.bool_], *, ranks_set: bool
) -> dict[str, float]:
    """Return precision, recall and F1 of the set; NDCG@10 and average precision of the order.

    A written topic orders only the papers it selects; all other papers have one equal rank.
    """
    ordered = np.where(is_in, scores, scores.min() - 1) if ranks_set else scores
    right = is_right[np.argsort(-ordered, kind="stable")]
    hits = int((is_in & is_right).sum())
    precision, recall = hits / max(int(is_in.sum()), 1), hits / int(is_right.sum())
    discounts = 1 / np.log2(np.arange(2, 12))
    places = np.flatnonzero(right)
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / ((precision + recall) or 1),
        "ndcg10": float(right[:10] @ discounts[: len(right)] / discounts[: len(places)].sum()),
        "ap": float(((np.arange(len(places)) + 1) / (places + 1)).mean()),
        "papers": float(is_in.sum()),
    }


def resample(
    scores: Scores, is_in: NDArray[np.bool_], is_right: NDArray[np.bool_]
) -> dict[str, float]:
    """Return the standard error of each measure of one query, over draws of the judged papers."""
    draw, count = np.random.default_rng(1), len(scores)
    drawn = (draw.integers(0, count, count) for _ in range(DRAWS))
    rows = [judge(scores[n], is_in[n], is_right[n], ranks_set=False) for n in drawn]
    return {measure: statistics.stdev(row[measure] for row in rows) for measure in MEASURES}


class Rows:
    """The figures of every (group, how it was asked, system), one row for each query."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], list[dict[str, float]]] = defaultdict(list)
        self._errors: dict[str, dict[str, float]] = {}

    def add(
        self,
        group: str,
        asked: str,
        systems: Mapping[str, dict[str, float]],
        errors: Mapping[str, float] | None = None,
    ) -> None:
        """Add a query; `errors` are its own standard errors, used where the row has no other."""
        for system, figures in systems.items():
            self._rows[group, asked, system].append(figures)
        if errors is not None:
            self._errors[f"{group}, {asked}"] = dict(errors)

    def means(self) -> dict[str, float]:
        """Return every mean, under group, how it was asked, system and measure."""
        return {
            "_".join((*key, measure)).replace(" ", "_"): round(_mean(rows, measure), 3)
            for key, rows in sorted(self._rows.items())
            for measure in rows[0]
        }

    def groups(self) -> list[dict[str, Any]]:
        """Return, for each group and measure, ours beside the best rival.

        The standard error is that of our mean over the queries; of a single query it is the one that
        was added with it, else None.
        """
        compared = []
        for group, asked, system in sorted(self._rows):
            if system != OURS:
                continue
            rivals = {
                name: rows
                for name in RIVALS
                if (rows := self._rows.get((group, asked, name))) is not None
            }
            ours = self._rows[group, asked, OURS]
            name = f"{group}, {asked}"
            own = self._errors.get(name, {})
            compared += [_compare(name, m, ours, rivals, own.get(m)) for m in MEASURES]
        return compared


def _compare(
    group: str,
    measure: str,
    ours: list[dict[str, float]],
    rivals: Mapping[str, list[dict[str, float]]],
    error: float | None,
) -> dict[str, Any]:
    best, rival = max((_mean(rows, measure), name) for name, rows in rivals.items())
    values = [row[measure] for row in ours]
    if len(values) > 1:
        error = statistics.stdev(values) / len(values) ** 0.5
    return {
        "group": group,
        "measure": measure,
        "ours": round(statistics.fmean(values), 3),
        "standard_error": None if error is None else round(error, 3),
        "best_rival": round(best, 3),
        "rival": rival,
        "queries": len(values),
    }


def _mean(rows: list[dict[str, float]], measure: str) -> float:
    return statistics.fmean(row[measure] for row in rows)
