"""Decide which rows must not be sent after all, and why: checked at the claim and again in flight."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import (
    OPERATOR_KINDS,
    DeliveryKind,
    DeliveryState,
    SkipReason,
    skip_reason,
)
from service.deliveries.store.claimed_rows import Claim
from service.platform.settings.settings import Settings
from service.sending.store import in_flight
from service.subscribers.store.suppressions import find_suppressed


class EligibilityCheck(NamedTuple):
    """The values that decide whether a row may still be sent."""

    id: int
    kind: DeliveryKind
    send_not_after: datetime
    state: SubscriberState | None
    email_key: str


def find_unwanted(
    session: Session, checks: Sequence[EligibilityCheck], settings: Settings, now: datetime
) -> dict[int, SkipReason]:
    """Return the rows that must not be sent, each with its reason, by id."""
    keys = [check.email_key for check in checks if check.state]
    suppressed = find_suppressed(session, keys, settings.secret_key)
    reasons = {check.id: _find_reason(check, suppressed, now) for check in checks}
    return {number: reason for number, reason in reasons.items() if reason is not None}


# Mails for subscribers in other states than active; where that state is not named, they come too
# late for an active one.
_SENT_TO = {
    # An address that left stays so until it confirms again.
    DeliveryKind.CONFIRMATION: frozenset({SubscriberState.PENDING, SubscriberState.UNSUBSCRIBED}),
    DeliveryKind.PAUSED: frozenset({SubscriberState.PAUSED}),
    DeliveryKind.PERSONAL_LINK: frozenset({SubscriberState.ACTIVE, SubscriberState.PAUSED}),
    DeliveryKind.FAREWELL: frozenset({SubscriberState.UNSUBSCRIBED}),
    DeliveryKind.ADDRESS_CHANGE: frozenset({SubscriberState.PENDING}),
    DeliveryKind.ADDRESS_NOTICE: frozenset({SubscriberState.UNSUBSCRIBED}),
}


def _find_reason(
    check: EligibilityCheck, suppressed: frozenset[str], now: datetime
) -> SkipReason | None:
    if check.kind in OPERATOR_KINDS:
        # It goes to the operator and has no subscriber.
        return SkipReason.LATE if now >= check.send_not_after else None
    states = _SENT_TO.get(check.kind, frozenset({SubscriberState.ACTIVE}))
    if check.state is SubscriberState.ACTIVE and check.state not in states:
        # The address is confirmed, the pause over, or the farewell undone.
        return SkipReason.LATE
    return skip_reason(
        check.state,
        is_suppressed=check.email_key in suppressed,
        send_not_after=check.send_not_after,
        now=now,
        needs_active=check.state not in states,
    )


def skip_unwanted(
    session: Session, claims: Sequence[Claim], settings: Settings, now: datetime
) -> set[int]:
    """Skip the claimed rows that must not be sent, and return their ids."""
    unwanted = find_unwanted(session, [_check_of(claim) for claim in claims], settings, now)
    skipped = [
        in_flight.TerminalTransition(
            claim.id, claim.attempt, DeliveryState.SKIPPED, unwanted[claim.id]
        )
        for claim in claims
        if claim.id in unwanted
    ]
    in_flight.end_claimed(session, skipped, now)
    return set(unwanted)


def _check_of(claim: Claim) -> EligibilityCheck:
    delivery, subscriber = claim.delivery, claim.subscriber
    state, key = (subscriber.state, subscriber.email_key) if subscriber else (None, "")
    return EligibilityCheck(delivery.id, delivery.kind, delivery.send_not_after, state, key)


def skip_in_flight(
    session: Session,
    locked: Sequence[in_flight.LockedClaim],
    attempts: Mapping[int, int],
    settings: Settings,
    now: datetime,
) -> set[int]:
    """Skip the locked rows that must not be sent after all: an unsubscribe a second ago wins."""
    states = in_flight.lock_recipient_states(session, locked)
    checks = [
        EligibilityCheck(
            row.id, row.kind, row.send_not_after, *states.get(row.subscriber_id or 0, (None, ""))
        )
        for row in locked
    ]
    unwanted = find_unwanted(session, checks, settings, now)
    skipped = [
        in_flight.TerminalTransition(number, attempts[number], DeliveryState.SKIPPED, reason)
        for number, reason in unwanted.items()
    ]
    return in_flight.end_claimed(session, skipped, now)
