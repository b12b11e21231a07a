"""Figures for CLI, web and metrics: waiting mail, mail in doubt, provider limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from service.bounces.store.quarantined import count_quarantined, list_quarantined
from service.operations.store.counts import count_queued, count_suppressed
from service.operations.store.edition_reports import DoubtRow, find_doubts, list_limits
from service.papers.domain.types import BatchState, SourceAnswer
from service.papers.store.gates import list_closed_gates
from service.papers.store.models import Batch, Gate
from service.platform.settings.settings import Settings
from service.sending.domain.providers import provider_of
from service.sending.pause_switch import Pause, find_pause
from service.sending.store.claim import count_due, count_in_doubt
from service.sending.store.models import ProviderLimit
from service.sending.store.warm_up import count_held, find_warm_up
from service.subscribers.store.subscribers import count_by_state

# The number of quarantined mails that are shown.
QUARANTINED = 3


@dataclass(frozen=True, slots=True)
class Doubt:
    """Deliveries in doubt with the same provider, relay and detail; `since` is that of the oldest.

    `relay` is empty where the sender died before recording it.
    """

    provider: str
    relay: str
    detail: str
    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class ProviderLine:
    """A provider limit: `rate` in messages per second, or paused by the circuit `breaker`."""

    provider: str
    rate: float | None
    breaker: str
    since: datetime | None
    probe_at: datetime | None
    last_reply: str


@dataclass(frozen=True, slots=True)
class GateLine:
    """A host of sources that refused us, and is asked nothing until then; `host` opens it again."""

    host: str
    reason: str
    since: datetime | None
    until: datetime


@dataclass(frozen=True, slots=True)
class WarmUpLine:
    """A new domain's warm-up today: its `limit` of mails to each provider, and how many digests are
    `held` until it `ends_at`, by provider.
    """

    domain: str
    day: int
    days: int
    limit: int
    ends_at: datetime
    held: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A batch. `answer` is what the source last said of the day, `expected_count` the number in its
    own listing, if that was fetched.
    """

    source: str
    category: str
    announced_on: date
    state: BatchState
    answer: SourceAnswer
    announced_count: int
    expected_count: int | None
    late_count: int
    bad_count: int
    note: str


@dataclass(frozen=True, slots=True)
class QuarantineLine:
    """A mail to the bounce address that could not be parsed, and where it is now."""

    at: datetime
    source: str
    reason: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a moment that belong to no single edition.

    `pause` is that of all sending, None while mail is sent; `warm_up` is None but for a new domain.
    `queued` are waiting deliveries, due or not, by kind of mail; `letters` are doubts about
    transactional mail; `gates` are closed; `suppressions` are suppressed addresses by reason;
    `quarantined` are the
    newest of the `quarantined_count` mails in quarantine.
    """

    due_count: int
    oldest_due_at: datetime | None
    queued: Mapping[str, int]
    in_doubt_count: int
    letters: tuple[Doubt, ...]
    providers: tuple[ProviderLine, ...]
    gates: tuple[GateLine, ...]
    warm_up: WarmUpLine | None
    subscribers: Mapping[str, int]
    suppressions: Mapping[str, int]
    pause: Pause | None
    quarantined_count: int
    quarantined: tuple[QuarantineLine, ...]


def load_figures(session: Session, settings: Settings, now: datetime) -> Figures:
    """Return the figures, each from an index or a small table."""
    due_count, oldest = count_due(session, now)
    return Figures(
        due_count=due_count,
        oldest_due_at=oldest,
        queued=count_queued(session),
        in_doubt_count=count_in_doubt(session),
        letters=gather_doubts(find_doubts(session, None)),
        providers=tuple(map(provider_line, list_limits(session))),
        gates=tuple(map(gate_line, list_closed_gates(session))),
        warm_up=warm_up_line(session, settings, now),
        subscribers={str(state): n for state, n in sorted(count_by_state(session).items())},
        suppressions=dict(sorted(count_suppressed(session).items())),
        pause=find_pause(session),
        quarantined_count=count_quarantined(session),
        quarantined=tuple(
            QuarantineLine(row.created_at, row.source, row.reason, row.place)
            for row in list_quarantined(session, QUARANTINED)
        ),
    )


def values_of(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by name, to construct a value of a subclass."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def batch_line(row: Batch) -> BatchLine:
    """Return a batch as reports show it."""
    return BatchLine(**{field.name: getattr(row, field.name) for field in fields(BatchLine)})


def gate_line(row: Gate) -> GateLine:
    """Return a closed gate as reports show it."""
    return GateLine(row.name, row.reason, row.closed_at, row.next_at)


def provider_line(row: ProviderLimit) -> ProviderLine:
    """Return a provider's limit as reports show it."""
    since = row.opened_at or row.changed_at
    return ProviderLine(row.provider, row.rate, row.breaker, since, row.probe_at, row.last_reply)


def warm_up_line(session: Session, settings: Settings, now: datetime) -> WarmUpLine | None:
    """Return the warm-up as reports show it; None where there is none, or it is over."""
    found = find_warm_up(session, settings, now)
    if found is None:
        return None
    held = count_held(session, found)
    return WarmUpLine(settings.from_domain, found.day, found.days, found.limit, found.ends_at, held)


def gather_doubts(rows: Sequence[DoubtRow]) -> tuple[Doubt, ...]:
    """Return doubts grouped by provider, relay and detail, oldest first."""
    doubts: dict[tuple[str, str, str], Doubt] = {}
    for row in rows:
        provider = provider_of(f"@{row.domain}") or "a reader who was erased"
        key = provider, row.relay, row.detail
        known = doubts.get(key)
        since = min(known.since, row.since) if known else row.since
        count = row.count + (known.count if known else 0)
        doubts[key] = Doubt(*key, count, since)
    return tuple(sorted(doubts.values(), key=lambda doubt: (doubt.since, doubt.provider)))
