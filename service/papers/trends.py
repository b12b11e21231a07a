"""Compute the trends of stored papers from their signals and store them in the papers' rows."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.papers.domain.trending import OwnVote, PaperSignals, Snapshot, trend
from service.papers.domain.votes import PICK_UPVOTES, VOTE_UPVOTES
from service.papers.store import read
from service.papers.store import votes as stored
from service.papers.store.upsert import record_trends
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings

# A paper gathers votes for a week; after that its percentile hardly moves.
_DAYS = 7
# Today's list may name a paper of last month. The backfill calls this every few hours, so one day
# covers every signal observed since the previous call.
_OBSERVED_DAYS = 1


@dataclass(frozen=True, slots=True)
class OwnSignals:
    """Whether votes given here, and the operator's picks, count."""

    has_votes: bool = True
    has_picks: bool = True


_BOTH = OwnSignals()


def own_signals(settings: Settings) -> OwnSignals:
    """Return what counts here: neither votes nor picks where the operator has switched them off."""
    return OwnSignals(settings.votes, settings.picks)


def refresh_trends(session: Session, since: date, now: datetime, own: OwnSignals = _BOTH) -> int:
    """Set the trend of every paper announced on or after `since`; return how many changed.

    A trend is a percentile among the papers of the same announcement date and primary category.
    If any paper of a date is on a list or has a vote, those that are not count as seen with 0
    upvotes; otherwise the last paper of the list would rank below papers that are on no list. If
    none is, all are neutral. Trends are stored so that digests, pages and `trend>90` use the same
    number.
    """
    return _refresh_days(session, read.list_days_since(session, since), now, own)


def refresh_recent_trends(
    sessions: sessionmaker[Session], now: datetime, own: OwnSignals = _BOTH
) -> int:
    """Set the trends of the last 7 days, and of older days whose papers have new signals."""
    with transaction(sessions) as session:
        recent = read.list_days_since(session, now.date() - timedelta(days=_DAYS))
        observed = read.list_days_observed(session, now.date() - timedelta(days=_OBSERVED_DAYS))
        judged = stored.list_days_judged(session, now - timedelta(days=_OBSERVED_DAYS))
        return _refresh_days(session, {*recent, *observed, *judged}, now, own)


def _refresh_days(session: Session, days: Iterable[date], now: datetime, own: OwnSignals) -> int:
    trends: dict[int, float] = {}
    for on in sorted(days):
        trends |= _trends_of_day(session, on, read.list_announced_on(session, on), now, own)
    return record_trends(session, trends)


def _trends_of_day(
    session: Session, on: date, categories: dict[int, str], now: datetime, own: OwnSignals
) -> dict[int, float]:
    snapshots = read.get_snapshots(session, categories)
    votes = _own_votes(session, categories, own)
    unlisted = (Snapshot(now, 0),) if snapshots or votes else ()
    announced_at = min(datetime.combine(on, time(), UTC), now)
    signals = (
        PaperSignals(
            paper_id,
            category,
            announced_at,
            tuple(Snapshot(at, count) for at, count in snapshots.get(paper_id, ())) or unlisted,
            votes.get(paper_id, ()),
        )
        for paper_id, category in categories.items()
    )
    return {paper_id: result.rank_score for paper_id, result in trend(signals, now).items()}


def _own_votes(
    session: Session, ids: Collection[int], own: OwnSignals
) -> dict[int, tuple[OwnVote, ...]]:
    votes: dict[int, tuple[OwnVote, ...]] = {}
    if own.has_votes:
        for paper_id, given in stored.get_vote_weights(session, ids).items():
            votes[paper_id] = tuple(OwnVote(at, VOTE_UPVOTES * weight) for at, weight in given)
    if own.has_picks:
        for paper_id, at in stored.get_pick_times(session, ids).items():
            votes[paper_id] = (*votes.get(paper_id, ()), OwnVote(at, PICK_UPVOTES))
    return votes
