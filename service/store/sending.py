"""The steps of sending, as conditional updates: whoever changes no row has lost and must stop.

A sender holds an advisory lock on its own number for as long as its connection lives. When the
process dies, Postgres drops the lock at once, so what it left is found without waiting for its
lease; the lease itself serves where a host vanishes and its connection lingers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, Integer, Select, and_, cast, func, or_, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from service.domain.delivery import Decision
from service.domain.types import DeliveryState, EditionState
from service.store.models import Delivery, DeliveryEvent, Edition, Subscriber

# The first half of every sender's advisory lock: tells our locks from anybody else's.
LOCK_CLASS = 20592


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that this sender holds, at this attempt, and its reader as read in the claim."""

    delivery: Delivery
    subscriber: Subscriber | None


@contextmanager
def hold_sender_lock(sessions: sessionmaker[Session], owner: int) -> Iterator[None]:
    """Hold the sender's lock on a connection of its own, outside any transaction, until the end.

    The lock belongs to the connection. It is closed for good afterwards, since back in the pool
    it would keep a dead sender alive.
    """
    engine: Engine = sessions.kw["bind"]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            select(func.pg_advisory_lock(cast(LOCK_CLASS, Integer), cast(owner, Integer)))
        )
        try:
            yield
        finally:
            connection.invalidate()


def _due(now: datetime, edition_id: int | None, limit: int) -> Select[Delivery]:
    is_frozen = or_(Delivery.edition_id.is_(None), Edition.state != EditionState.OPEN)
    statement = (
        select(Delivery)
        .outerjoin(Edition, Edition.id == Delivery.edition_id)
        .where(Delivery.state == DeliveryState.QUEUED, Delivery.due_at <= now, is_frozen)
        .order_by(Delivery.due_at, Delivery.id)
        .limit(limit)
        .with_for_update(of=Delivery, skip_locked=True)
    )
    return statement if edition_id is None else statement.where(Delivery.edition_id == edition_id)


def claim_due(
    session: Session,
    owner: int,
    now: datetime,
    lease: timedelta,
    limit: int,
    edition_id: int | None,
) -> list[Claim]:
    """Take up to `limit` rows that are due; rows that others are taking are passed over."""
    deliveries = session.execute(_due(now, edition_id, limit)).scalars().all()
    for delivery in deliveries:
        delivery.state = DeliveryState.CLAIMED
        delivery.attempt += 1
        delivery.lease_owner = owner
        delivery.lease_until = now + lease
        delivery.updated_at = now
    session.flush()
    return with_readers(session, deliveries)


def with_readers(session: Session, deliveries: Sequence[Delivery]) -> list[Claim]:
    """The deliveries with their readers, read afresh and kept from changing until the commit.

    The share lock is what lets a late unsubscribe win: either it is committed and seen here, or
    it waits for this short transaction and finds the row already in flight.
    """
    wanted = {delivery.subscriber_id for delivery in deliveries if delivery.subscriber_id}
    readers = {
        reader.id: reader
        for reader in session.execute(
            select(Subscriber)
            .where(Subscriber.id.in_(wanted))
            .order_by(Subscriber.id)
            .with_for_update(read=True)
            .execution_options(populate_existing=True)
        ).scalars()
    }
    return [
        Claim(delivery, readers.get(delivery.subscriber_id) if delivery.subscriber_id else None)
        for delivery in deliveries
    ]


