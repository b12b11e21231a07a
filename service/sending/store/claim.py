"""Claim due rows for a sender (SKIP LOCKED), and recover the rows of dead senders.

A sender holds an advisory lock on its own number while its connection lives. When the process dies,
Postgres drops the lock at once, so its rows are found without waiting for the lease. The lease
serves where a host vanishes and its connection lingers.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias

from sqlalchemy import Connection, Engine, Integer, bindparam, cast, func, select, text
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
from service.deliveries.store.fate_log import log_fates
from service.deliveries.store.models import Delivery
from service.platform.database.text_formats import write_numbers, write_texts
from service.sending.store.in_flight import reopen_editions

# The first key of every sender's advisory lock; it keeps our locks apart from other programs'.
LOCK_CLASS = 20592


@contextmanager
def hold_sender_lock(sessions: sessionmaker[Session], owner: int) -> Iterator[Connection]:
    """Hold the sender's advisory lock on a connection of its own, outside any transaction.

    The lock belongs to the connection, which is closed afterwards and not returned to the pool,
    where it would keep the lock of a sender that has ended. It is a shared lock, so that a sender
    whose connection was cut can take it again while the server still takes that one for alive.
    """
    engine: Engine = sessions.kw["bind"]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            select(func.pg_advisory_lock_shared(cast(LOCK_CLASS, Integer), cast(owner, Integer)))
        )
        try:
            yield connection
        finally:
            connection.invalidate()


# Transactional mail first: a confirmation must not wait behind a million digests. But mails that may
# wait for days are an import's: they come after the others, and to at most half of a claim, or digests
# and sign-ups would wait for hours behind a hundred thousand of them. Then edition by edition, so that
# a claim never scans the rows of one that is still being composed. Each step stops at the limit, and
# only claimed rows are locked. Each month without such rows costs a look into an empty index; a range
# of ids would prune it, but lead Postgres to read the other months by their primary keys. The limit is a
# literal, because with a parameter Postgres would plan for a tenth of the table.
_FOUND = claiming(
    """urgent AS MATERIALIZED (
  SELECT id FROM deliveries
  WHERE edition_id IS NULL AND state = 'queued' AND due_at <= :now
    AND send_not_after - created_at <= interval '5 days'
    AND CAST(:edition_id AS bigint) IS NULL AND :urgent
  ORDER BY due_at, id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
), patient AS MATERIALIZED (
  SELECT id FROM (
    SELECT id FROM deliveries
    WHERE edition_id IS NULL AND state = 'queued' AND due_at <= :now
      AND send_not_after - created_at > interval '5 days'
      AND CAST(:edition_id AS bigint) IS NULL AND :others
    ORDER BY due_at, id LIMIT (:limit + 1) / 2 FOR NO KEY UPDATE SKIP LOCKED
  ) AS imported
  LIMIT :limit - (SELECT count(*) FROM urgent)
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
    WHERE state = 'frozen' AND :others
      AND editions.id = coalesce(CAST(:edition_id AS bigint), editions.id)
    ORDER BY editions.id
  ) AS frozen CROSS JOIN LATERAL (
    SELECT id FROM deliveries
    WHERE edition_id = frozen.id AND state = 'queued' AND due_at <= :now
      AND (due_at, id) > (frozen.due_at, frozen.row)
    ORDER BY due_at, id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
  ) AS waiting
  LIMIT :limit - (SELECT count(*) FROM urgent) - (SELECT count(*) FROM patient)
)""",
    "(SELECT id FROM urgent UNION ALL SELECT id FROM patient UNION ALL SELECT id FROM digests)",
)
_LIMIT = bindparam("limit", literal_execute=True, type_=Integer)
_CLAIM = _FOUND._replace(find=_FOUND.find.bindparams(_LIMIT))

_CLAIM_ALERT = claiming(
    """alert AS (
  SELECT id FROM deliveries
  WHERE edition_id IS NULL AND kind = 'operator_alert' AND occasion = :occasion
    AND state = 'queued' AND due_at <= :now
  FOR NO KEY UPDATE SKIP LOCKED
)""",
    "alert",
)


class Scope(Enum):
    """The rows of a run: all, only urgent mail, or only the others (digests, an import's mails).

    Urgent mail belongs to no edition and may wait for less than five days: confirmations, links,
    alerts. The worker that sends only these lets none wait behind an edition (decision 0017).
    """

    ALL = (True, True)
    URGENT = (True, False)
    OTHERS = (False, True)

    @property
    def has_urgent(self) -> bool:
        return self.value[0]

    @property
    def has_others(self) -> bool:
        return self.value[1]


# By edition: (due_at, id) of the last row that was claimed there.
Places: TypeAlias = dict[int, tuple[datetime, int]]


@dataclass(slots=True)
class Claimer:
    """The sender of a claim: its number, its lease, its scope, and its one edition, if it has one.

    `places` is this sender's position in each edition: (due_at, id) of its last row there. A claim
    continues from there, because the rows before are mostly done, and the index keeps their dead
    entries for as long as any transaction, such as a backup, may still see them. The position is
    saved with the edition now and then, for senders that start later.
    """

    owner: int
    lease: timedelta
    edition_id: int | None = None
    places: Places = field(default_factory=dict)
    scope: Scope = Scope.ALL
    noted_at: datetime | None = None


def claim_due(session: Session, claimer: Claimer, limit: int, now: datetime) -> list[Claim]:
    """Claim up to `limit` due rows; rows that another sender has locked are skipped.

    Transactional mail comes first, then each frozen edition's rows, the oldest due first. Rows that
    returned to the queue behind the sender's position are found when none lie ahead of it.
    """
    rows = _take(session, claimer, limit, now, goes_on=True)
    is_passed = len(rows) < limit and all(row.edition_id is None for row, _ in rows)
    if is_passed and claimer.scope.has_others:
        claimer.places.clear()
        rows += _take(session, claimer, limit - len(rows), now, goes_on=False)
    for row, _ in rows:
        if row.edition_id is not None:
            claimer.places[row.edition_id] = (row.due_at, row.id)
    if rows and (claimer.noted_at is None or now - claimer.noted_at >= _NOTED_EVERY):
        claimer.noted_at = now
        session.execute(_NOTE_PLACES, _place_arrays(claimer.places))
    return [Claim(row, subscriber) for row, subscriber in rows]


# Best effort: editions whose row another sender has locked are skipped.
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
    """Claim the alert of this occasion, if it is queued and due: one row or none."""
    given = {"owner": claimer.owner, "now": now, "until": now + claimer.lease, "occasion": occasion}
    return [Claim(*row) for row in take_claims(session, _CLAIM_ALERT, given)]


def _place_arrays(places: Places) -> dict[str, str]:
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
        "urgent": claimer.scope.has_urgent,
        "others": claimer.scope.has_others,
        "goes_on": goes_on,
        **_place_arrays(claimer.places),
    }
    return sorted(take_claims(session, _CLAIM, given), key=lambda row: (row[0].due_at, row[0].id))


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
), events AS (
  INSERT INTO delivery_events (delivery_id, attempt, state, detail, created_at)
  SELECT id, attempt, state,
         CASE state WHEN 'queued' THEN :not_sent ELSE :doubtful END, :now
  FROM moved
  RETURNING delivery_id, state, detail
)
SELECT delivery_id, state, detail FROM events
""").bindparams(
    not_sent="its sender died; not sent", doubtful="its sender died while it was in flight"
)


