"""Counts per day: subscriptions that began and ended, and mails by state."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, Date, cast, func, select, true, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.deliveries.domain.months import IDS, month_of
from service.deliveries.store.models import Delivery
from service.editions.store.models import Edition
from service.subscribers.store.models import Consent

_OPENED_BEFORE = timedelta(days=14)

# The actions by which somebody joins or leaves; an import of people who left before is neither.
_CHANGES = {
    "confirmed": "joined",
    "released": "joined",
    "unsubscribed": "left",
    "suppressed": "left",
}


def count_changes(
    session: Session, since: datetime, until: datetime | None = None
) -> dict[date, Counter[str]]:
    """Return how many `joined` and `left` by UTC day; those who were erased count on no day."""
    on = _day(Consent.created_at)
    rows = session.execute(
        select(on, Consent.action, func.count())
        .where(
            Consent.created_at >= since,
            true() if until is None else Consent.created_at < until,
            Consent.action.in_(list(_CHANGES)),
        )
        .group_by(on, Consent.action)
    )
    changes: dict[date, Counter[str]] = defaultdict(Counter)
    for day, action, count in rows:
        changes[day][_CHANGES[action]] += count
    return changes


def count_mails(session: Session, since: datetime) -> dict[date, dict[str, int]]:
    """Return the number of mails by day and state.

    The day of a digest is its edition's, that of any other mail the UTC day on which it was queued.
    """
    on = _day(Delivery.created_at)
    digests = (
        select(Edition.local_date.label("on"), Delivery.state, func.count().label("count"))
        .join(Edition, Edition.id == Delivery.edition_id)
        .where(
            Edition.local_date >= since.date(),
            # An edition is opened some days before its date at the most; earlier months are not read.
            Delivery.id >= month_of(since - _OPENED_BEFORE) * IDS,
        )
        .group_by(Edition.local_date, Delivery.state)
    )
    others = (
        select(on, Delivery.state, func.count())
        .where(Delivery.edition_id.is_(None), Delivery.created_at >= since)
        .group_by(on, Delivery.state)
    )
    both = union_all(digests, others).subquery()
    rows = session.execute(
        select(both.c.on, both.c.state, func.sum(both.c.count)).group_by(both.c.on, both.c.state)
    )
    return _by_day(rows)


def _day(column: InstrumentedAttribute[datetime]) -> ColumnElement[date]:
    return cast(func.timezone("UTC", column), Date)


def _by_day(rows: Iterable[tuple[date, str, int]]) -> dict[date, dict[str, int]]:
    counts: dict[date, dict[str, int]] = defaultdict(dict)
    for on, name, count in rows:
        counts[on][str(name)] = int(count)
    return dict(counts)
