"""What an operator sees at one look: the figures, the last editions, relays, what came back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.bounces.store.bounces import count_verdicts_by_day
from service.editions.balance import Balance, edition_balances
from service.operations.figures import Figures, read_figures, values_of
from service.operations.store.counts import limit_time
from service.operations.store.edition_reports import latest_editions
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.sending.restore_guard import find_mark_ahead

EDITIONS = 14
BOUNCE_DAYS = 30
# A page of figures is not worth more of the database's time than this.
MOST_SECONDS = 10


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview(Figures):
    """`bounces` has every day of the span, oldest first; `editions` come newest first."""

    at: datetime
    editions: tuple[Balance, ...]
    relays: tuple[RelayLine, ...]
    bounces: tuple[BounceDay, ...]
    restored_until: datetime | None


def find_overview(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> Overview:
    mark = find_mark_ahead(sessions, settings)
    with transaction(sessions) as session:
        limit_time(session, MOST_SECONDS)
        return Overview(
            **values_of(read_figures(session, now)),
            at=now,
            editions=tuple(edition_balances(session, latest_editions(session, EDITIONS))),
            relays=tuple(describe_relays(settings)),
            bounces=_bounces(session, now),
            restored_until=mark.at if mark else None,
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
    since = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=BOUNCE_DAYS - 1)
    found = count_verdicts_by_day(session, since)
    days = (since.date() + timedelta(days=number) for number in range(BOUNCE_DAYS))
    return tuple(
        BounceDay(on, {str(verdict): count for verdict, count in found.get(on, {}).items()})
        for on in days
    )
