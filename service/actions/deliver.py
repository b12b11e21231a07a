"""Sending: claim, build, into flight, onto the wire, record. Each step a short transaction.

Nothing is held open across SMTP but the sender's own lock, which tells the sweep that it lives.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session, sessionmaker

from service.actions.copies import keep_copies
from service.actions.materials import Materials, gather_materials
from service.actions.messages import BuiltMail, build_mail
from service.actions.restoring import Marker, refuse_restored
from service.config import Settings
from service.domain.delivery import (
    Decision,
    SendOutcome,
    SkipReason,
    classify_outcome,
    skip_reason,
)
from service.domain.types import DeliveryKind, DeliveryState, SubscriberState
from service.logs import get_logger
from service.mail.errors import MailError
from service.mail.render import Renderer
from service.mail.transport import Envelope, Transport
from service.store.editions import close_finished
from service.store.engine import transaction
from service.store.models import Delivery
from service.store.sending import (
    Claim,
    claim_due,
    fail,
    hold_sender_lock,
    put_in_flight,
    recheck_claimed,
    record_decision,
    resolve_in_doubt,
    skip,
    sweep_abandoned,
)
from service.store.subscribers import get_subscriber
from service.store.suppressions import find_suppressed, insert_suppression

if TYPE_CHECKING:
    from collections.abc import Iterator

Clock = Callable[[], datetime]

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Sender:
    """What sending needs; one per process. `clock` gives aware UTC."""

    sessions: sessionmaker[Session]
    settings: Settings
    renderer: Renderer
    transport: Transport
    clock: Clock


@dataclass(frozen=True, slots=True)
class DeliverReport:
    """What one run came to, in rows."""

    sent: int = 0
    skipped: int = 0
    failed: int = 0
    retried: int = 0
    in_doubt: int = 0

    @property
    def total(self) -> int:
        return self.sent + self.skipped + self.failed + self.retried + self.in_doubt

    def plus(self, states: Sequence[DeliveryState]) -> DeliverReport:
        return replace(
            self,
            sent=self.sent + states.count(DeliveryState.SENT),
            skipped=self.skipped + states.count(DeliveryState.SKIPPED),
            failed=self.failed + states.count(DeliveryState.FAILED),
            retried=self.retried + states.count(DeliveryState.QUEUED),
            in_doubt=self.in_doubt + states.count(DeliveryState.IN_DOUBT),
        )


def deliver(
    sender: Sender,
    edition_id: int | None = None,
    on_window: Callable[[DeliverReport], None] = lambda _: None,
    longest: timedelta | None = None,
) -> DeliverReport:
    """Send everything that is due (of one edition, or of all), window by window.

    Safe to run twice, anywhere, at once: rows that others hold are passed over. `on_window` is
    told the running report after each window, for a progress bar. After `longest` no new window
    is begun, so that a worker that is asked to stop need not wait for a whole edition.
    """
    refuse_restored(sender.sessions, sender.settings)
    report, materials = DeliverReport(), Materials()
    marker = Marker(sender.sessions, sender.settings)
    stops_at = sender.clock() + longest if longest else None
    with _living_sender(sender.sessions) as owner:
        while stops_at is None or sender.clock() < stops_at:
            states = _deliver_window(sender, owner, edition_id, materials, marker)
            if states is None:
                break
            report = report.plus(states)
            on_window(report)
    with transaction(sender.sessions) as session:
        close_finished(session, sender.clock())
    return report


@contextmanager
def _living_sender(sessions: sessionmaker[Session]) -> Iterator[int]:
    """A sender's number, its lock held on a connection of its own until the end of the run."""
    owner = secrets.randbelow(2**31 - 1) + 1
    with hold_sender_lock(sessions, owner):
        yield owner


def _deliver_window(
    sender: Sender, owner: int, edition_id: int | None, materials: Materials, marker: Marker
) -> list[DeliveryState] | None:
    """One window from claim to record; None when nothing was due."""
    claims, skipped = _claim(sender, owner, edition_id, materials)
    if not claims and not skipped:
        return None
    envelopes, identities, failed = _build(sender, claims, materials)
    attempts = {claim.delivery.id: claim.delivery.attempt for claim in claims}
    gone, withdrawn = _put_in_flight(sender, owner, identities, attempts)
    marker.note({number: attempts[number] for number in gone}, sender.clock())
    outcomes = sender.transport.send([e for e in envelopes if e.number in gone])
    sent = _record(sender, outcomes, attempts)
    return [DeliveryState.SKIPPED] * (skipped + withdrawn) + failed + sent


def _claim(
    sender: Sender, owner: int, edition_id: int | None, materials: Materials
) -> tuple[list[Claim], int]:
    """Take a window of rows and end those that must not be sent; read what the rest needs."""
    now, settings = sender.clock(), sender.settings
    lease = timedelta(seconds=settings.lease_seconds)
    with transaction(sender.sessions) as session:
        claims = claim_due(session, owner, now, lease, settings.send_window, edition_id)
        wanted = _skip_unwanted(session, claims, settings, now)
        gather_materials(session, wanted, materials)
    return wanted, len(claims) - len(wanted)


