"""A service that breaks its promises, each in one way: what the chaos tests must be able to see.

Each function is called in a worker that was just forked and replaces a piece of sending there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.deliveries.domain.states import Decision, DeliveryState, SendOutcome
from service.deliveries.store.models import Delivery
from service.sending import record_outcomes, send_loop
from service.sending.domain.retries import Tries
from service.sending.store.in_flight import Held

_spoiled: Any = send_loop
_recording: Any = record_outcomes


def repeat_what_is_in_doubt() -> None:
    """A message without an answer is sent again, as RFC 5321 would have it."""
    decide = record_outcomes.decide

    def repeat(outcome: SendOutcome, tries: Tries, now: datetime) -> Decision:
        decision = decide(outcome, tries, now)
        if decision.state is DeliveryState.IN_DOUBT:
            return Decision(DeliveryState.QUEUED, decision.detail, retry_after=timedelta(0))
        return decision

    _recording.decide = repeat


def forget_who_left_after_the_claim() -> None:
    """Readers are asked for in the claim alone."""
    _spoiled.withdraw = lambda *_: set()


def send_what_others_hold() -> None:
    """A sender does not look whether its rows are still its own."""

    def hold(
        session: Session, _owner: int, attempts: Mapping[int, int], _now: datetime
    ) -> list[Held]:
        rows = session.execute(select(Delivery).where(Delivery.id.in_(attempts))).scalars()
        return [
            Held(row.id, False, row.kind, row.send_not_after, row.subscriber_id) for row in rows
        ]

    def fly(
        session: Session, attempts: Mapping[int, int], names: Mapping[int, str], until: datetime
    ) -> set[int]:
        for number in attempts:
            flying = {"state": DeliveryState.IN_FLIGHT, "message_id": names[number]}
            session.execute(
                update(Delivery).where(Delivery.id == number).values(**flying, lease_until=until)
            )
        return set(attempts)

    _spoiled.hold_claimed, _spoiled.put_in_flight = hold, fly


def forget_what_a_refusal_was() -> None:
    """Every answer is called a success."""

    def praise(outcome: SendOutcome, _tries: Tries, _now: datetime) -> Decision:
        return Decision(DeliveryState.SENT, outcome.reply)

    _recording.decide = praise


def lose_rows_that_cannot_wait() -> None:
    """What an answer puts off is skipped without a word."""
    record = record_outcomes.record_results

    def lose(session: Session, results: Sequence[Any], now: datetime) -> Any:
        kept = [one for one in results if one.decision.state is not DeliveryState.QUEUED]
        for one in results:
            if one not in kept:
                session.execute(
                    update(Delivery)
                    .where(Delivery.id == one.id)
                    .values(state=DeliveryState.SKIPPED, lease_owner=None, lease_until=None)
                )
        return record(session, kept, now)

    _recording.record_results = lose
