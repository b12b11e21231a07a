"""The figures that every door tells: what waits, what is in doubt, who takes our mail slowly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from service.operations.store.counts import count_queued, count_suppressed
from service.operations.store.edition_reports import DoubtRow, find_doubts, list_limits
from service.papers.domain.types import BatchState
from service.papers.store.models import Batch
from service.sending.domain.providers import provider_of
from service.sending.store.claim import count_due, count_in_doubt
from service.sending.store.models import ProviderLimit
from service.subscribers.store.subscribers import count_by_state


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
class ProviderLine:
    """A provider that takes our mail slowly (`rate` messages a second) or not at all."""

    provider: str
    rate: float | None
    breaker: str
    since: datetime | None
    probe_at: datetime | None
    last_reply: str


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A batch of a day. `expected_count` is what the source's own listing says, if it was asked."""

    source: str
    category: str
    announced_on: date
    state: BatchState
    announced_count: int
    expected_count: int | None
    late_count: int
    bad_count: int
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What stands beside the editions at a moment.

    `queued` are rows that wait, due or not, by kind of mail; `letters` are doubts about mails that
    belong to no edition; `suppressions` are suppressed addresses by reason.
    """

    due_count: int
    oldest_due_at: datetime | None
    queued: Mapping[str, int]
    in_doubt_count: int
    letters: tuple[Doubt, ...]
    providers: tuple[ProviderLine, ...]
    subscribers: Mapping[str, int]
    suppressions: Mapping[str, int]


def read_figures(session: Session, now: datetime) -> Figures:
    """Read each figure once, over an index or a table of few rows."""
    due_count, oldest = count_due(session, now)
    return Figures(
        due_count=due_count,
        oldest_due_at=oldest,
        queued=count_queued(session),
        in_doubt_count=count_in_doubt(session),
        letters=gather_doubts(find_doubts(session, None)),
        providers=tuple(map(provider_line, list_limits(session))),
        subscribers={str(state): n for state, n in sorted(count_by_state(session).items())},
        suppressions=dict(sorted(count_suppressed(session).items())),
    )


def values_of(value: Any) -> dict[str, Any]:
    """Return a dataclass' fields by name, to make a value of a class that extends it."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def batch_line(row: Batch) -> BatchLine:
    return BatchLine(**{field.name: getattr(row, field.name) for field in fields(BatchLine)})


def provider_line(row: ProviderLimit) -> ProviderLine:
    since = row.opened_at or row.changed_at
    return ProviderLine(row.provider, row.rate, row.breaker, since, row.probe_at, row.last_reply)


def gather_doubts(rows: Sequence[DoubtRow]) -> tuple[Doubt, ...]:
    """Group doubts by provider and by what is known of them, the oldest first."""
    told: dict[tuple[str, str, str], Doubt] = {}
    for row in rows:
        provider = provider_of(f"@{row.domain}") or "a reader who was erased"
        key = provider, row.relay, row.detail
        known = told.get(key)
        since = min(known.since, row.since) if known else row.since
        count = row.count + (known.count if known else 0)
        told[key] = Doubt(*key, count, since)
    return tuple(sorted(told.values(), key=lambda doubt: (doubt.since, doubt.provider)))
