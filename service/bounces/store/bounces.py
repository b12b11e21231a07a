"""Bounce events: inserted once, read for a subscriber's bounce score, applied to deliveries."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.bounces.domain.thresholds import BounceView
from service.bounces.store.models import BounceEvent
from service.deliveries.domain.states import BounceVerdict, DeliveryState, may_follow
from service.deliveries.store.deliveries import record_event
from service.deliveries.store.models import Delivery


@dataclass(frozen=True, slots=True)
class NewBounce:
    """A bounce event to insert. `occurred_at` is the time that was reported, or now."""

    key: str
    source: str
    delivery_id: int | None
    subscriber_id: int | None
    verdict: BounceVerdict
    weight: int
    code: str
    detail: str
    occurred_at: datetime


def insert_bounce(session: Session, bounce: NewBounce, now: datetime) -> BounceEvent | None:
    """Insert an event and return its row; None if its key exists already."""
    return session.scalar(
        insert(BounceEvent)
        .values(**asdict(bounce), created_at=now)
        .on_conflict_do_nothing()
        .returning(BounceEvent)
    )


def list_bounces(
    session: Session, subscriber_id: int, since: datetime | None = None
) -> list[BounceView]:
    """Return a subscriber's events about mails that were made after `since`."""
    statement = (
        select(BounceEvent)
        .outerjoin(Delivery, Delivery.id == BounceEvent.delivery_id)
        .where(BounceEvent.subscriber_id == subscriber_id)
    )
    if since is not None:
        made_at = func.coalesce(Delivery.created_at, BounceEvent.occurred_at)
        statement = statement.where(made_at >= since)
    return [
        BounceView(row.key, row.verdict, row.weight, row.occurred_at)
        for row in session.scalars(statement)
    ]


def list_replies(session: Session, subscriber_id: int) -> list[str]:
    """Return the distinct replies that count against a subscriber, newest first."""
    rows = session.scalars(
        select(BounceEvent.detail)
        .where(
            BounceEvent.subscriber_id == subscriber_id,
            (BounceEvent.weight > 0) | (BounceEvent.verdict == BounceVerdict.COMPLAINT),
        )
        .order_by(BounceEvent.occurred_at.desc(), BounceEvent.id.desc())
        .limit(20)
    )
    return [reply for reply in dict.fromkeys(rows) if reply]


def forgive_bounces(session: Session, subscriber_id: int) -> None:
    """Make a subscriber's bounces count nothing any more; complaints stay."""
    session.execute(
        update(BounceEvent).where(BounceEvent.subscriber_id == subscriber_id).values(weight=0)
    )


def lock_delivery(session: Session, delivery_id: int) -> Delivery | None:
    """Lock a delivery until the commit and return its present row."""
    return session.get(Delivery, delivery_id, with_for_update=True, populate_existing=True)


def apply_bounce(
    session: Session, delivery: Delivery, state: DeliveryState, detail: str, now: datetime
) -> bool:
    """Set a locked delivery's state by a bounce; return false if it must be tried again later.

    A delivery in flight cannot take the state yet: the sender must record its result first.
    Where the state may not follow (it failed, or was bounced already) the row stays unchanged.
    """
    if not delivery.state.is_final:
        return False
    # That a mail arrived is an allowed transition only for a delivery in doubt.
    if may_follow(delivery.state, state):
        delivery.state = state
        delivery.updated_at = now
        record_event(session, delivery, state, detail, now)
    return True


def list_unsettled(session: Session, limit: int = 500) -> Sequence[BounceEvent]:
    """Lock and return events not applied to a delivery yet, oldest first (SKIP LOCKED)."""
    return session.scalars(
        select(BounceEvent)
        .where(BounceEvent.settled_at.is_(None))
        .order_by(BounceEvent.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def count_verdicts_by_day(
    session: Session, since: datetime
) -> dict[date, dict[BounceVerdict, int]]:
    """Count the events since a time by UTC day and verdict; days without events are left out."""
    day = func.date_trunc("day", BounceEvent.created_at, "UTC").label("day")
    rows = session.execute(
        select(day, BounceEvent.verdict, func.count())
        .where(BounceEvent.created_at >= since)
        .group_by(day, BounceEvent.verdict)
        .order_by(day)
    )
    counts: dict[date, dict[BounceVerdict, int]] = {}
    for at, verdict, count in rows:
        counts.setdefault(at.astimezone(UTC).date(), {})[verdict] = count
    return counts


def count_verdicts(session: Session, since: datetime) -> dict[BounceVerdict, int]:
    """Count the events since a time by verdict."""
    counts: Counter[BounceVerdict] = Counter()
    for verdicts in count_verdicts_by_day(session, since).values():
        counts.update(verdicts)
    return dict(counts)