def _skip_unwanted(
    session: Session, claims: Sequence[Claim], settings: Settings, now: datetime
) -> list[Claim]:
    keys = [claim.subscriber.email_key for claim in claims if claim.subscriber]
    suppressed = find_suppressed(session, keys, settings.secret_key)
    wanted = []
    for claim in claims:
        reason = _why_not(claim, suppressed, now)
        if reason is None:
            wanted.append(claim)
        else:
            skip(session, claim.delivery, reason, now)
    return wanted


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


def _why_not(claim: Claim, suppressed: frozenset[str], now: datetime) -> SkipReason | None:
    delivery, reader = claim.delivery, claim.subscriber
    state = reader.state if reader else None
    if delivery.kind in _SENT_TO and state is SubscriberState.ACTIVE:
        # The question is answered, the pause over, the farewell undone.
        return SkipReason.LATE
    return skip_reason(
        state,
        is_suppressed=reader is not None and reader.email_key in suppressed,
        send_not_after=delivery.send_not_after,
        now=now,
        needs_active=state not in _SENT_TO.get(delivery.kind, ()),
    )


def _build(
    sender: Sender, claims: Sequence[Claim], materials: Materials
) -> tuple[list[Envelope], dict[int, str], list[DeliveryState]]:
    """Every message as bytes before the wire is touched; a row that cannot be built fails alone."""
    built: list[BuiltMail] = []
    unbuildable: list[tuple[Claim, str]] = []
    for claim in claims:
        try:
            mail = build_mail(claim, materials, sender.settings, sender.renderer, sender.clock())
        except MailError as error:
            unbuildable.append((claim, f"render: {error}"))
        else:
            built.append(mail)
    keep_copies(sender.sessions, built, materials, sender.clock())
    failed_count = _fail_unbuildable(sender, unbuildable) if unbuildable else 0
    identities = {one.envelope.number: one.message_id for one in built}
    return [one.envelope for one in built], identities, [DeliveryState.FAILED] * failed_count


def _fail_unbuildable(sender: Sender, unbuildable: Sequence[tuple[Claim, str]]) -> int:
    """End these rows; returns how many were still this sender's to end."""
    failed_count = 0
    with transaction(sender.sessions) as session:
        for claim, reason in unbuildable:
            log.error("deliver.unbuildable", delivery_id=claim.delivery.id, reason=reason)
            owner = claim.delivery.lease_owner
            for held in recheck_claimed(session, owner or 0, [claim.delivery.id]):
                fail(session, held.delivery, reason, sender.clock())
                failed_count += 1
    return failed_count


def _put_in_flight(
    sender: Sender, owner: int, identities: dict[int, str], attempts: dict[int, int]
) -> tuple[set[int], int]:
    """Commit that these messages are about to be on the wire; a late unsubscribe still wins."""
    now = sender.clock()
    until = now + timedelta(seconds=sender.settings.lease_seconds)
    with transaction(sender.sessions) as session:
        held = recheck_claimed(session, owner, list(identities))
        wanted = _skip_unwanted(session, held, sender.settings, now)
        ids = [claim.delivery.id for claim in wanted]
        gone = put_in_flight(session, {i: attempts[i] for i in ids}, identities, until)
    return gone, len(held) - len(wanted)


def _record(
    sender: Sender, outcomes: dict[int, SendOutcome], attempts: dict[int, int]
) -> list[DeliveryState]:
    now, states = sender.clock(), []
    with transaction(sender.sessions) as session:
        for number in sorted(outcomes):
            decision = classify_outcome(outcomes[number], attempts[number])
            delivery = record_decision(session, number, attempts[number], decision, now)
            if delivery is not None:
                states.append(decision.state)
                _suppress(session, delivery, decision, sender.settings, now)
    return states


def _suppress(
    session: Session,
    delivery: Delivery,
    decision: Decision,
    settings: Settings,
    now: datetime,
) -> None:
    """A reply that says the address is dead ends its subscription, once and for all mails."""
    reader = get_subscriber(session, delivery.subscriber_id) if delivery.subscriber_id else None
    if decision.suppress is None or reader is None:
        return
    if reader.confirmed_at is not None and delivery.created_at < reader.confirmed_at:
        # The address was proved since; the mail may have been on its way to the one before.
        return
    insert_suppression(
        session, reader.email_key, settings.secret_key, decision.suppress, decision.detail, now
    )
    reader.state = SubscriberState.SUPPRESSED


def sweep(sessions: sessionmaker[Session], now: datetime) -> tuple[int, int]:
    """Heal what dead senders left; returns (requeued, in doubt). Finished editions are closed."""
    with transaction(sessions) as session:
        healed = sweep_abandoned(session, now)
        close_finished(session, now)
    return healed


RESOLUTIONS = {
    "sent": (DeliveryState.SENT, "the operator says it arrived"),
    "resend": (DeliveryState.QUEUED, "the operator asked for it to be sent again"),
    "carry": (DeliveryState.CARRIED, "its papers come again in the next edition, marked"),
}


def resolve(sessions: sessionmaker[Session], edition_id: int, answer: str, now: datetime) -> int:
    """The operator's answer for every row in doubt of an edition; returns how many rows.

    `answer` is a key of RESOLUTIONS. Only `resend` can ever put a second copy on the wire.
    """
    state, detail = RESOLUTIONS[answer]
    with transaction(sessions) as session:
        return resolve_in_doubt(session, edition_id, state, detail, now)
