"""How the machine stands: the whole story of a day's editions, and what waits or is in doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.editions.balance import Balance, edition_balance
from service.editions.coverage import day_coverage
from service.editions.domain.coverage import Coverage
from service.editions.store.editions import list_editions
from service.editions.store.models import Edition
from service.operations.store.edition_reports import (
    DoubtRow,
    ReplyCount,
    Waiting,
    count_failures,
    count_sent_since,
    find_doubts,
    find_waiting,
    list_paces,
)
from service.papers.store.batches import get_batches
from service.papers.store.models import Batch
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.sending.domain.providers import provider_of
from service.sending.store.claim import count_due, count_in_doubt
from service.sending.store.models_provider_limits import PaceRow
from service.subscribers.store.subscribers import count_by_state

# The rate is that of the last minute: long enough to be steady, short enough to be now.
RATE_SPAN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Rows in doubt that share provider, relay and what is known of them; `since` is the oldest's.

    `relay` is empty where the sender died before it could say.
    """

    provider: str
    relay: str
    detail: str
    count: int
    since: datetime


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


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A batch as `status` tells it."""

    source: str
    category: str
    announced_on: date
    state: str
    announced_count: int
    bad_count: int
    note: str


@dataclass(frozen=True, slots=True)
class ProviderLine:
    """A provider that takes our mail slowly (`rate` messages a second) or not at all."""

    provider: str
    rate: float | None
    breaker: str
    since: datetime | None
    probe_at: datetime | None
    last_reply: str


@dataclass(frozen=True, slots=True)
class Status:
    """How the machine stands: batches of a date, its editions, and what waits or is in doubt.

    `coverage` is None where nothing was to be expected; `letters` are doubts about mails that belong to no edition.
    """

    on: date
    batches: tuple[BatchLine, ...]
    coverage: Coverage | None
    editions: tuple[EditionStory, ...]
    subscribers: Mapping[str, int]
    due_count: int
    oldest_due_at: datetime | None
    in_doubt_count: int
    letters: tuple[Doubt, ...]
    providers: tuple[ProviderLine, ...]


def find_status(
    sessions: sessionmaker[Session], settings: Settings, on: date, now: datetime
) -> Status:
    with transaction(sessions) as session:
        editions = [e for e in list_editions(session, on) if e.local_date == on]
        due_count, oldest = count_due(session, now)
        return Status(
            on=on,
            batches=tuple(map(_batch_line, get_batches(session, on))),
            coverage=day_coverage(session, on, settings),
            editions=tuple(tell_edition(session, edition, now) for edition in editions),
            subscribers={str(k): v for k, v in count_by_state(session).items()},
            due_count=due_count,
            oldest_due_at=oldest,
            in_doubt_count=count_in_doubt(session),
            letters=gather_doubts(find_doubts(session, None)),
            providers=tuple(map(provider_line, list_paces(session))),
        )


def _batch_line(batch: Batch) -> BatchLine:
    return BatchLine(
        batch.source,
        batch.category,
        batch.announced_on,
        batch.state,
        batch.announced_count,
        batch.bad_count,
        batch.note,
    )


def provider_line(row: PaceRow) -> ProviderLine:
    since = row.opened_at or row.changed_at
    return ProviderLine(row.provider, row.rate, row.breaker, since, row.probe_at, row.last_reply)


def tell_edition(session: Session, edition: Edition, now: datetime) -> EditionStory:
    """The whole story of one edition, as the rows have it now."""
    balance = edition_balance(session, edition)
    waiting = find_waiting(session, edition.id, now)
    sent = count_sent_since(session, edition.id, now - RATE_SPAN) if _is_moving(waiting) else 0
    rate = sent / RATE_SPAN.total_seconds()
    return EditionStory(
        **{field.name: getattr(balance, field.name) for field in fields(balance)},
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


def gather_doubts(rows: Sequence[DoubtRow]) -> tuple[Doubt, ...]:
    """Doubts by provider and by what is known of them, the oldest first."""
    told: dict[tuple[str, str, str], Doubt] = {}
    for row in rows:
        provider = provider_of(f"@{row.domain}") or "a reader who was erased"
        key = provider, row.relay, row.detail
        known = told.get(key)
        since = min(known.since, row.since) if known else row.since
        count = row.count + (known.count if known else 0)
        told[key] = Doubt(*key, count, since)
    return tuple(sorted(told.values(), key=lambda doubt: (doubt.since, doubt.provider)))
