"""The status of the service: a day's batches and editions, waiting mail and mail in doubt."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.editions.balance import Balance, edition_balance
from service.editions.coverage import day_coverage
from service.editions.domain.coverage import Coverage
from service.editions.store.editions import get_edition, list_editions
from service.editions.store.models import Edition
from service.operations.figures import (
    BatchLine,
    Doubt,
    Figures,
    batch_line,
    gather_doubts,
    load_figures,
    values_of,
)
from service.operations.store import edition_reports
from service.papers.domain.announcement_days import announcement_date
from service.papers.store.batches import get_batches, get_history
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.sending.restore_guard import find_suspicion

# The rate is that of the last minute: long enough to be steady, short enough to be current.
RATE_SPAN = timedelta(minutes=1)

# The maximum of Postgres' bigint; a larger parameter would be an error.
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EditionStory(Balance):
    """An edition's balance, and details behind its numbers.

    `rate_per_second` is that of the last minute; `ends_at` is the estimate of when the last waiting
    delivery is sent, None where none waits or the rate is 0.
    """

    failures: tuple[edition_reports.ReplyCount, ...]
    waiting: edition_reports.Waiting
    doubts: tuple[Doubt, ...]
    rate_per_second: float
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Figures):
    """The figures of a moment, and batches and editions of a date.

    `coverage` is None where no batch was expected. `restored` says why nothing is sent, where the
    database may be a restored backup.
    """

    on: date
    batches: tuple[BatchLine, ...]
    coverage: Coverage | None
    editions: tuple[EditionStory, ...]
    restored: str | None


def find_status(
    sessions: sessionmaker[Session], settings: Settings, on: date, now: datetime
) -> Status:
    """Return batches, editions and balances of a date, and what waits or is in doubt now."""
    suspicion = find_suspicion(sessions, settings, now)
    with transaction(sessions) as session:
        editions = [e for e in list_editions(session, on) if e.local_date == on]
        return Status(
            **values_of(load_figures(session, settings, now)),
            on=on,
            batches=tuple(map(batch_line, get_batches(session, on))),
            coverage=day_coverage(session, on, settings, announcement_date(now)),
            editions=tuple(load_edition_story(session, edition, now) for edition in editions),
            restored=str(suspicion) if suspicion else None,
        )


@dataclass(frozen=True, slots=True)
class BatchHistory:
    """Batches by date, source and category; `coverage` is that of the last date with a batch."""

    batches: tuple[BatchLine, ...]
    coverage: Coverage | None


def find_history(
    sessions: sessionmaker[Session], settings: Settings, since: date, today: date
) -> BatchHistory:
    """Return the batches of the configured sources since a date, as they are described today."""
    with transaction(sessions) as session:
        rows = get_history(session, since, settings.sources)
        coverage = day_coverage(session, rows[-1].announced_on, settings, today) if rows else None
        return BatchHistory(tuple(map(batch_line, rows)), coverage)


def find_story(
    sessions: sessionmaker[Session], edition_id: int, now: datetime
) -> EditionStory | None:
    """Return the balance of an edition with details, or None where there is no such edition."""
    if not 0 < edition_id <= _LARGEST_ID:
        return None
    with transaction(sessions) as session:
        edition = get_edition(session, edition_id)
        return load_edition_story(session, edition, now) if edition else None


def load_edition_story(session: Session, edition: Edition, now: datetime) -> EditionStory:
    """Return the current balance of an edition with details."""
    waiting = edition_reports.find_waiting(session, edition.id, now)
    sent = (
        edition_reports.count_sent_since(session, edition.id, now - RATE_SPAN)
        if _has_waiting(waiting)
        else 0
    )
    rate = sent / RATE_SPAN.total_seconds()
    return EditionStory(
        **values_of(edition_balance(session, edition)),
        failures=tuple(edition_reports.count_failures(session, edition.id)),
        waiting=waiting,
        doubts=gather_doubts(edition_reports.find_doubts(session, edition.id)),
        rate_per_second=round(rate, 2),
        ends_at=expected_end(waiting, rate, now),
    )


def _has_waiting(waiting: edition_reports.Waiting) -> bool:
    return bool(waiting.due_count or waiting.later_count)


def expected_end(waiting: edition_reports.Waiting, rate: float, now: datetime) -> datetime | None:
    """Return when the last delivery should be sent: at this rate, but not before it is due."""
    if not _has_waiting(waiting) or (waiting.due_count and not rate):
        return None
    due_sent_at = now + timedelta(seconds=waiting.due_count / rate) if rate else now
    return max(due_sent_at, waiting.last_due_at or now)
