"""The counts of a warm-up: what each provider got from a domain today, and on which days it sent."""

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime

from sqlalchemy import delete, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.deliveries.domain.message_ids import domain_mark
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery, DeliveryEvent
from service.platform.settings.settings import Settings
from service.sending.domain.warm_up import WarmUp, find_day
from service.sending.store.models import WarmUpCount

# One lock for all senders: each sees the counts of the others. They send little, or would not warm up.
_LOCK = text("SELECT pg_advisory_xact_lock(20593, 1)")
# The row that stands for a day, whatever was sent on it.
_WHOLE_DAY = ""
# The days on which a domain sent before its warm-up was switched on. Message-IDs have the mark of the
# envelope's domain. Reads all deliveries, once for each domain.
_EARLIER_DAYS = text("""
INSERT INTO warm_up_counts (domain, day, provider, sent_count)
SELECT DISTINCT :domain, CAST(updated_at AT TIME ZONE 'UTC' AS date), '', 0
FROM deliveries
WHERE substring(message_id FROM 11) = :mark AND state NOT IN ('queued', 'claimed', 'in_flight')
  AND updated_at < :today
UNION SELECT :domain, CAST(:today AS date), '', 0
ON CONFLICT DO NOTHING
""")


def is_possible(settings: Settings) -> bool:
    """Return whether this installation warms a domain up: the development mailbox needs none."""
    return bool(settings.warm_up_days and settings.smtp_url)


def find_warm_up(session: Session, settings: Settings, now: datetime) -> WarmUp | None:
    """Return today's warm-up with what was sent; None where there is none, or it is over."""
    if not is_possible(settings):
        return None
    domain, today = _domain(settings), _today(now)
    days_before = session.scalars(
        select(func.count(WarmUpCount.day.distinct())).where(
            WarmUpCount.domain == domain, WarmUpCount.day < today
        )
    ).one()
    found = find_day(days_before, settings.warm_up_days, now)
    if found is None:
        return None
    rows = session.execute(
        select(WarmUpCount.provider, WarmUpCount.sent_count).where(
            WarmUpCount.domain == domain,
            WarmUpCount.day == today,
            WarmUpCount.provider != _WHOLE_DAY,
        )
    )
    return found.count({provider: count for provider, count in rows})  # noqa: C416  # rows are no pairs


def lock_warm_up(session: Session, settings: Settings, now: datetime) -> WarmUp | None:
    """Return the same, locked until the end of the transaction, on a day that has begun by this."""
    if not is_possible(settings):
        return None
    domain, today = _domain(settings), _today(now)
    session.execute(_LOCK)
    known = session.scalars(
        select(WarmUpCount.day).where(WarmUpCount.domain == domain).distinct()
    ).all()
    if not known:
        given = {"domain": domain, "mark": domain_mark(settings.envelope_domain), "today": today}
        session.execute(_EARLIER_DAYS, given)
    elif today not in known:
        # Of days that are over only that they were counts.
        is_over = (WarmUpCount.domain == domain) & (WarmUpCount.provider != _WHOLE_DAY)
        session.execute(delete(WarmUpCount).where(is_over))
    return find_warm_up(session, settings, now)


def add_counts(
    session: Session, settings: Settings, counts: Mapping[str, int], now: datetime
) -> None:
    """Add to today's counts by provider, which this transaction has locked."""
    if not counts:
        return
    key = {"domain": _domain(settings), "day": _today(now)}
    rows = [
        {**key, "provider": provider, "sent_count": count}
        for provider, count in {**counts, _WHOLE_DAY: 0}.items()
    ]
    statement = insert(WarmUpCount).values(rows)
    total = WarmUpCount.sent_count + statement.excluded.sent_count
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["domain", "day", "provider"], set_={"sent_count": total}
        )
    )


def note_held(session: Session, ids: Collection[int], warm_up: WarmUp, now: datetime) -> None:
    """Write into the history of held rows why they wait, and until when."""
    detail = (
        f"waits until {warm_up.ends_at:%Y-%m-%d %H:%M} UTC: a new domain sends at most {warm_up.limit}"
        f" mails to each provider on day {warm_up.day} of {warm_up.days} of its warm-up"
    )
    held = select(
        Delivery.id, Delivery.attempt, literal(DeliveryState.QUEUED, DeliveryEvent.state.type),
        literal(detail), literal(now),
    ).where(Delivery.id.in_(ids))  # fmt: skip
    columns = ["delivery_id", "attempt", "state", "detail", "created_at"]
    session.execute(insert(DeliveryEvent).from_select(columns, held))


def count_held(session: Session, warm_up: WarmUp) -> dict[str, int]:
    """Return how many digests wait for the next day, by provider."""
    full = sorted(provider for provider in warm_up.sent if not warm_up.room(provider))
    rows = session.execute(
        select(Delivery.lane, func.count())
        .where(
            Delivery.state == DeliveryState.QUEUED,
            Delivery.lane != "",
            Delivery.lane.in_(full),
            Delivery.edition_id.is_not(None),
        )
        .group_by(Delivery.lane)
        .order_by(Delivery.lane)
    )
    return {provider: count for provider, count in rows}  # noqa: C416  # rows are no pairs


def count_sent(session: Session, sender: str, most: int) -> int:
    """Return how many mails a domain sent from here, at most `most`. Message-IDs have its mark."""
    is_sent = func.substring(Delivery.message_id, 11) == domain_mark(sender)
    found = select(Delivery.id).where(is_sent, Delivery.state == DeliveryState.SENT).limit(most)
    return session.scalars(select(func.count()).select_from(found.subquery())).one()


def _domain(settings: Settings) -> str:
    return settings.from_domain.lower()


def _today(now: datetime) -> date:
    return now.astimezone(UTC).date()