def recheck_claimed(session: Session, owner: int, ids: Sequence[int]) -> list[Claim]:
    """The rows that this sender still holds as claimed, locked, with their readers."""
    deliveries = (
        session.execute(
            select(Delivery)
            .where(
                Delivery.id.in_(ids),
                Delivery.state == DeliveryState.CLAIMED,
                Delivery.lease_owner == owner,
            )
            .order_by(Delivery.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        .scalars()
        .all()
    )
    return with_readers(session, deliveries)


def put_in_flight(
    session: Session, attempts: Mapping[int, int], message_ids: Mapping[int, str], until: datetime
) -> set[int]:
    """Move claimed rows into flight by compare-and-set on (id, attempt); returns those that went.

    The caller commits before a byte is on the wire. A row that is not returned was taken away (its
    lease ended, somebody else holds it now) and must not be sent.
    """
    rows = session.execute(
        select(Delivery)
        .where(Delivery.id.in_(attempts), Delivery.state == DeliveryState.CLAIMED)
        .order_by(Delivery.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalars()
    gone: set[int] = set()
    for delivery in rows:
        if delivery.attempt == attempts[delivery.id]:
            delivery.state = DeliveryState.IN_FLIGHT
            delivery.message_id = message_ids[delivery.id]
            delivery.lease_until = until
            gone.add(delivery.id)
    session.flush()
    return gone


def skip(session: Session, delivery: Delivery, reason: str, now: datetime) -> None:
    """End a queued or claimed row with a named reason."""
    _move(session, delivery, DeliveryState.SKIPPED, reason, now)
    delivery.reason = reason


def fail(session: Session, delivery: Delivery, reason: str, now: datetime) -> None:
    _move(session, delivery, DeliveryState.FAILED, reason, now)
    delivery.reason = reason[:500]


def record_decision(
    session: Session, delivery_id: int, attempt: int, decision: Decision, now: datetime
) -> Delivery | None:
    """Write what a try came to; None if the row has moved on without us.

    A certain answer that comes after the sweep has called the row in doubt is evidence, and
    decides it: a relay that is slower than the lease must not leave a whole window in doubt.
    """
    delivery = session.execute(
        select(Delivery)
        .where(Delivery.id == delivery_id, Delivery.attempt == attempt)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if delivery is None:
        return None
    is_ours = delivery.state is DeliveryState.IN_FLIGHT
    was_in_doubt = delivery.state is DeliveryState.IN_DOUBT
    is_evidence = was_in_doubt and decision.state is not DeliveryState.IN_DOUBT
    if not (is_ours or is_evidence):
        return None
    # A relay's words name the address, which must not come back after an erasure.
    detail = decision.detail if delivery.subscriber_id is not None else "the reader was erased"
    _move(session, delivery, decision.state, detail, now)
    delivery.last_reply = detail[:1000]
    if decision.state is DeliveryState.FAILED:
        delivery.reason = detail[:500]
    if decision.retry_after is not None:
        delivery.due_at = now + decision.retry_after
        if was_in_doubt:
            _reopen(session, delivery.edition_id)
    return delivery


def _reopen(session: Session, edition_id: int | None) -> None:
    """A closed edition has work again: closing says that the last row is final."""
    session.execute(
        update(Edition)
        .where(Edition.id == edition_id, Edition.state == EditionState.CLOSED)
        .values(state=EditionState.FROZEN, closed_at=None)
    )


def _move(
    session: Session, delivery: Delivery, state: DeliveryState, detail: str, now: datetime
) -> None:
    delivery.state = state
    delivery.lease_owner = None
    delivery.lease_until = None
    delivery.updated_at = now
    session.add(
        DeliveryEvent(
            delivery_id=delivery.id,
            attempt=delivery.attempt,
            state=state,
            detail=detail[:1000],
            created_at=now,
        )
    )


def sweep_abandoned(session: Session, now: datetime) -> tuple[int, int]:
    """Heal what dead senders left: claimed rows go back, rows in flight fall in doubt.

    Returns (requeued, in doubt). A sender is dead when its advisory lock is gone, or when its
    lease is over.
    """
    held = session.execute(
        select(Delivery)
        .where(Delivery.state.in_([DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT]))
        .order_by(Delivery.id)
        .with_for_update(skip_locked=True)
    ).scalars()
    rows = held.all()
    # Asked after the rows were read: a sender takes its lock before it claims, so an owner seen
    # in a row and not in the locks is dead. The other way round, one that starts between the two
    # questions would be taken for dead.
    alive = _living_senders(session)
    requeued = doubtful = 0
    for delivery in rows:
        is_over = delivery.lease_until is None or delivery.lease_until < now
        if delivery.lease_owner in alive and not is_over:
            continue
        if delivery.state is DeliveryState.CLAIMED:
            _move(session, delivery, DeliveryState.QUEUED, "its sender went away; not sent", now)
            requeued += 1
        else:
            detail = "its sender went away while it was on the wire"
            _move(session, delivery, DeliveryState.IN_DOUBT, detail, now)
            doubtful += 1
    session.flush()
    return requeued, doubtful


def _living_senders(session: Session) -> frozenset[int]:
    """The numbers of the senders that hold their lock in this database now."""
    owners = session.execute(
        select(text("objid::bigint"))
        .select_from(text("pg_locks"))
        .where(
            text("locktype = 'advisory' AND granted"),
            text(f"classid = {LOCK_CLASS}"),
            text("database = (SELECT oid FROM pg_database WHERE datname = current_database())"),
        )
    ).scalars()
    return frozenset(owners)


def resolve_in_doubt(
    session: Session, edition_id: int, state: DeliveryState, detail: str, now: datetime
) -> int:
    """Give the operator's answer to every row of an edition that is in doubt; returns how many."""
    rows = session.execute(
        select(Delivery)
        .where(and_(Delivery.edition_id == edition_id, Delivery.state == DeliveryState.IN_DOUBT))
        .with_for_update()
    ).scalars()
    count = 0
    for delivery in rows:
        _move(session, delivery, state, detail, now)
        if state is DeliveryState.QUEUED:
            delivery.due_at = now
        count += 1
    if count and state is DeliveryState.QUEUED:
        _reopen(session, edition_id)
    return count


def count_due(session: Session, now: datetime) -> tuple[int, datetime | None]:
    """How many rows are due and not yet taken, and since when the oldest waits."""
    count, oldest = session.execute(
        select(func.count(), func.min(Delivery.due_at)).where(
            Delivery.state == DeliveryState.QUEUED, Delivery.due_at <= now
        )
    ).one()
    return count, oldest


def count_in_doubt(session: Session) -> int:
    return session.execute(
        select(func.count()).select_from(Delivery).where(Delivery.state == DeliveryState.IN_DOUBT)
    ).scalar_one()


def make_due(session: Session, edition_id: int, now: datetime) -> int:
    """Let an edition's waiting rows be sent at once; returns how many."""
    rows = session.execute(
        update(Delivery)
        .where(
            Delivery.edition_id == edition_id,
            Delivery.state == DeliveryState.QUEUED,
            Delivery.due_at > now,
        )
        .values(due_at=now)
        .returning(Delivery.id)
    ).all()
    return len(rows)
