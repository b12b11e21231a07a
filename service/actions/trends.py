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
    """The same papers, each with its trend among them: a percentile within its primary category."""
    snapshots = get_snapshots(session, papers)
    trends = trend(
        (
            PaperSignals(
                paper.id,
                paper.primary_category,
                min(datetime.combine(paper.announced_on, time(), UTC), now),
                tuple(Snapshot(at, upvotes) for at, upvotes in snapshots.get(paper.id, ())),
            )
            for paper in papers.values()
        ),
        now,
    )
    return {i: replace(paper, trend=trends[i].rank_score) for i, paper in papers.items()}
