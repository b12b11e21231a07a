"""The operator's overview: figures, the last editions, relays, bounces by day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.bounces.store.bounces import count_verdicts_by_day
from service.editions.balance import Balance, edition_balances
from service.operations.figures import Figures, load_figures, values_of
from service.operations.store.counts import limit_time
from service.operations.store.edition_reports import latest_editions
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.sending.restore_guard import find_newer_watermark

EDITIONS = 14
BOUNCE_DAYS = 30
# The most time that one statement of this page may take of the database.
MOST_SECONDS = 10


@dataclass(frozen=True, slots=True)
class RelayLine:
    """A relay from the settings, without its credentials."""

    name: str
    security: str
    weight: int


@dataclass(frozen=True, slots=True)
class BounceDay:
    """What came back on one day, by verdict."""

    on: date
    verdicts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview(Figures):
    """The operator's overview; `bounces` has every day, oldest first, `editions` are newest first."""

    at: datetime
    editions: tuple[Balance, ...]
    relays: tuple[RelayLine, ...]
    bounces: tuple[BounceDay, ...]
    restored_until: datetime | None


def find_overview(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> Overview:
    """Return what the operator's front page shows."""
    watermark = find_newer_watermark(sessions, settings)
    with transaction(sessions) as session:
        limit_time(session, MOST_SECONDS)
        return Overview(
            **values_of(load_figures(session, now)),
            at=now,
            editions=tuple(edition_balances(session, latest_editions(session, EDITIONS))),
            relays=tuple(describe_relays(settings)),
            bounces=_bounces(session, now),
            restored_until=watermark.at if watermark else None,
        )


def describe_relays(settings: Settings) -> list[RelayLine]:
    """Return the relays by name, with the encryption of their connections."""
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
