"""Rows on their way over the wire: held, put into flight, and moved on by what the relay said.

Each step is one statement for a whole window, conditional on (id, attempt): whoever changes no row
has lost it.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text, update
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import Decision, DeliveryKind, DeliveryState
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition
from service.platform.database.pg_arrays import is_among, write_numbers, write_texts


class LockedClaim(NamedTuple):
    """A claimed row on the way into flight, locked.

    One whose lease `is_over` may be ended but never sent: it may be somebody else's any moment.
    """

    id: int
    is_over: bool
    kind: DeliveryKind
    send_not_after: datetime
    subscriber_id: int | None


_HOLD = text("""
SELECT id, attempt, kind, send_not_after, subscriber_id, lease_until
FROM deliveries
WHERE id = ANY(CAST(:ids AS bigint[])) AND state = 'claimed' AND lease_owner = :owner
ORDER BY id FOR NO KEY UPDATE
""")


def lock_claimed(
    session: Session, owner: int, attempts: Mapping[int, int], now: datetime
) -> list[LockedClaim]:
    """The rows that are still this sender's at these attempts (id -> attempt), locked till the end."""
    if not attempts:
        return []
    rows = session.execute(_HOLD, {"ids": write_numbers(attempts), "owner": owner}).all()
    return [
        LockedClaim(number, lease_until <= now, DeliveryKind(kind), send_not_after, subscriber_id)
        for number, attempt, kind, send_not_after, subscriber_id, lease_until in rows
        if attempt == attempts[number]
    ]


_LOCK_RECIPIENTS = text("""
SELECT id, state, email_key FROM subscribers
WHERE id = ANY(CAST(:ids AS bigint[]))
ORDER BY id FOR SHARE
""")


def lock_recipient_states(
    session: Session, held: Sequence[LockedClaim]
) -> dict[int, tuple[SubscriberState, str]]:
    """The readers of held rows by id: state and normalised address, kept from changing.

    Either a late unsubscribe is committed and seen here, or it waits for this short transaction
    and finds the row in flight. Asked after the rows are held, since everybody locks deliveries
    before readers.
    """
    ids = write_numbers(row.subscriber_id for row in held if row.subscriber_id)
    rows = session.execute(_LOCK_RECIPIENTS, {"ids": ids}).all()
    return {number: (SubscriberState(state), key) for number, state, key in rows}


_PUT_IN_FLIGHT = text("""
UPDATE deliveries
SET state = 'in_flight', message_id = given.message_id, lease_until = :until
FROM unnest(
  CAST(:ids AS bigint[]), CAST(:attempts AS smallint[]), CAST(:message_ids AS text[])
) AS given (id, attempt, message_id)
WHERE deliveries.id = given.id AND deliveries.attempt = given.attempt
  AND deliveries.state = 'claimed'
RETURNING deliveries.id
""")


def put_in_flight(
    session: Session, attempts: Mapping[int, int], message_ids: Mapping[int, str], until: datetime
) -> set[int]:
    """Move claimed rows into flight by compare-and-set on (id, attempt); returns those that went.

    The caller commits before a byte is on the wire. A row that is not returned was taken away (its
    lease ended, somebody else holds it now) and must not be sent.
    """
    ids = sorted(attempts)
    if not ids:
        return set()
    given = {
        "ids": write_numbers(ids),
        "attempts": write_numbers(attempts[i] for i in ids),
        "message_ids": write_texts(message_ids[i] for i in ids),
        "until": until,
    }
    return set(session.scalars(_PUT_IN_FLIGHT, given).all())


class TerminalTransition(NamedTuple):
    """How a claimed row ends without having been sent: skipped or failed, with the reason."""

    id: int
    attempt: int
    state: DeliveryState
    reason: str


_END_CLAIMED = text("""
WITH moved AS (
  UPDATE deliveries
  SET state = given.state, reason = left(given.reason, 500), lease_owner = NULL,
      lease_until = NULL, updated_at = :now
  FROM unnest(
    CAST(:ids AS bigint[]), CAST(:attempts AS smallint[]), CAST(:states AS delivery_state[]),
    CAST(:reasons AS text[])
  ) AS given (id, attempt, state, reason)
  WHERE deliveries.id = given.id AND deliveries.attempt = given.attempt
    AND deliveries.state = 'claimed'
  RETURNING deliveries.id, deliveries.attempt, deliveries.state, deliveries.reason
), told AS (
  INSERT INTO delivery_events (delivery_id, attempt, state, detail, created_at)
  SELECT id, attempt, state, reason, :now FROM moved
)
SELECT id FROM moved
""")


