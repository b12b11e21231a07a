"""Trends of stored papers: their signals' snapshots through the pure formula, kept in their rows."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.papers.domain.trending import PaperSignals, Snapshot, trend
from service.papers.store.read import (
    get_snapshots,
    list_announced_on,
    list_days_noticed,
    list_days_since,
)
from service.papers.store.upsert import record_trends
from service.platform.database.engine import transaction

# A paper gathers votes for a week; after that its percentile hardly moves.
_DAYS = 7
# A list of today may name a paper of last month. Healing, which calls this, comes every few hours,
# so whoever was looked at since yesterday was looked at since the last time.
_NOTICED_DAYS = 1


def refresh_trends(session: Session, since: date, now: datetime) -> int:
    """Set the trend of every paper announced on or after `since`; returns how many changed.

    A trend is a percentile among the papers of the same announcement date and primary category.
    Where a list of those papers was read at all, a paper that is not on it was looked at and had
    no votes: else the least noticed of the list would stand below those that nobody noticed. Where
    no list was read, all are neutral. Stored, so that a digest, a page and a topic's `trend>90`
    speak of one number.
    """
    return _refresh_days(session, list_days_since(session, since), now)


def refresh_recent_trends(sessions: sessionmaker[Session], now: datetime) -> int:
    """The same for the last days, and for older ones whose papers were looked at again lately."""
    with transaction(sessions) as session:
        recent = list_days_since(session, now.date() - timedelta(days=_DAYS))
        noticed = list_days_noticed(session, now.date() - timedelta(days=_NOTICED_DAYS))
        return _refresh_days(session, {*recent, *noticed}, now)


def _refresh_days(session: Session, days: Iterable[date], now: datetime) -> int:
    trends: dict[int, float] = {}
    for on in sorted(days):
        trends |= _trends_of_day(session, on, list_announced_on(session, on), now)
    return record_trends(session, trends)


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
