"""What came of messages: a decision for each, told to the row, its provider and its reader."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import Decision, DeliveryState, SendOutcome
from service.deliveries.store.claimed_rows import Claim
from service.platform.settings.settings import Settings
from service.sending.apply_limits import ProviderReply
from service.sending.domain.providers import provider_of
from service.sending.domain.retries import Tries
from service.sending.domain.smtp_replies import read_reply
from service.sending.steps import STEPS, Steps
from service.sending.store.in_flight import RecordedResult, SendResult
from service.subscribers.store.subscribers import get_subscriber
from service.subscribers.store.suppressions import insert_suppression


class InFlight(NamedTuple):
    """A row on the wire: at which attempt, and what a decision on it needs."""

    attempt: int
    deferral_count: int
    send_not_after: datetime
    provider: str


def flight_of(claim: Claim) -> InFlight:
    row, subscriber = claim.delivery, claim.subscriber
    provider = provider_of(subscriber.email) if subscriber is not None else ""
    return InFlight(row.attempt, row.deferral_count, row.send_not_after, provider)


def provider_replies(
    outcomes: Mapping[int, SendOutcome], flights: Mapping[int, InFlight]
) -> list[ProviderReply]:
    """The outcomes as their providers' answers; what concerns the operator alone is none."""
    return [
        ProviderReply(flights[number].provider, read_reply(outcome), outcome.reply)
        for number, outcome in outcomes.items()
        if flights[number].provider
    ]


def record(
    session: Session,
    outcomes: Mapping[int, SendOutcome],
    flights: Mapping[int, InFlight],
    held: Collection[str],
    now: datetime,
    steps: Steps = STEPS,
) -> tuple[list[DeliveryState], list[tuple[RecordedResult, Decision]]]:
    """Write what came of messages; returns the states, and the rows whose address is dead.

    `held` are the providers that take nothing now: a refusal of theirs ends no mail.
    """
    results = [
        SendResult(
            number,
            flights[number].attempt,
            steps.decide(outcome, _tries(number, flights[number], held), now),
            outcome.phase,
            outcome.relay,
        )
        for number, outcome in outcomes.items()
    ]
    recorded = steps.record(session, results, now)
    dead = [
        (recorded[one.id], one.decision)
        for one in results
        if one.decision.suppress is not None and one.id in recorded
    ]
    return [one.state for one in recorded.values()], dead


def _tries(number: int, flight: InFlight, held: Collection[str]) -> Tries:
    is_held = flight.provider in held
    return Tries(number, flight.deferral_count, flight.send_not_after, is_held)


def suppress_dead(
    session: Session,
    dead: Sequence[tuple[RecordedResult, Decision]],
    settings: Settings,
    now: datetime,
) -> None:
    """A reply that says the address is dead ends its subscription, once and for all mails."""
    for row, decision in dead:
        subscriber = get_subscriber(session, row.subscriber_id) if row.subscriber_id else None
        if decision.suppress is None or subscriber is None:
            continue
        if subscriber.confirmed_at is not None and row.created_at < subscriber.confirmed_at:
            # The address was proved since; the mail may have been on its way to the one before.
            continue
        insert_suppression(
            session,
            subscriber.email_key,
            settings.secret_key,
            decision.suppress,
            decision.detail,
            now,
        )
        subscriber.state = SubscriberState.SUPPRESSED
    session.flush()
