"""Broken steps of a sender, one fault each, that the chaos tests must be able to detect."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.deliveries.domain.message_ids import pack_message_id
from service.deliveries.domain.states import Decision, DeliveryState, SendOutcome
from service.deliveries.store.models import Delivery
from service.sending.domain.retries import Tries, decide
from service.sending.steps import Steps
from service.sending.store.in_flight import LockedClaim, RecordedResult, SendResult, record_results


def _repeat(outcome: SendOutcome, tries: Tries, now: datetime) -> Decision:
    decision = decide(outcome, tries, now)
    if decision.state is DeliveryState.IN_DOUBT:
        return Decision(DeliveryState.QUEUED, decision.detail, retry_after=timedelta(0))
    return decision


def _skip_nobody(*_: object) -> set[int]:
    return set()


def _ignore_owner(
    session: Session, _owner: int, attempts: Mapping[int, int], _now: datetime
) -> list[LockedClaim]:
    rows = session.execute(select(Delivery).where(Delivery.id.in_(attempts))).scalars()
    return [
        LockedClaim(row.id, False, row.kind, row.send_not_after, row.subscriber_id) for row in rows
    ]


def _ignore_state(
    session: Session, attempts: Mapping[int, int], message_ids: Mapping[int, str], until: datetime
) -> set[int]:
    for number in attempts:
        values = {
            "state": DeliveryState.IN_FLIGHT,
            "message_id": pack_message_id(message_ids[number]),
        }
        session.execute(
            update(Delivery).where(Delivery.id == number).values(**values, lease_until=until)
        )
    return set(attempts)


def _accept_all(outcome: SendOutcome, _tries: Tries, _now: datetime) -> Decision:
    return Decision(DeliveryState.SENT, outcome.reply)


def _skip_deferred(
    session: Session, results: Sequence[SendResult], now: datetime
) -> dict[int, RecordedResult]:
    kept = [result for result in results if result.decision.state is not DeliveryState.QUEUED]
    for result in results:
        if result not in kept:
            session.execute(
                update(Delivery)
                .where(Delivery.id == result.id)
                .values(state=DeliveryState.SKIPPED, lease_owner=None, lease_until=None)
            )
    return record_results(session, kept, now)


# A message without a final reply is sent again, as RFC 5321 recommends to relays.
REPEAT_WHAT_IS_IN_DOUBT = Steps(decide=_repeat)
# Whether a subscriber left is checked only at the claim.
FORGET_WHO_LEFT_AFTER_THE_CLAIM = Steps(skip_in_flight=_skip_nobody)
# A sender does not check whether its rows are still its own.
SEND_WHAT_OTHERS_HOLD = Steps(lock=_ignore_owner, put_in_flight=_ignore_state)
# Every reply counts as a success.
FORGET_WHAT_A_REFUSAL_WAS = Steps(decide=_accept_all)
# A deferred row is skipped without an event.
LOSE_ROWS_THAT_CANNOT_WAIT = Steps(record=_skip_deferred)
