"""Check batches against the counts that a source's listing states, and close overdue batches.

A day with fewer papers than listed is incomplete. A batch open at its deadline gets a note.
"""

from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.papers.domain.announcement_days import (
    announcement_date,
    is_announcement_day,
    is_past_deadline,
    polled_date,
)
from service.papers.domain.completeness import judge_closed, later_answer
from service.papers.domain.record_limits import FAULTS
from service.papers.domain.types import BatchState, SourceAnswer
from service.papers.sources.base import Source, SourceClosed, SourceUnavailable, SourceUnreadable
from service.papers.store.batches import count_first_announced, find_batch, find_overdue, open_batch
from service.papers.store.models import Batch
from service.platform.database.engine import log_on_commit, transaction
from service.platform.logs import get_logger

BETWEEN_LISTINGS = timedelta(minutes=30)

log = get_logger(__name__)


def fetch_expected_count(
    sessions: sessionmaker[Session], source: Source, category: str, now: datetime
) -> None:
    """Fetch, once per batch, the listing's counts for the awaited batch and store them with it.

    The listing is only a check: where it does not answer, the day goes on without it. Nothing is
    listed for weekends. Except in the hours when editions wait for it, a category's listing is
    requested once in 30 minutes, by all processes together.
    """
    awaited = polled_date(now)
    if not source.gates_editions or not is_announcement_day(awaited):
        return
    if _is_known(sessions, source, category, awaited):
        return
    if not _claim_listing(sessions, source, category, now):
        return
    try:
        expected = source.expect(category)
    except SourceClosed:
        _release_listing(sessions, source, category, now)
        return
    except (SourceUnavailable, SourceUnreadable, *FAULTS) as error:
        log.info("oracle.silent", source=source.name, category=category, reason=str(error))
        return
    if expected is None or expected.on > awaited:
        return
    with transaction(sessions) as session:
        if expected.on < announcement_date(now):
            today = open_batch(session, source.name, category, announcement_date(now), now)
            today.listed_on = expected.on
        batch = open_batch(session, source.name, category, expected.on, now)
        batch.listed_on, batch.listed_ids = expected.on, list(expected.new_ids)
        batch.expected_count = expected.first_count
        if not expected.first_count and batch.state is BatchState.EXPECTED:
            batch.state = BatchState.COMPLETE
            batch.answer = later_answer(batch.answer, SourceAnswer.NOTHING)
            batch.note = "the listing says: no updates today"
            batch.completed_at = now
            _log_state(session, batch)
        elif batch.state is BatchState.COMPLETE:
            _reopen_if_short(session, batch, now)


def _claim_listing(
    sessions: sessionmaker[Session], source: Source, category: str, now: datetime
) -> bool:
    """Return whether the listing may be requested now; the row lock admits one process."""
    today = announcement_date(now)
    if polled_date(now) == today and not is_past_deadline(today, now):
        return True
    with transaction(sessions) as session:
        batch = open_batch(session, source.name, category, today, now)
        if batch.listed_at and now - batch.listed_at < BETWEEN_LISTINGS:
            return False
        batch.listed_at = now
        return True


def _release_listing(
    sessions: sessionmaker[Session], source: Source, category: str, now: datetime
) -> None:
    """Take a claim back: the gate was closed, so that no request was sent."""
    with transaction(sessions) as session:
        batch = open_batch(session, source.name, category, announcement_date(now), now)
        if batch.listed_at == now:
            batch.listed_at = None


def _reopen_if_short(session: Session, batch: Batch, now: datetime) -> None:
    """Make a complete batch partial again if the listing now counts more papers than it holds.

    This is the only step back that a batch can make, and none is made past its deadline.
    """
    found = count_first_announced(session, batch.id)
    if found < (batch.expected_count or 0) and not is_past_deadline(batch.announced_on, now):
        batch.state, batch.completed_at, batch.etag = BatchState.PARTIAL, None, ""
        batch.note = f"{found} of {batch.expected_count} papers, as the listing says now"
        _log_state(session, batch)


def _is_known(sessions: sessionmaker[Session], source: Source, category: str, on: date) -> bool:
    with transaction(sessions) as session:
        batch = find_batch(session, source.name, category, on)
        return batch is not None and batch.expected_count is not None


def close_overdue(sessions: sessionmaker[Session], now: datetime) -> int:
    """Close the batches whose deadline has passed and return how many; later papers are late."""
    today = announcement_date(now)
    until = today if is_past_deadline(today, now) else today - timedelta(days=1)
    with transaction(sessions) as session:
        overdue = find_overdue(session, until)
        for batch in overdue:
            close(session, batch, now)
        return len(overdue)


def close(session: Session, batch: Batch, now: datetime) -> None:
    """Close one batch with a note of how many papers it holds."""
    batch.state = BatchState.CLOSED
    batch.closed_at = now
    found = count_first_announced(session, batch.id)
    batch.note = judge_closed(found, batch.expected_count, batch.answer, batch.failure)
    _log_state(session, batch)


def _log_state(session: Session, batch: Batch) -> None:
    """Log a batch whose state changed without a fetch."""
    values = {"source": batch.source, "category": batch.category, "date": str(batch.announced_on)}
    log_on_commit(session, log, "batch", **values, state=batch.state, note=batch.note)
