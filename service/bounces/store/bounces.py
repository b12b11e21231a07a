"""Bounce events, written once and read for a reader's standing; deliveries moved by them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.bounces.domain.thresholds import BounceView
from service.bounces.store.models import BounceEvent
from service.deliveries.domain.states import BounceVerdict, DeliveryState, may_follow
from service.deliveries.store.deliveries import record_event
from service.deliveries.store.models import Delivery


@dataclass(frozen=True, slots=True)
class NewBounce:
    """A bounce event to write. `occurred_at` is when it happened, as far as that was told."""

    key: str
    source: str
    delivery_id: int | None
    subscriber_id: int | None
    verdict: BounceVerdict
    weight: int
    code: str
    detail: str
    occurred_at: datetime


def insert_bounce(session: Session, bounce: NewBounce, now: datetime) -> int | None:
    """Write an event; None if it is known already."""
    return session.scalar(
        insert(BounceEvent)
        .values(
            key=bounce.key,
            source=bounce.source,
            delivery_id=bounce.delivery_id,
            subscriber_id=bounce.subscriber_id,
            verdict=bounce.verdict,
            weight=bounce.weight,
            code=bounce.code,
            detail=bounce.detail,
            occurred_at=bounce.occurred_at,
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(BounceEvent.id)
    )


def list_bounces(
    session: Session, subscriber_id: int, since: datetime | None = None
) -> list[BounceView]:
    """A reader's events, of mails that were made after `since`."""
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


def lock_delivery(session: Session, delivery_id: int) -> Delivery | None:
    """A delivery as it is now, kept from changing until the commit."""
    return session.scalar(
        select(Delivery)
        .where(Delivery.id == delivery_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def move_by_evidence(
    session: Session, delivery: Delivery, state: DeliveryState, detail: str, now: datetime
) -> bool:
    """Move a locked delivery to what came back of it; true if there is nothing to wait for.

    A row on its way to the relay cannot take the state yet: the sender's own record comes first.
    Where the state may not follow (it failed, or was bounced already) the row stays as it is.
    """
    if not delivery.state.is_final:
        return False
    # What arrived needs saying only where it was in doubt.
    if may_follow(delivery.state, state):
        delivery.state = state
        delivery.updated_at = now
        record_event(session, delivery, state, detail, now)
    return True


def list_unsettled(session: Session, limit: int = 500) -> Sequence[BounceEvent]:
    """Events whose delivery may not have taken its state yet, oldest first, nobody else's."""
    return session.scalars(
        select(BounceEvent)
        .where(BounceEvent.settled_at.is_(None))
        .order_by(BounceEvent.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def settle_event(session: Session, event_id: int, now: datetime) -> None:
    session.get_one(BounceEvent, event_id).settled_at = now


def count_verdicts_by_day(
    session: Session, since: datetime
) -> dict[date, dict[BounceVerdict, int]]:
    """Count what came in since a moment by UTC day and verdict; days without anything are left out."""
    day = func.date_trunc("day", BounceEvent.created_at, "UTC").label("day")
    rows = session.execute(
        select(day, BounceEvent.verdict, func.count())
        .where(BounceEvent.created_at >= since)
        .group_by(day, BounceEvent.verdict)
        .order_by(day)
    )
    told: dict[date, dict[BounceVerdict, int]] = {}
    for at, verdict, count in rows:
        told.setdefault(at.astimezone(UTC).date(), {})[verdict] = count
    return told


def count_verdicts(session: Session, since: datetime) -> dict[BounceVerdict, int]:
    """Count what came in since a moment by verdict."""
    told: Counter[BounceVerdict] = Counter()
    for verdicts in count_verdicts_by_day(session, since).values():
        told.update(verdicts)
    return dict(told)
