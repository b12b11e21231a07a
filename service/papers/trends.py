"""Compute the trends of stored papers from their signals and store them in the papers' rows."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.papers.domain.trending import PaperSignals, Snapshot, trend
from service.papers.store import read
from service.papers.store.upsert import record_trends
from service.platform.database.engine import transaction

# A paper gathers votes for a week; after that its percentile hardly moves.
_DAYS = 7
# Today's list may name a paper of last month. The backfill calls this every few hours, so one day
# covers every signal observed since the previous call.
_OBSERVED_DAYS = 1


def refresh_trends(session: Session, since: date, now: datetime) -> int:
    """Set the trend of every paper announced on or after `since`; return how many changed.

    A trend is a percentile among the papers of the same announcement date and primary category.
    If any paper of a date is on a list, those not on it count as seen with 0 upvotes; otherwise
    the last paper of the list would rank below papers that are on no list. If none is on a list,
    all are neutral. Trends are stored so that digests, pages and `trend>90` use the same number.
    """
    return _refresh_days(session, read.list_days_since(session, since), now)


def refresh_recent_trends(sessions: sessionmaker[Session], now: datetime) -> int:
    """Set the trends of the last 7 days, and of older days whose papers have new signals."""
    with transaction(sessions) as session:
        recent = read.list_days_since(session, now.date() - timedelta(days=_DAYS))
        observed = read.list_days_observed(session, now.date() - timedelta(days=_OBSERVED_DAYS))
        return _refresh_days(session, {*recent, *observed}, now)


def _refresh_days(session: Session, days: Iterable[date], now: datetime) -> int:
    trends: dict[int, float] = {}
    for on in sorted(days):
        trends |= _trends_of_day(session, on, read.list_announced_on(session, on), now)
    return record_trends(session, trends)


def _trends_of_day(
    session: Session, on: date, categories: dict[int, str], now: datetime
) -> dict[int, float]:
    snapshots = read.get_snapshots(session, categories)
    unlisted = (Snapshot(now, 0),) if snapshots else ()
    announced_at = min(datetime.combine(on, time(), UTC), now)
    signals = (
        PaperSignals(
            paper_id,
            category,
            announced_at,
            tuple(Snapshot(at, count) for at, count in snapshots.get(paper_id, ())) or unlisted,
        )
        for paper_id, category in categories.items()
    )
    return {paper_id: result.rank_score for paper_id, result in trend(signals, now).items()}
