"""Lock claimed rows, put them in flight, and record their outcomes, by compare-and-set.

Each step is one statement for a whole window, conditional on (id, attempt). A sender that changes
no row has lost it. The ids also stand as an array of their own, by which Postgres finds the partitions
of the rows before it plans; through a join it would plan for all months.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from service.deliveries.domain.message_ids import pack_message_id
from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import Decision, DeliveryKind, DeliveryState
from service.deliveries.store.fate_log import log_fates
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition
from service.platform.database.engine import log_on_commit
from service.platform.database.text_formats import (
    is_among,
    write_numbers,
    write_octets,
    write_texts,
)
from service.platform.logs import get_logger

log = get_logger(__name__)


class LockedClaim(NamedTuple):
    """A locked claimed row that is about to go in flight.

    If its lease `is_over` it may be ended but never sent, because another sender may claim it.
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
    """Lock, in id order, and return this sender's rows at these attempts (id -> attempt)."""
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
    """Return the subscribers of locked rows by id: state and normalised address, share-locked.

    This closes the race with a late unsubscribe: either it is committed and seen here, or it waits
    for this short transaction and finds the row in flight. Call it after locking the deliveries:
    all code locks deliveries before subscribers, so that it cannot deadlock.
    """
    ids = write_numbers(row.subscriber_id for row in held if row.subscriber_id)
    rows = session.execute(_LOCK_RECIPIENTS, {"ids": ids}).all()
    return {number: (SubscriberState(state), key) for number, state, key in rows}


_PUT_IN_FLIGHT = text("""
UPDATE deliveries
SET state = 'in_flight', message_id = given.message_id, lease_until = :until
FROM unnest(
  CAST(:ids AS bigint[]), CAST(:attempts AS smallint[]), CAST(:message_ids AS bytea[])
) AS given (id, attempt, message_id)
WHERE deliveries.id = given.id AND deliveries.id = ANY(CAST(:ids AS bigint[]))
  AND deliveries.attempt = given.attempt
  AND deliveries.state = 'claimed'
RETURNING deliveries.id
""")


def put_in_flight(
    session: Session, attempts: Mapping[int, int], message_ids: Mapping[int, str], until: datetime
) -> set[int]:
    """Put claimed rows in flight by compare-and-set on (id, attempt); return the ids that moved.

    The caller commits before it sends a byte. A row that is not returned belongs to another sender
    (its lease ended) and must not be sent.
    """
    ids = sorted(attempts)
    if not ids:
        return set()
    given = {
        "ids": write_numbers(ids),
        "attempts": write_numbers(attempts[i] for i in ids),
        "message_ids": write_octets(pack_message_id(message_ids[i]) for i in ids),
        "until": until,
    }
    return set(session.scalars(_PUT_IN_FLIGHT, given).all())