def end_claimed(session: Session, endings: Sequence[TerminalTransition], now: datetime) -> set[int]:
    """End claimed rows with their reasons; returns those that were still to be ended."""
    if not endings:
        return set()
    given = {
        "ids": write_numbers(one.id for one in endings),
        "attempts": write_numbers(one.attempt for one in endings),
        "states": write_texts(one.state for one in endings),
        "reasons": write_texts(one.reason for one in endings),
        "now": now,
    }
    return set(session.scalars(_END_CLAIMED, given))


class SendResult(NamedTuple):
    """What a try came to, for the row that `attempt` still holds; how far it got, and by whom."""

    id: int
    attempt: int
    decision: Decision
    phase: str = ""
    relay: str = ""


# A certain answer that comes after the sweep has called the row in doubt is evidence, and decides
# it: a relay that is slower than the lease must not leave a whole window in doubt. A relay's words
# name the address, which must not come back after an erasure.
_RECORD = text("""
WITH moved AS (
  UPDATE deliveries
  SET state = given.state, lease_owner = NULL, lease_until = NULL, updated_at = :now,
      due_at = coalesce(given.due_at, deliveries.due_at),
      deferral_count = deferral_count + given.deferrals,
      last_reply = CASE WHEN subscriber_id IS NULL AND kind <> 'operator_alert' THEN :erased
                        ELSE left(given.detail, 1000) END,
      reason = CASE WHEN given.state <> 'failed' THEN deliveries.reason
                    WHEN subscriber_id IS NULL AND kind <> 'operator_alert' THEN :erased
                    ELSE left(given.detail, 500) END
  FROM unnest(
    CAST(:ids AS bigint[]), CAST(:attempts AS smallint[]), CAST(:states AS delivery_state[]),
    CAST(:details AS text[]), CAST(:dues AS timestamptz[]), CAST(:deferrals AS smallint[]),
    CAST(:phases AS text[]), CAST(:relays AS text[])
  ) AS given (id, attempt, state, detail, due_at, deferrals, phase, relay)
  WHERE deliveries.id = given.id AND deliveries.attempt = given.attempt
    AND (deliveries.state = 'in_flight'
         OR deliveries.state = 'in_doubt' AND given.state <> 'in_doubt')
  RETURNING deliveries.id, deliveries.attempt, deliveries.state, deliveries.last_reply,
            deliveries.subscriber_id, deliveries.edition_id, deliveries.created_at,
            given.phase, given.relay
), told AS (
  INSERT INTO delivery_events (delivery_id, attempt, state, detail, created_at, phase, relay)
  SELECT id, attempt, state, last_reply, :now, phase, relay FROM moved
)
SELECT id, state, subscriber_id, edition_id, created_at FROM moved
""").bindparams(erased="the reader was erased")


class RecordedResult(NamedTuple):
    """A row that a result moved, and whose mail it was (None after an erasure)."""

    state: DeliveryState
    subscriber_id: int | None
    created_at: datetime


def record_results(
    session: Session, results: Sequence[SendResult], now: datetime
) -> dict[int, RecordedResult]:
    """Write what tries came to; returns, by id, the rows that had not moved on without us."""
    if not results:
        return {}
    results = sorted(results, key=lambda one: one.id)
    waits = [one.decision.retry_after for one in results]
    given = {
        "ids": write_numbers(one.id for one in results),
        "attempts": write_numbers(one.attempt for one in results),
        "states": write_texts(one.decision.state for one in results),
        "details": write_texts(one.decision.detail for one in results),
        "dues": write_texts(None if wait is None else (now + wait).isoformat() for wait in waits),
        "deferrals": write_numbers(int(one.decision.is_deferral) for one in results),
        "phases": write_texts(one.phase for one in results),
        "relays": write_texts(one.relay for one in results),
        "now": now,
    }
    rows = session.execute(_RECORD, given).all()
    waiting = {row.edition_id for row in rows if row.state == DeliveryState.QUEUED}
    reopen_editions(session, waiting - {None})
    return {
        number: RecordedResult(DeliveryState(state), subscriber_id, created_at)
        for number, state, subscriber_id, _, created_at in rows
    }


def reopen_editions(session: Session, edition_ids: Collection[int]) -> None:
    """A closed edition has work again: closing says that the last row is final."""
    if edition_ids:
        session.execute(
            update(Edition)
            .where(is_among(Edition.id, edition_ids), Edition.state == EditionState.CLOSED)
            .values(state=EditionState.FROZEN, closed_at=None)
        )