def sweep_abandoned(session: Session, now: datetime) -> tuple[int, int]:
    """Recover the rows of dead senders: claimed ones are requeued, those in flight fall in doubt.

    Return (requeued, in doubt). A sender is dead when its advisory lock is gone, or its lease over.
    """
    held = select(Delivery.lease_owner).where(
        Delivery.state.in_([DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT])
    )
    owners = set(session.scalars(held.distinct()))
    # Locks are read after the rows: a sender locks before it claims, so an owner seen in a row but
    # not in the locks is dead. In the opposite order a sender that starts between the two queries
    # would be taken for dead.
    dead = [owner for owner in owners - _living_senders(session) if owner is not None]
    rows = session.execute(_SWEEP, {"dead": dead, "now": now}).all()
    log_fates(session, [(number, state, detail) for number, state, detail in rows])
    moved = Counter(row.state for row in rows)
    return moved[DeliveryState.QUEUED], moved[DeliveryState.IN_DOUBT]


def release_claimed(session: Session, owner: int, reason: str, now: datetime) -> None:
    """Put what a living sender has claimed, and not put in flight, back into the queue."""
    claimed = (
        select(Delivery.id)
        .where(Delivery.state == DeliveryState.CLAIMED, Delivery.lease_owner == owner)
        .order_by(Delivery.id)
        .with_for_update()
    )
    transition_rows(session, claimed, DeliveryState.QUEUED, reason, now)


def _living_senders(session: Session) -> frozenset[int]:
    """Return the numbers of the senders that hold their lock in this database now."""
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
    """Move every row in doubt of an edition to `state`; return how many.

    `edition_id` None stands for mails that belong to no edition.
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
    is_resend = state is DeliveryState.QUEUED
    also = {"due_at": now} if is_resend else None
    count = sum(transition_rows(session, doubts, state, detail, now, also).values())
    if count and is_resend and edition_id is not None:
        reopen_editions(session, [edition_id])
    return count


def count_due(session: Session, now: datetime) -> tuple[int, datetime | None]:
    """Return how many rows are due and not yet claimed, and since when the oldest waits."""
    count, oldest = session.execute(_COUNT_DUE, {"now": now}).one()
    return count, oldest


# Edition by edition, so that one partial index serves this and the claims: (edition_id, due_at, id).
_COUNT_DUE = text("""
SELECT coalesce(sum(row_count), 0)::bigint, min(oldest)
FROM (
  SELECT due.* FROM editions CROSS JOIN LATERAL (
    SELECT count(*) AS row_count, min(due_at) AS oldest FROM deliveries
    WHERE edition_id = editions.id AND state = 'queued' AND due_at <= :now
  ) AS due
  WHERE editions.state <> 'closed'
  UNION ALL
  SELECT count(*), min(due_at) FROM deliveries
  WHERE edition_id IS NULL AND state = 'queued' AND due_at <= :now
) AS counts
""")


def count_in_doubt(session: Session) -> int:
    return session.execute(
        select(func.count()).select_from(Delivery).where(Delivery.state == DeliveryState.IN_DOUBT)
    ).scalar_one()
