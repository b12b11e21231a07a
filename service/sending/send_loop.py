"""One run of a sender: claim, build, put in flight, record."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.alerts import report_relay
from service.deliveries.domain.states import DeliveryKind, DeliveryState, SendOutcome
from service.deliveries.store.claimed_rows import Claim
from service.messages.browser_copy import keep_copies
from service.messages.build import BuiltMail, build_mail
from service.messages.domain.errors import MailError
from service.messages.edition_data import EditionDataCache, gather_edition_data
from service.messages.rendering.renderer import Renderer
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.sending.apply_limits import LimitUpdater
from service.sending.eligibility import skip_unwanted
from service.sending.gc_pause import reduced_gc
from service.sending.record_outcomes import (
    InFlight,
    flight_of,
    provider_replies,
    record,
    suppress_dead,
)
from service.sending.restore_guard import WatermarkWriter
from service.sending.smtp.transport import Transport
from service.sending.steps import STEPS, Steps
from service.sending.store.claim import Claimer, Places, claim_alert, claim_due, hold_sender_lock
from service.sending.store.in_flight import TerminalTransition, end_claimed
from service.sending.store.provider_limits import LimitClaim

log = get_logger(__name__)

Clock = Callable[[], datetime]
_SMALLEST_DIVIDED = 16

# How long a worker waits for a slow provider's next turn rather than for the next bell.
_LIMIT_PATIENCE = timedelta(seconds=5)

# How many messages are built between two looks at the wire.
_BUILT_AT_ONCE = 8

# How long what has landed waits for company before it is recorded.
_PATIENCE_SECONDS = 1.0

# How long messages that were said may still be answered after an error or Ctrl-C.
_FAREWELL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Sender:
    """What sending needs; one per process. `clock` gives aware UTC.

    `places` is how far its runs have come in each edition (`Claimer`): a worker's next run goes on
    from there, and does not walk over all that was sent since the edition began.
    """

    sessions: sessionmaker[Session]
    settings: Settings
    renderer: Renderer
    transport: Transport
    clock: Clock
    places: Places = field(default_factory=dict)
    steps: Steps = STEPS


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


@dataclass(frozen=True, slots=True)
class SendRequest:
    """What a run is for: all that is due, or one edition, or nothing but the alert of an occasion."""

    sender: Sender
    edition_id: int | None = None
    stops_at: datetime | None = None
    occasion: str = ""


def run_sender(errand: SendRequest, on_window: Callable[[DeliverReport], None]) -> DeliverReport:
    with _living_sender(errand.sender.sessions) as owner, reduced_gc():
        run = _Run(errand, owner)
        try:
            while run.go_on():
                on_window(run.report)
        except BaseException:
            run.give_up()
            raise
    return run.report


@contextmanager
def _living_sender(sessions: sessionmaker[Session]) -> Iterator[int]:
    """A sender's number, its lock held on a connection of its own until the end of the run."""
    owner = secrets.randbelow(2**31 - 1) + 1
    with hold_sender_lock(sessions, owner):
        yield owner


