"""The operator's overview: figures, the last editions, relays, bounces by day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session, sessionmaker

from service.bounces.store.bounces import count_verdicts_by_day
from service.editions.balance import Balance, edition_balances
from service.operations.figures import Figures, load_figures, values_of
from service.operations.growth import (
    GrowthDay,
    MailDay,
    days_since,
    first_moment,
    load_growth,
    load_mail_days,
)
from service.operations.store.edition_reports import latest_editions
from service.platform.database.engine import limit_time, transaction
from service.platform.settings.settings import Settings
from service.sending.domain.sent_watermark import Suspicion
from service.sending.restore_guard import find_suspicion

EDITIONS = 14
CHART_DAYS = 30
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
    """The operator's overview; `editions` are newest first.

    `bounces`, `growth` and `mails` have every day of the last month, oldest first. `suspicion` is why
    nothing is sent, where the database may be a restored backup.
    """

    at: datetime
    editions: tuple[Balance, ...]
    relays: tuple[RelayLine, ...]
    bounces: tuple[BounceDay, ...]
    growth: tuple[GrowthDay, ...]
    mails: tuple[MailDay, ...]
    suspicion: Suspicion | None


def find_overview(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> Overview:
    """Return what the operator's front page shows."""
    suspicion = find_suspicion(sessions, settings, now)
    with transaction(sessions) as session:
        limit_time(session, MOST_SECONDS)
        return Overview(
            **values_of(load_figures(session, settings, now)),
            at=now,
            editions=tuple(edition_balances(session, latest_editions(session, EDITIONS))),
            relays=tuple(describe_relays(settings)),
            bounces=_bounces(session, now),
            growth=load_growth(session, now, CHART_DAYS),
            mails=load_mail_days(session, now, CHART_DAYS),
            suspicion=suspicion,
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
    since = first_moment(now, CHART_DAYS)
    found = count_verdicts_by_day(session, since)
    return tuple(
        BounceDay(on, {str(verdict): count for verdict, count in found.get(on, {}).items()})
        for on in days_since(since, CHART_DAYS)
    )
