"""Trends of stored papers: their signals' snapshots through the pure formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, time

from sqlalchemy.orm import Session

from service.domain.trending import PaperSignals, Snapshot, trend
from service.domain.types import Paper
from service.store.reading import get_snapshots


def with_trends(session: Session, papers: Mapping[int, Paper], now: datetime) -> dict[int, Paper]:
    """The same papers, each with its trend among them: a percentile within its primary category.

    Where a list of the day was read at all, a paper that is not on it was looked at and had no
    votes: else the least noticed of the list would stand below those that nobody noticed. Where no
    list was read, all are neutral.
    """
    snapshots = get_snapshots(session, papers)
    unnoticed = (Snapshot(now, 0),) if snapshots else ()
    trends = trend(
        (
            PaperSignals(
                paper.id,
                paper.primary_category,
                min(datetime.combine(paper.announced_on, time(), UTC), now),
                tuple(Snapshot(at, count) for at, count in snapshots.get(paper.id, ()))
                or unnoticed,
            )
            for paper in papers.values()
        ),
        now,
    )
    return {i: replace(paper, trend=trends[i].rank_score) for i, paper in papers.items()}