class _Run:
    """One run of a sender: rows are claimed and built while others are on the wire.

    At most `SEND_WINDOW` rows are in flight, in the database as on the wire. A transaction records
    what has landed and puts as many built messages into flight; it comes when half a window can
    go, so that the other half is on the wire meanwhile. A claim takes a whole window: its statements
    cost the same for few rows as for many, and what is only claimed goes back if the process dies.
    """

    def __init__(self, errand: SendRequest, owner: int) -> None:
        sender = errand.sender
        self._sender = sender
        self._owner = owner
        self._stops_at = errand.stops_at
        self._occasion = errand.occasion
        self._window = sender.settings.send_window
        # A small window is not worth dividing.
        self._share = self._window // 2 if self._window >= _SMALLEST_DIVIDED else self._window
        self._editions = EditionDataCache()
        self._marker = WatermarkWriter(sender.sessions, sender.settings)
        self._limit_updater = LimitUpdater(sender.sessions, sender.settings)
        lease = timedelta(seconds=sender.settings.lease_seconds)
        self._claimer = Claimer(owner, lease, errand.edition_id, sender.places)
        self._claims: deque[Claim] = deque()
        self._is_drained = False
        self._ready: list[BuiltMail] = []
        self._unbuildable: list[TerminalTransition] = []
        # What is known of the messages that are built, of those in flight, and what came of these.
        self._flights: dict[int, InFlight] = {}
        self._flying: dict[int, InFlight] = {}
        self._landed: dict[int, SendOutcome] = {}
        self.report = DeliverReport()

    def go_on(self) -> bool:
        """Work until results were recorded; false when there is nothing left to do."""
        before = self.report
        while self.report == before:
            if self._is_exchange_due():
                self._exchange()
            elif self._claims:
                self._build_some()
            elif self._may_claim():
                self._claim()
            elif self._flying:
                self._wait()
            elif not self._await_limits():
                return False
        return True

    def _await_limits(self) -> bool:
        """Wait for a provider that takes some more within moments; false where there is none.

        Only for a worker: a command ends when what can go now has gone.
        """
        clock = self._sender.clock
        now = clock()
        at = self._limit_updater.next_limit_at(now)
        if self._stops_at is None or at is None or at > min(self._stops_at, now + _LIMIT_PATIENCE):
            return False
        time.sleep((at - now).total_seconds())
        self._is_drained = False
        return clock() > now

    def _may_claim(self) -> bool:
        if (
            self._is_drained
            or len(self._ready) >= self._share
            or self._sender.transport.is_unavailable
        ):
            return False
        return self._stops_at is None or self._sender.clock() < self._stops_at

    def _is_exchange_due(self) -> bool:
        is_all_built = not self._claims and not self._may_claim()
        wanted = min(self._share, len(self._ready))
        if wanted == self._share or (wanted and is_all_built):
            return self._room >= wanted
        has_all_landed = len(self._landed) == len(self._flying)
        return is_all_built and has_all_landed and bool(self._landed or self._unbuildable)

    @property
    def _room(self) -> int:
        """How many rows may go into flight if what has landed is recorded with it."""
        return self._window - len(self._flying) + len(self._landed)

    def _wait(self) -> None:
        """Serve the wire until there is room, or everything has landed; what has landed is not
        kept waiting for a message that takes its time."""
        missing = len(self._flying) - len(self._landed)
        if self._ready:
            missing = min(self._share, len(self._ready)) - self._room
        landed = self._sender.transport.turn(_PATIENCE_SECONDS, missing)
        self._landed |= landed
        if not landed and self._landed:
            self._exchange()

    def _claim(self) -> None:
        """Take rows and end those that must not be sent; read what the rest needs."""
        sender, now = self._sender, self._sender.clock()
        with transaction(sender.sessions, is_lasting=False) as session:
            lanes = self._claim_waiting(session, now)
            due = self._claim_due(session, self._window - len(lanes), now)
            unwanted = skip_unwanted(session, [*lanes, *due], sender.settings, now)
            wanted = [claim for claim in lanes if claim.id not in unwanted]
            wanted += self._limit_updater.allot(
                session, [c for c in due if c.id not in unwanted], now
            )
            gather_edition_data(session, wanted, self._editions)
        self._is_drained = not (lanes or due)
        self._claims.extend(wanted)
        self.report = self.report.plus([DeliveryState.SKIPPED] * len(unwanted))

    def _claim_waiting(self, session: Session, now: datetime) -> list[Claim]:
        """Rows that waited for their providers come before those that are only due."""
        if self._occasion:
            return []
        claim = LimitClaim(self._owner, self._claimer.lease, self._claimer.edition_id)
        return self._limit_updater.claim_waiting(session, claim, self._window, now)

    def _claim_due(self, session: Session, room: int, now: datetime) -> list[Claim]:
        if self._occasion:
            return claim_alert(session, self._claimer, self._occasion, now)
        return claim_due(session, self._claimer, room, now) if room else []

    def _build_some(self) -> None:
        """Some messages as bytes, and a look at the wire; a row that cannot be built fails alone."""
        sender = self._sender
        for _ in range(min(_BUILT_AT_ONCE, len(self._claims))):
            claim = self._claims.popleft()
            try:
                mail = build_mail(
                    claim, self._editions, sender.settings, sender.renderer, sender.clock()
                )
            except MailError as error:
                log.warning("deliver.unbuildable", delivery_id=claim.id, reason=str(error))
                failed = TerminalTransition(
                    claim.id, claim.attempt, DeliveryState.FAILED, f"render: {error}"
                )
                self._unbuildable.append(failed)
            else:
                self._ready.append(mail)
                self._flights[claim.id] = flight_of(claim)
        if self._flying:
            self._landed |= sender.transport.turn(0.0)

    def _exchange(self) -> None:
        """Record what has landed, and put as many built messages into flight as there is room for.

        Committed before the wire is touched: what is in flight may be with somebody. Only without
        new flights need the commit not last: what is lost then was in flight and falls in doubt.
        """
        sender, now = self._sender, self._sender.clock()
        built, self._ready = self._ready[: self._room], self._ready[self._room :]
        landed = self._landed
        self._limit_updater.hear(provider_replies(landed, self._flying), now)
        self._tell_troubles(now)
        attempts = {one.envelope.number: one.attempt for one in built}
        with transaction(sender.sessions, is_lasting=bool(built)) as session:
            states, dead = record(
                session, landed, self._flying, self._limit_updater.held, now, sender.steps
            )
            held = sender.steps.hold(session, self._owner, attempts, now)
            suppress_dead(session, dead, sender.settings, now)
            withdrawn = sender.steps.skip_in_flight(session, held, attempts, sender.settings, now)
            ids = {row.id for row in held if not row.is_over} - withdrawn
            gone = _put_in_flight(session, [o for o in built if o.envelope.number in ids], sender)
            failed = end_claimed(session, self._unbuildable, now)
            kept = keep_copies(session, gone, self._editions, now)
        self._editions.kept_parts |= kept
        self._unbuildable, self._landed = [], {}
        for number in landed:
            del self._flying[number]
        going = {one.envelope.number: one.attempt for one in gone}
        flights = {number: self._flights.pop(number) for number in attempts}
        self._flying |= {number: flights[number] for number in going}
        # An alert is no mark: one may leave while a mark holds back all else, and it may go twice.
        alerts = {row.id for row in held if row.kind is DeliveryKind.OPERATOR_ALERT}
        self._marker.note({n: going[n] for n in going if n not in alerts}, now)
        sender.transport.begin([one.envelope for one in gone])
        states += [DeliveryState.SKIPPED] * len(withdrawn) + [DeliveryState.FAILED] * len(failed)
        self.report = self.report.plus(states)

    def _tell_troubles(self, now: datetime) -> None:
        for trouble in self._sender.transport.pop_relay_errors():
            report_relay(
                self._sender.sessions, self._sender.settings, trouble.relay, trouble.words, now
            )

    def give_up(self) -> None:
        """After an error: messages that were not said are taken back, and what came of the others
        is recorded if that is still possible. What is not falls in doubt."""
        self._landed |= self._sender.transport.give_up(_FAREWELL_SECONDS)
        if self._landed:
            try:
                with transaction(self._sender.sessions) as session:
                    held, now = self._limit_updater.held, self._sender.clock()
                    steps = self._sender.steps
                    record(session, self._landed, self._flying, held, now, steps)
            except SQLAlchemyError as error:
                log.warning(
                    "deliver.unrecorded", rows=len(self._landed), reason=type(error).__name__
                )


def _put_in_flight(session: Session, going: Sequence[BuiltMail], sender: Sender) -> list[BuiltMail]:
    """Move rows into flight; returns the messages that may go on the wire once it is committed."""
    until = sender.clock() + timedelta(seconds=sender.settings.lease_seconds)
    attempts = {one.envelope.number: one.attempt for one in going}
    identities = {one.envelope.number: one.message_id for one in going}
    gone = sender.steps.fly(session, attempts, identities, until)
    return [one for one in going if one.envelope.number in gone]
