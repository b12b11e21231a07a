"""Trends of stored papers: their signals' snapshots through the pure formula, kept in their rows."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.domain.trending import PaperSignals, Snapshot, trend
from service.store.engine import transaction
from service.store.papers import record_trends
from service.store.reading import get_snapshots, list_announced_since

# A paper gathers votes for a week; after that its percentile hardly moves.
_DAYS = 7


def refresh_trends(session: Session, since: date, now: datetime) -> int:
    """Set the trend of every paper announced on or after `since`; returns how many changed.

    A trend is a percentile among the papers of the same announcement date and primary category.
    Where a list of those papers was read at all, a paper that is not on it was looked at and had
    no votes: else the least noticed of the list would stand below those that nobody noticed. Where
    no list was read, all are neutral. Stored, so that a digest, a page and a topic's `trend>90`
    speak of one number.
    """
    days: dict[date, dict[int, str]] = defaultdict(dict)
    for paper_id, on, category in list_announced_since(session, since):
        days[on][paper_id] = category
    trends: dict[int, float] = {}
    for on, categories in days.items():
        trends |= _trends_of_day(session, on, categories, now)
    return record_trends(session, trends)


def refresh_recent_trends(sessions: sessionmaker[Session], now: datetime) -> int:
    """The same for the days whose lists are still looked at; returns how many changed."""
    with transaction(sessions) as session:
        return refresh_trends(session, now.date() - timedelta(days=_DAYS), now)


def _trends_of_day(
    session: Session, on: date, categories: dict[int, str], now: datetime
) -> dict[int, float]:
    snapshots = get_snapshots(session, categories)
    unnoticed = (Snapshot(now, 0),) if snapshots else ()
    announced_at = min(datetime.combine(on, time(), UTC), now)
    looked_at = (
        PaperSignals(
            paper_id,
            category,
            announced_at,
            tuple(Snapshot(at, count) for at, count in snapshots.get(paper_id, ())) or unnoticed,
        )
        for paper_id, category in categories.items()
    )
    return {paper_id: one.rank_score for paper_id, one in trend(looked_at, now).items()}
