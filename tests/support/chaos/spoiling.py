"""A service that breaks its promises, each in one way: what the chaos tests must be able to see.

Each value replaces steps of a worker's sender.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

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


def _hold(
    session: Session, _owner: int, attempts: Mapping[int, int], _now: datetime
) -> list[LockedClaim]:
    rows = session.execute(select(Delivery).where(Delivery.id.in_(attempts))).scalars()
    return [
        LockedClaim(row.id, False, row.kind, row.send_not_after, row.subscriber_id) for row in rows
    ]


def _fly(
    session: Session, attempts: Mapping[int, int], names: Mapping[int, str], until: datetime
) -> set[int]:
    for number in attempts:
        flying = {"state": DeliveryState.IN_FLIGHT, "message_id": names[number]}
        session.execute(
            update(Delivery).where(Delivery.id == number).values(**flying, lease_until=until)
        )
    return set(attempts)


def _praise(outcome: SendOutcome, _tries: Tries, _now: datetime) -> Decision:
    return Decision(DeliveryState.SENT, outcome.reply)


def _lose(
    session: Session, results: Sequence[SendResult], now: datetime
) -> dict[int, RecordedResult]:
    kept = [one for one in results if one.decision.state is not DeliveryState.QUEUED]
    for one in results:
        if one not in kept:
            session.execute(
                update(Delivery)
                .where(Delivery.id == one.id)
                .values(state=DeliveryState.SKIPPED, lease_owner=None, lease_until=None)
            )
    return record_results(session, kept, now)


# A message without an answer is sent again, as RFC 5321 would have it.
REPEAT_WHAT_IS_IN_DOUBT = Steps(decide=_repeat)
# Readers are asked for in the claim alone.
FORGET_WHO_LEFT_AFTER_THE_CLAIM = Steps(skip_in_flight=_skip_nobody)
# A sender does not look whether its rows are still its own.
SEND_WHAT_OTHERS_HOLD = Steps(hold=_hold, fly=_fly)
# Every answer is called a success.
FORGET_WHAT_A_REFUSAL_WAS = Steps(decide=_praise)
# What an answer puts off is skipped without a word.
LOSE_ROWS_THAT_CANNOT_WAIT = Steps(record=_lose)
