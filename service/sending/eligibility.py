"""Who must not be sent a mail that was made for them, and why: asked in the claim and in flight."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryKind, DeliveryState, SkipReason, skip_reason
from service.deliveries.store.claimed_rows import Claim
from service.platform.settings.settings import Settings
from service.sending.store.in_flight import (
    LockedClaim,
    TerminalTransition,
    end_claimed,
    lock_recipient_states,
)
from service.subscribers.store.suppressions import find_suppressed


class EligibilityCheck(NamedTuple):
    """What decides whether a row may still be sent."""

    id: int
    kind: DeliveryKind
    send_not_after: datetime
    state: SubscriberState | None
    email_key: str


def find_unwanted(
    session: Session, asked: Sequence[EligibilityCheck], settings: Settings, now: datetime
) -> dict[int, SkipReason]:
    """The rows that must not be sent, with the reason."""
    keys = [one.email_key for one in asked if one.state]
    suppressed = find_suppressed(session, keys, settings.secret_key)
    reasons = {one.id: _why_not(one, suppressed, now) for one in asked}
    return {number: reason for number, reason in reasons.items() if reason is not None}


# Mails for readers in another state than active; to an active one they come too late.
_SENT_TO = {
    DeliveryKind.CONFIRMATION: frozenset(
        {SubscriberState.PENDING, SubscriberState.PAUSED, SubscriberState.UNSUBSCRIBED}
    ),
    DeliveryKind.PAUSED: frozenset({SubscriberState.PAUSED}),
    DeliveryKind.FAREWELL: frozenset({SubscriberState.UNSUBSCRIBED}),
    DeliveryKind.ADDRESS_CHANGE: frozenset({SubscriberState.PENDING}),
    DeliveryKind.ADDRESS_NOTICE: frozenset({SubscriberState.UNSUBSCRIBED}),
}


def _why_not(
    asked: EligibilityCheck, suppressed: frozenset[str], now: datetime
) -> SkipReason | None:
    if asked.kind is DeliveryKind.OPERATOR_ALERT:
        # To the operator, who is no reader.
        return SkipReason.LATE if now >= asked.send_not_after else None
    if asked.kind in _SENT_TO and asked.state is SubscriberState.ACTIVE:
        # The question is answered, the pause over, the farewell undone.
        return SkipReason.LATE
    return skip_reason(
        asked.state,
        is_suppressed=asked.email_key in suppressed,
        send_not_after=asked.send_not_after,
        now=now,
        needs_active=asked.state not in _SENT_TO.get(asked.kind, ()),
    )


def skip_unwanted(
    session: Session, claims: Sequence[Claim], settings: Settings, now: datetime
) -> set[int]:
    """End the rows just claimed that must not be sent; returns their ids."""
    unwanted = find_unwanted(session, [_asked(claim) for claim in claims], settings, now)
    skipped = [
        TerminalTransition(claim.id, claim.attempt, DeliveryState.SKIPPED, unwanted[claim.id])
        for claim in claims
        if claim.id in unwanted
    ]
    end_claimed(session, skipped, now)
    return set(unwanted)


def _asked(claim: Claim) -> EligibilityCheck:
    delivery, subscriber = claim.delivery, claim.subscriber
    state, key = (subscriber.state, subscriber.email_key) if subscriber else (None, "")
    return EligibilityCheck(delivery.id, delivery.kind, delivery.send_not_after, state, key)


def skip_in_flight(
    session: Session,
    held: Sequence[LockedClaim],
    attempts: Mapping[int, int],
    settings: Settings,
    now: datetime,
) -> set[int]:
    """End the held rows that must not be sent after all: an unsubscribe a second ago wins."""
    standings = lock_recipient_states(session, held)
    asked = [
        EligibilityCheck(
            row.id, row.kind, row.send_not_after, *standings.get(row.subscriber_id or 0, (None, ""))
        )
        for row in held
    ]
    unwanted = find_unwanted(session, asked, settings, now)
    endings = [
        TerminalTransition(number, attempts[number], DeliveryState.SKIPPED, reason)
        for number, reason in unwanted.items()
    ]
    return end_claimed(session, endings, now)
