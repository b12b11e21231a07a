"""How the machine stands: the whole story of a day's editions, and what waits or is in doubt."""

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
    read_figures,
    values_of,
)
from service.operations.store.edition_reports import (
    ReplyCount,
    Waiting,
    count_failures,
    count_sent_since,
    find_doubts,
    find_waiting,
)
from service.papers.store.batches import get_batches, get_history
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings

# The rate is that of the last minute: long enough to be steady, short enough to be now.
RATE_SPAN = timedelta(minutes=1)

# Postgres' bigint; larger numbers are nobody's.
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EditionStory(Balance):
    """An edition's balance, and what is behind its numbers.

    `rate_per_second` is that of the last minute; `ends_at` is when the last row that waits should
    be gone, as far as can be told: None where nothing waits, or nothing moves.
    """

    failures: tuple[ReplyCount, ...]
    waiting: Waiting
    doubts: tuple[Doubt, ...]
    rate_per_second: float
    ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Figures):
    """The figures of a moment, and batches and editions of a date.

    `coverage` is None where nothing was to be expected.
    """

    on: date
    batches: tuple[BatchLine, ...]
    coverage: Coverage | None
    editions: tuple[EditionStory, ...]


def find_status(
    sessions: sessionmaker[Session], settings: Settings, on: date, now: datetime
) -> Status:
    with transaction(sessions) as session:
        editions = [e for e in list_editions(session, on) if e.local_date == on]
        return Status(
            **values_of(read_figures(session, now)),
            on=on,
            batches=tuple(map(batch_line, get_batches(session, on))),
            coverage=day_coverage(session, on, settings),
            editions=tuple(tell_edition(session, edition, now) for edition in editions),
        )


@dataclass(frozen=True, slots=True)
class BatchHistory:
    """Batches by date, source and category; `coverage` is that of the last date that has any."""

    batches: tuple[BatchLine, ...]
    coverage: Coverage | None


def find_history(sessions: sessionmaker[Session], settings: Settings, since: date) -> BatchHistory:
    """Return the batches of the sources that are set, from a date on."""
    with transaction(sessions) as session:
        rows = get_history(session, since, settings.sources)
        coverage = day_coverage(session, rows[-1].announced_on, settings) if rows else None
        return BatchHistory(tuple(map(batch_line, rows)), coverage)


def find_story(
    sessions: sessionmaker[Session], edition_id: int, now: datetime
) -> EditionStory | None:
    """Return the whole story of an edition, or None where there is no such edition."""
    if not 0 < edition_id <= _LARGEST_ID:
        return None
    with transaction(sessions) as session:
        edition = get_edition(session, edition_id)
        return tell_edition(session, edition, now) if edition else None


def tell_edition(session: Session, edition: Edition, now: datetime) -> EditionStory:
    """Return the whole story of one edition, as the rows have it now."""
    waiting = find_waiting(session, edition.id, now)
    sent = count_sent_since(session, edition.id, now - RATE_SPAN) if _is_moving(waiting) else 0
    rate = sent / RATE_SPAN.total_seconds()
    return EditionStory(
        **values_of(edition_balance(session, edition)),
        failures=tuple(count_failures(session, edition.id)),
        waiting=waiting,
        doubts=gather_doubts(find_doubts(session, edition.id)),
        rate_per_second=round(rate, 2),
        ends_at=expected_end(waiting, rate, now),
    )


def _is_moving(waiting: Waiting) -> bool:
    return bool(waiting.due_count or waiting.later_count)


def expected_end(waiting: Waiting, rate: float, now: datetime) -> datetime | None:
    """When the last row should be gone: what is due at this rate, and no row before it is due."""
    if not _is_moving(waiting) or (waiting.due_count and not rate):
        return None
    through = now + timedelta(seconds=waiting.due_count / rate) if rate else now
    return max(through, waiting.last_due_at or now)
