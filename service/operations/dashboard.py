"""What an operator sees at one look: the last editions, the queue, who refuses us, what came back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.states import DeliveryState, balance_closes
from service.editions.store.models import Edition
from service.operations.status import Doubt, ProviderLine, gather_doubts, provider_line
from service.operations.store.counts import count_queued, count_suppressed, limit_time
from service.operations.store.edition_reports import (
    bounces_per_day,
    count_edition_states,
    find_doubts,
    latest_editions,
    list_paces,
)
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.sending.restore_guard import find_mark_ahead
from service.sending.store.claim import count_due, count_in_doubt
from service.subscribers.store.subscribers import count_by_state

EDITIONS = 14
BOUNCE_DAYS = 30
# A page of figures is not worth more of the database's time than this.
MOST_SECONDS = 10


@dataclass(frozen=True, slots=True)
class EditionLine:
    """One edition in a list. `waiting_count` is what is queued, claimed or in flight."""

    edition_id: int
    cadence: str
    on: date
    state: str
    candidate_count: int | None
    states: Mapping[str, int]
    waiting_count: int
    closes: bool


@dataclass(frozen=True, slots=True)
class RelayLine:
    """A relay as the settings name it, without what opens it."""

    name: str
    security: str
    weight: int


@dataclass(frozen=True, slots=True)
class BounceDay:
    on: date
    verdicts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Overview:
    """`bounces` has every day of the span, oldest first; `letters` are doubts of no edition."""

    at: datetime
    editions: tuple[EditionLine, ...]
    due_count: int
    oldest_due_at: datetime | None
    queued: Mapping[str, int]
    in_doubt_count: int
    letters: tuple[Doubt, ...]
    providers: tuple[ProviderLine, ...]
    relays: tuple[RelayLine, ...]
    subscribers: Mapping[str, int]
    suppressions: Mapping[str, int]
    bounces: tuple[BounceDay, ...]
    restored_until: datetime | None


def find_overview(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> Overview:
    mark = find_mark_ahead(sessions, settings)
    with transaction(sessions) as session:
        limit_time(session, MOST_SECONDS)
        due_count, oldest = count_due(session, now)
        return Overview(
            at=now,
            editions=_editions(session),
            due_count=due_count,
            oldest_due_at=oldest,
            queued=count_queued(session),
            in_doubt_count=count_in_doubt(session),
            letters=gather_doubts(find_doubts(session, None)),
            providers=tuple(map(provider_line, list_paces(session))),
            relays=tuple(describe_relays(settings)),
            subscribers={str(k): v for k, v in sorted(count_by_state(session).items())},
            suppressions=dict(sorted(count_suppressed(session).items())),
            bounces=_bounces(session, now),
            restored_until=mark.at if mark else None,
        )


def _editions(session: Session) -> tuple[EditionLine, ...]:
    editions = latest_editions(session, EDITIONS)
    counted = count_edition_states(session, [edition.id for edition in editions])
    return tuple(_edition_line(edition, counted[edition.id]) for edition in editions)


def _edition_line(edition: Edition, states: Mapping[DeliveryState, int]) -> EditionLine:
    return EditionLine(
        edition_id=edition.id,
        cadence=edition.cadence,
        on=edition.local_date,
        state=edition.state,
        candidate_count=edition.candidate_count,
        states={str(state): states[state] for state in DeliveryState if state in states},
        waiting_count=sum(count for state, count in states.items() if not state.is_final),
        closes=balance_closes(edition.candidate_count, dict(states)),
    )


def describe_relays(settings: Settings) -> list[RelayLine]:
    """The relays by name and by how the way there is guarded."""
    return [
        RelayLine(
            f"{relay.host}:{relay.port}",
            "TLS" if relay.use_tls else f"STARTTLS {relay.starttls}",
            relay.weight,
        )
        for relay in settings.relays
    ]


def _bounces(session: Session, now: datetime) -> tuple[BounceDay, ...]:
    first = now.date() - timedelta(days=BOUNCE_DAYS - 1)
    since = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=BOUNCE_DAYS - 1)
    found = {at.date(): Counter(verdicts) for at, verdicts in bounces_per_day(session, since)}
    days = (first + timedelta(days=number) for number in range(BOUNCE_DAYS))
    return tuple(BounceDay(on, found.get(on, Counter())) for on in days)
