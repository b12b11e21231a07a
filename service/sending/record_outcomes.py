"""Record the outcomes of messages: the row's next state, and suppression of dead addresses."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from email.utils import parseaddr
from typing import NamedTuple

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.alerts import report_unknown, wording_of
from service.deliveries.domain.refusal_words import Names, blames_our_name
from service.deliveries.domain.refusals import classify_refusal
from service.deliveries.domain.states import BounceVerdict, Decision, DeliveryState, SendOutcome
from service.deliveries.store.claimed_rows import Claim
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.sending.apply_limits import ProviderReply
from service.sending.domain.providers import provider_of
from service.sending.domain.retries import Tries
from service.sending.domain.smtp_replies import classify_reply
from service.sending.steps import STEPS, Steps
from service.sending.store.in_flight import RecordedResult, SendResult
from service.subscribers.store.subscribers import end_by_suppression, get_subscriber
from service.subscribers.store.suppressions import insert_suppression, keep_reply


class InFlight(NamedTuple):
    """A row on the wire: its attempt, and the values that a decision needs."""

    attempt: int
    deferral_count: int
    send_not_after: datetime
    provider: str


def in_flight_of(claim: Claim) -> InFlight:
    """Return what recording a claim's outcome needs."""
    row, subscriber = claim.delivery, claim.subscriber
    provider = provider_of(subscriber.email) if subscriber is not None else ""
    return InFlight(row.attempt, row.deferral_count, row.send_not_after, provider)


def provider_replies(
    outcomes: Mapping[int, SendOutcome], in_flight: Mapping[int, InFlight]
) -> list[ProviderReply]:
    """Return the outcomes as replies of providers, without those of mail to the operator."""
    return [
        ProviderReply(in_flight[number].provider, classify_reply(outcome), outcome.reply)
        for number, outcome in outcomes.items()
        if in_flight[number].provider
    ]


def record(
    session: Session,
    outcomes: Mapping[int, SendOutcome],
    in_flight: Mapping[int, InFlight],
    paused: Collection[str],
    now: datetime,
    steps: Steps = STEPS,
) -> tuple[list[DeliveryState], list[tuple[RecordedResult, Decision]]]:
    """Record outcomes; return the new states, and the rows whose address is dead.

    `paused` are the providers whose circuit breaker is open: their policy refusals fail no mail.
    """
    results = [
        SendResult(
            number,
            in_flight[number].attempt,
            steps.decide(outcome, _tries(number, in_flight[number], paused), now),
            outcome.phase,
            outcome.relay,
        )
        for number, outcome in outcomes.items()
    ]
    recorded = steps.record(session, results, now)
    dead = [
        (recorded[result.id], result.decision)
        for result in results
        if result.decision.suppress is not None and result.id in recorded
    ]
    return [row.state for row in recorded.values()], dead


def _tries(number: int, row: InFlight, paused: Collection[str]) -> Tries:
    return Tries(number, row.deferral_count, row.send_not_after, row.provider in paused)


def suppress_dead_addresses(
    session: Session,
    dead: Sequence[tuple[RecordedResult, Decision]],
    settings: Settings,
    now: datetime,
) -> None:
    """Suppress the addresses that a reply called dead, and their subscribers.

    Each subscriber is locked first, as for a bounce, and in the order of their ids.
    """
    for row, decision in sorted(dead, key=lambda each: each[0].subscriber_id or 0):
        subscriber = get_subscriber(session, row.subscriber_id or 0, lock=True)
        if decision.suppress is None or subscriber is None:
            continue
        if not _is_about(subscriber.email_key, decision.detail, settings):
            continue
        if subscriber.confirmed_at is not None and row.created_at < subscriber.confirmed_at:
            # The address was confirmed since; the mail may have gone to the previous address.
            continue
        key, secrets = subscriber.email_key, settings.secret_key
        if insert_suppression(session, key, secrets, decision.suppress, "refused by SMTP", now):
            keep_reply(session, key, secrets, decision.detail)
        end_by_suppression(session, subscriber, "a refusal of the relay", now)
    session.flush()


def _is_about(email_key: str, reply: str, settings: Settings) -> bool:
    """Return whether a refusal is about the reader's address, and not about a name of ours."""
    return not blames_our_name(reply, known_names(email_key, settings))


def known_names(email_key: str, settings: Settings) -> Names:
    """Return the names that a reply about a reader may hold: theirs, and those of our mails."""
    sender = parseaddr(settings.mail_from)[1].lower()
    ours = {sender, sender.rpartition("@")[2], settings.bounce_domain.lower()}
    return Names(email_key, frozenset(ours - {""}))


def report_unknown_replies(
    sessions: sessionmaker[Session],
    outcomes: Mapping[int, SendOutcome],
    settings: Settings,
    now: datetime,
) -> None:
    """Tell the operator, once for each wording, about refusals in words that nobody understands."""
    unknown = {
        wording_of(outcome.reply): outcome.reply
        for outcome in outcomes.values()
        if outcome.code >= 500
        and classify_refusal("", outcome.reply).verdict is BounceVerdict.UNKNOWN
    }
    for reply in unknown.values():
        with transaction(sessions) as session:
            report_unknown(session, settings, reply, now)