class TerminalTransition(NamedTuple):
    """The end of a claimed row that was not sent: skipped or failed, with the reason."""

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
  WHERE deliveries.id = given.id AND deliveries.id = ANY(CAST(:ids AS bigint[]))
    AND deliveries.attempt = given.attempt
    AND deliveries.state = 'claimed'
  RETURNING deliveries.id, deliveries.attempt, deliveries.state, deliveries.reason
), events AS (
  INSERT INTO delivery_events (delivery_id, attempt, state, detail, created_at)
  SELECT id, attempt, state, reason, :now FROM moved
)
SELECT id, state, reason FROM moved
""")


def end_claimed(session: Session, endings: Sequence[TerminalTransition], now: datetime) -> set[int]:
    """End claimed rows with their reasons; return the ids that were still claimed."""
    if not endings:
        return set()
    given = {
        "ids": write_numbers(ending.id for ending in endings),
        "attempts": write_numbers(ending.attempt for ending in endings),
        "states": write_texts(ending.state for ending in endings),
        "reasons": write_texts(ending.reason for ending in endings),
        "now": now,
    }
    ended = [tuple(row) for row in session.execute(_END_CLAIMED, given)]
    log_fates(session, ended)
    return {number for number, _, _ in ended}


class SendResult(NamedTuple):
    """The decision on one attempt to send a row, with the SMTP phase reached and the relay."""

    id: int
    attempt: int
    decision: Decision
    phase: str = ""
    relay: str = ""


# A definite reply that arrives after the sweep put the row in doubt settles it, so that a relay
# slower than the lease does not leave a whole window in doubt. After an erasure the reply is not
# stored, because it may name the address.
_RECORD = text("""
WITH moved AS (
  UPDATE deliveries
  SET state = given.state, lease_owner = NULL, lease_until = NULL, updated_at = :now,
      due_at = coalesce(given.due_at, deliveries.due_at),
      deferral_count = deferral_count + given.deferrals,
      last_reply = CASE WHEN subscriber_id IS NULL AND kind NOT IN ('operator_alert', 'daily_report') THEN :erased
                        ELSE left(given.detail, 1000) END,
      sent_at = CASE WHEN given.state = 'sent' THEN CAST(:now AS timestamptz) END,
      relay = CASE WHEN given.state = 'sent' THEN given.relay ELSE '' END,
      reason = CASE WHEN given.state <> 'failed' THEN deliveries.reason
                    WHEN subscriber_id IS NULL AND kind NOT IN ('operator_alert', 'daily_report') THEN :erased
                    ELSE left(given.detail, 500) END
  FROM unnest(
    CAST(:ids AS bigint[]), CAST(:attempts AS smallint[]), CAST(:states AS delivery_state[]),
    CAST(:details AS text[]), CAST(:dues AS timestamptz[]), CAST(:deferrals AS smallint[]),
    CAST(:phases AS text[]), CAST(:relays AS text[])
  ) AS given (id, attempt, state, detail, due_at, deferrals, phase, relay)
  WHERE deliveries.id = given.id AND deliveries.id = ANY(CAST(:ids AS bigint[]))
    AND deliveries.attempt = given.attempt
    AND (deliveries.state = 'in_flight'
         OR deliveries.state = 'in_doubt' AND given.state <> 'in_doubt')
  RETURNING deliveries.id, deliveries.attempt, deliveries.state, deliveries.last_reply,
            deliveries.subscriber_id, deliveries.edition_id, deliveries.created_at,
            given.phase, given.relay AS tried_relay
), events AS (
  INSERT INTO delivery_events (delivery_id, attempt, state, detail, created_at, phase, relay)
  SELECT id, attempt, state, last_reply, :now, phase, tried_relay FROM moved WHERE state <> 'sent'
)
SELECT id, state, subscriber_id, edition_id, created_at, last_reply FROM moved
""").bindparams(erased="the reader was erased")


class RecordedResult(NamedTuple):
    """The new state of a recorded row, and its subscriber (None after an erasure)."""

    state: DeliveryState
    subscriber_id: int | None
    created_at: datetime


def record_results(
    session: Session, results: Sequence[SendResult], now: datetime
) -> dict[int, RecordedResult]:
    """Record results; return the rows that were still ours to move, by id."""
    if not results:
        return {}
    results = sorted(results, key=lambda result: result.id)
    decisions = [result.decision for result in results]
    waits = [decision.retry_after for decision in decisions]
    given = {
        "ids": write_numbers(result.id for result in results),
        "attempts": write_numbers(result.attempt for result in results),
        "states": write_texts(decision.state for decision in decisions),
        "details": write_texts(decision.detail for decision in decisions),
        "dues": write_texts(None if wait is None else (now + wait).isoformat() for wait in waits),
        "deferrals": write_numbers(int(decision.is_deferral) for decision in decisions),
        "phases": write_texts(result.phase for result in results),
        "relays": write_texts(result.relay for result in results),
        "now": now,
    }
    rows = session.execute(_RECORD, given).all()
    waiting = {row.edition_id for row in rows if row.state == DeliveryState.QUEUED}
    reopen_editions(session, waiting - {None})
    log_fates(session, [(row.id, row.state, row.last_reply) for row in rows])
    return {
        number: RecordedResult(DeliveryState(state), subscriber_id, created_at)
        for number, state, subscriber_id, _, created_at, _ in rows
    }


def reopen_editions(session: Session, edition_ids: Collection[int]) -> None:
    """Reopen closed editions that have a row to send again; wait for one that is just being closed."""
    if not edition_ids:
        return
    theirs = select(Edition.id).where(is_among(Edition.id, edition_ids)).order_by(Edition.id)
    session.execute(theirs.with_for_update(key_share=True))
    reopened = session.scalars(
        update(Edition)
        .where(is_among(Edition.id, edition_ids), Edition.state == EditionState.CLOSED)
        .values(state=EditionState.FROZEN, closed_at=None)
        .returning(Edition.id)
    )
    for edition_id in reopened:
        log_on_commit(session, log, "edition.reopened", edition_id=edition_id)
