"""The steps of sending, as conditional updates: whoever changes no row has lost and must stop.

A sender holds an advisory lock on its own number for as long as its connection lives. When the
process dies, Postgres drops the lock at once, so what it left is found without waiting for its
lease; the lease itself serves where a host vanishes and its connection lingers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from sqlalchemy import Engine, Integer, bindparam, cast, func, select, text
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.bulk_update import transition_rows
from service.deliveries.store.claimed_rows import (
    Claim,
    ClaimedDelivery,
    ClaimedRecipient,
    claiming,
    take_claims,
)
from service.deliveries.store.deliveries import record_event
from service.deliveries.store.models import Delivery
from service.platform.database.pg_arrays import write_numbers, write_texts
from service.sending.store.in_flight import reopen_editions

# The first half of every sender's advisory lock: tells our locks from anybody else's.
LOCK_CLASS = 20592


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


# Letters first: a confirmation must not wait behind a million digests. Then edition by edition, so
# that a claim never walks over the rows of one that is still being composed. Each step stops as soon
# as there are enough, and only rows that were taken are locked. The limit is part of the text: with
# a parameter Postgres would plan for a tenth of the table.
_CLAIM = claiming(
    """letters AS MATERIALIZED (
  SELECT id FROM deliveries
  WHERE edition_id IS NULL AND state = 'queued' AND due_at <= :now
    AND CAST(:edition_id AS bigint) IS NULL
  ORDER BY due_at, id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
), digests AS MATERIALIZED (
  SELECT waiting.id
  FROM (
    SELECT
      editions.id,
      coalesce(place.due_at, CASE WHEN :goes_on THEN passed_due_at END, '-infinity') AS due_at,
      coalesce(place.id, CASE WHEN :goes_on THEN passed_id END, 0) AS row
    FROM editions LEFT JOIN unnest(
      CAST(:editions AS bigint[]), CAST(:dues AS timestamptz[]), CAST(:rows AS bigint[])
    ) AS place (edition_id, due_at, id) ON place.edition_id = editions.id
    WHERE state = 'frozen' AND editions.id = coalesce(CAST(:edition_id AS bigint), editions.id)
    ORDER BY editions.id
  ) AS frozen CROSS JOIN LATERAL (
    SELECT id FROM deliveries
    WHERE edition_id = frozen.id AND state = 'queued' AND due_at <= :now
      AND (due_at, id) > (frozen.due_at, frozen.row)
    ORDER BY due_at, id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
  ) AS waiting
  LIMIT :limit - (SELECT count(*) FROM letters)
)""",
    "(SELECT id FROM letters UNION ALL SELECT id FROM digests)",
).bindparams(bindparam("limit", literal_execute=True, type_=Integer))

_CLAIM_ALERT = claiming(
    """alert AS (
  SELECT id FROM deliveries
  WHERE kind = 'operator_alert' AND occasion = :occasion AND state = 'queued' AND due_at <= :now
  FOR NO KEY UPDATE SKIP LOCKED
)""",
    "alert",
)

# By edition: when the last row that was claimed there was due, and its id.
Places: TypeAlias = dict[int, tuple[datetime, int]]


@dataclass(slots=True)
class Claimer:
    """Who claims: a sender's number, its lease, and the one edition it is about, if it is one.

    `places` is how far this sender has come in each edition: (due_at, id) of its last row there. A
    claim goes on from there, since what lies before is mostly over: an index keeps naming such rows
    for as long as any transaction, a backup say, might still want to see them. It is noted with the
    edition now and then, for senders that begin.
    """

    owner: int
    lease: timedelta
    edition_id: int | None = None
    places: Places = field(default_factory=dict)
    noted_at: datetime | None = None


def claim_due(session: Session, claimer: Claimer, limit: int, now: datetime) -> list[Claim]:
    """Take up to `limit` rows that are due; rows that others are taking are passed over.

    Other mails than digests come first, then each frozen edition's rows, the oldest due first. What
    came back to the queue behind the sender's place is found when nothing lies ahead of it.
    """
    rows = _take(session, claimer, limit, now, goes_on=True)
    if not rows:
        claimer.places.clear()
        rows = _take(session, claimer, limit, now, goes_on=False)
    for row, _ in rows:
        if row.edition_id is not None:
            claimer.places[row.edition_id] = (row.due_at, row.id)
    if rows and (claimer.noted_at is None or now - claimer.noted_at >= _NOTED_EVERY):
        claimer.noted_at = now
        session.execute(_NOTE_PLACES, _written(claimer.places))
    return [Claim(row, subscriber) for row, subscriber in rows]


# Nobody waits for it: who finds the edition's row locked leaves the note to others.
_NOTE_PLACES = text("""
UPDATE editions SET passed_due_at = place.due_at, passed_id = place.id
FROM unnest(
  CAST(:editions AS bigint[]), CAST(:dues AS timestamptz[]), CAST(:rows AS bigint[])
) AS place (edition_id, due_at, id)
WHERE editions.id = place.edition_id AND editions.id IN (
  SELECT id FROM editions WHERE id = ANY(CAST(:editions AS bigint[]))
  FOR NO KEY UPDATE SKIP LOCKED
) AND (passed_due_at IS NULL OR (passed_due_at, passed_id) < (place.due_at, place.id))
""")
_NOTED_EVERY = timedelta(seconds=1)


def claim_alert(session: Session, claimer: Claimer, occasion: str, now: datetime) -> list[Claim]:
    """Take the mail to the operator about this occasion, if it waits and is due: one row or none."""
    given = {"owner": claimer.owner, "now": now, "until": now + claimer.lease, "occasion": occasion}
    return [Claim(*row) for row in take_claims(session, _CLAIM_ALERT, given)]


def _written(places: Places) -> dict[str, str]:
    return {
        "editions": write_numbers(places),
        "dues": write_texts(due_at.isoformat() for due_at, _ in places.values()),
        "rows": write_numbers(number for _, number in places.values()),
    }


def _take(
    session: Session, claimer: Claimer, limit: int, now: datetime, *, goes_on: bool
) -> list[tuple[ClaimedDelivery, ClaimedRecipient | None]]:
    given = {
        "owner": claimer.owner,
        "now": now,
        "until": now + claimer.lease,
        "limit": limit,
        "edition_id": claimer.edition_id,
        "goes_on": goes_on,
        **_written(claimer.places),
    }
    return sorted(take_claims(session, _CLAIM, given), key=lambda row: (row[0].due_at, row[0].id))


def _move(
    session: Session, delivery: Delivery, state: DeliveryState, detail: str, now: datetime
) -> None:
    delivery.state = state
    delivery.lease_owner = None
    delivery.lease_until = None
    delivery.updated_at = now
    record_event(session, delivery, state, detail, now)


_SWEEP = text("""
WITH left_behind AS (
  SELECT id FROM deliveries
  WHERE state IN ('claimed', 'in_flight')
    AND (lease_owner = ANY(CAST(:dead AS bigint[])) OR lease_owner IS NULL
         OR lease_until < :now OR lease_until IS NULL)
  FOR NO KEY UPDATE SKIP LOCKED
), moved AS (
  UPDATE deliveries
  SET state = CASE state WHEN 'claimed' THEN CAST('queued' AS delivery_state) ELSE 'in_doubt' END,
      lease_owner = NULL, lease_until = NULL, updated_at = :now
  FROM left_behind
  WHERE deliveries.id = left_behind.id
  RETURNING deliveries.id, deliveries.attempt, deliveries.state
), told AS (
  INSERT INTO delivery_events (delivery_id, attempt, state, detail, created_at)
  SELECT id, attempt, state,
         CASE state WHEN 'queued' THEN :not_sent ELSE :doubtful END, :now
  FROM moved
)
SELECT state, count(*) AS row_count FROM moved GROUP BY state
""").bindparams(
    not_sent="its sender went away; not sent",
    doubtful="its sender went away while it was on the wire",
)


def sweep_abandoned(session: Session, now: datetime) -> tuple[int, int]:
    """Heal what dead senders left: claimed rows go back, rows in flight fall in doubt.

    Returns (requeued, in doubt). A sender is dead when its advisory lock is gone, or when its
    lease is over.
    """
    held = select(Delivery.lease_owner).where(
        Delivery.state.in_([DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT])
    )
    owners = set(session.scalars(held.distinct()))
    # Asked after the rows were read: a sender takes its lock before it claims, so an owner seen
    # in a row and not in the locks is dead. The other way round, one that starts between the two
    # questions would be taken for dead.
    dead = [owner for owner in owners - _living_senders(session) if owner is not None]
    rows = session.execute(_SWEEP, {"dead": dead, "now": now}).all()
    moved: dict[str, int] = {row.state: row.row_count for row in rows}
    return moved.get(DeliveryState.QUEUED, 0), moved.get(DeliveryState.IN_DOUBT, 0)


def _living_senders(session: Session) -> frozenset[int]:
    """The numbers of the senders that hold their lock in this database now."""
    owners = session.scalars(
        select(text("objid::bigint"))
        .select_from(text("pg_locks"))
        .where(
            text("locktype = 'advisory' AND granted"),
            text(f"classid = {LOCK_CLASS}"),
            text("database = (SELECT oid FROM pg_database WHERE datname = current_database())"),
        )
    )
    return frozenset(owners)


def resolve_in_doubt(
    session: Session, edition_id: int | None, state: DeliveryState, detail: str, now: datetime
) -> int:
    """Give the operator's answer to every row of an edition that is in doubt; returns how many.

    None stands for the mails that belong to no edition.
    """
    is_of_edition = (
        Delivery.edition_id.is_(None) if edition_id is None else Delivery.edition_id == edition_id
    )
    doubts = (
        select(Delivery.id)
        .where(is_of_edition, Delivery.state == DeliveryState.IN_DOUBT)
        .order_by(Delivery.id)
        .with_for_update()
    )
    is_again = state is DeliveryState.QUEUED
    also = {"due_at": now} if is_again else None
    count = sum(transition_rows(session, doubts, state, detail, now, also).values())
    if count and is_again and edition_id is not None:
        reopen_editions(session, [edition_id])
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
