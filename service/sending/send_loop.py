"""The send loop, one run of a sender: claim rows, build messages, put them in flight, record."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.deliveries.alerts import report_hanging, report_relay
from service.deliveries.domain.states import OPERATOR_KINDS, DeliveryState
from service.deliveries.store.claimed_rows import Claim
from service.messages.browser_copy import store_copies
from service.messages.build import BuiltMail, build_mail
from service.messages.edition_data import EditionDataCache, gather_edition_data
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.sending.apply_limits import LimitUpdater
from service.sending.build_failures import BuildFailures
from service.sending.eligibility import skip_unwanted
from service.sending.gc_pause import reduced_gc
from service.sending.pause_switch import PauseWatch
from service.sending.record_outcomes import (
    InFlight,
    in_flight_of,
    provider_replies,
    record,
    report_unknown_replies,
    suppress_dead_addresses,
)
from service.sending.report import DeliverReport
from service.sending.restore_guard import WatermarkWriter
from service.sending.sender import Sender, SendRequest
from service.sending.store.claim import Claimer, claim_alert, claim_due, release_claimed
from service.sending.store.in_flight import TerminalTransition, end_claimed
from service.sending.store.provider_limits import LimitClaim

log = get_logger(__name__)

_MIN_SPLIT = 16

# The longest wait for a slow provider within a run; after it the next wake-up task continues.
_LIMIT_WAIT = timedelta(seconds=5)

# How many messages are built before the transport runs again.
_BUILDS_PER_STEP = 8

# How long finished messages wait for others before they are recorded together.
_WAIT_SECONDS = 1.0

# How long replies to messages already sent are awaited after an error or Ctrl-C.
_ABORT_SECONDS = 5.0

# The same when all sending is paused or the process ends: the ten minutes of RFC 5321 §4.5.3.2.6, so
# that neither puts mail in doubt.
_PAUSE_SECONDS = 660.0


def run_sender(request: SendRequest, on_window: Callable[[DeliverReport], None]) -> DeliverReport:
    """Send what the request asks for; `on_window` gets the running report after each record."""
    with request.sender.on_wire.hold(request.sender.sessions) as owner, reduced_gc():
        run = _Run(request, owner)
        try:
            run.record_late()
            while run.run_once():
                on_window(run.report)
            run.report_relay_errors()
            run.finish()
        except BaseException:
            run.abort()
            raise
    return run.report


def record_hanging(sender: Sender, *, is_last: bool = False) -> DeliverReport:
    """Record the replies to messages that hung when this process's last run ended.

    With `is_last` the process ends: wait for the other replies, for up to eleven minutes.
    """
    with sender.on_wire.hold(sender.sessions) as owner:
        run = _Run(SendRequest(sender), owner)
        if is_last:
            run.stop("its sender ended")
        else:
            run.record_late()
    return run.report


def limit_window(settings: Settings) -> int:
    """Return how many rows a run may have in flight: `send_window`, or a minute's mail if that is less.

    Where the rate is limited, rows in flight wait for their time slots, and more of them would gain
    nothing, outlast their lease, and be in doubt if the process dies.
    """
    if settings.send_rate is None:
        return settings.send_window
    return max(1, min(settings.send_window, int(settings.send_rate * 60)))


class _Run:
    """One run of a sender, pipelined: rows are claimed and built while others are on the wire.

    At most a window of rows (`limit_window`) is in flight, in the database and on the wire, beside
    those whose messages hang (decision 0018). One transaction (`_exchange`) records finished messages
    and puts as many built ones in flight, half a window at a time, so that the other half is on the
    wire meanwhile. A claim takes a whole window, because its statements cost the same for few rows;
    claimed rows return to the queue if the process dies.
    """

    def __init__(self, request: SendRequest, owner: int) -> None:
        sender = request.sender
        self._sender = sender
        self._request = request
        self._owner = owner
        self._stops_at = request.stops_at
        self._occasion = request.occasion
        self._window = limit_window(sender.settings)
        # A small window is not worth splitting.
        self._exchange_size = self._window // 2 if self._window >= _MIN_SPLIT else self._window
        self._editions = EditionDataCache()
        self._pause = PauseWatch(sender.sessions)
        self._watermark_writer = WatermarkWriter(sender.sessions, sender.settings)
        self._limit_updater = LimitUpdater(sender.sessions, sender.settings)
        lease = timedelta(seconds=sender.settings.lease_seconds)
        self._claimer = Claimer(owner, lease, request.edition_id, sender.places, request.scope)
        self._claims: deque[Claim] = deque()
        self._is_drained = False
        # Whether the last claim was full, and whether another process was woken for what it left.
        self._is_full = False
        self._has_woken = False
        self._ready: list[BuiltMail] = []
        self._unbuildable: list[TerminalTransition] = []
        self._failures = BuildFailures(sender.sessions, sender.settings)
        # Built messages, those in flight, and the outcomes of these, all by delivery id.
        self._built: dict[int, InFlight] = {}
        self._in_flight = sender.on_wire.rows
        self._landed = sender.on_wire.landed
        self._is_hanging_noted = False
        self.report = DeliverReport()

    def run_once(self) -> bool:
        """Work until results were recorded; return false when there is nothing left to do."""
        before = self.report
        while self.report == before:
            if self._pause.check():
                self.stop("all sending is paused")
                return False
            if self._request.is_ending():
                self.stop("its sender ended")
                return False
            if self._is_exchange_due():
                self._exchange()
            elif self._claims:
                self._build_some()
            elif self._may_claim():
                self._claim()
            elif self._has_to_wait():
                self._wait()
            elif not self._await_limits():
                return False
        return True

    def finish(self) -> None:
        """Leave the watermark of the last window, so that a backup of the last second is detected."""
        self._watermark_writer.finish()
        if self.report.total and not self._has_woken:
            self._request.wake()

    def record_late(self) -> None:
        """Record the replies to messages that hung when the previous run ended."""
        if self._in_flight:
            self._landed |= self._sender.transport.run_until(0.0)
            if self._landed:
                self._exchange()

    def _has_to_wait(self) -> bool:
        """Return whether messages are on the wire for which this run waits."""
        if not self._in_flight or self._count_open():
            return bool(self._in_flight)
        hanging = len(self._sender.transport.hanging)
        if hanging and not self._request.leaves_hanging and not self._is_hanging_noted:
            self._is_hanging_noted = True
            self._request.on_hanging(hanging)
        return not self._request.leaves_hanging

    def _count_open(self) -> int:
        """Return how many messages have no outcome and do not hang."""
        hanging = len(self._sender.transport.hanging)
        return len(self._in_flight) - len(self._landed) - hanging

    def stop(self, reason: str) -> None:
        """Finish what is on the wire, and put everything else back into the queue."""
        sender = self._sender
        leaves_hanging = self._request.leaves_hanging
        self._landed |= sender.transport.give_up(_PAUSE_SECONDS, leaves_hanging=leaves_hanging)
        self._claims.clear()
        self._ready, self._built = [], {}
        if self._landed or self._unbuildable:
            self._exchange()
        with transaction(sender.sessions) as session:
            release_claimed(session, self._owner, reason, sender.clock())

    def _await_limits(self) -> bool:
        """Wait for a provider whose limit allows more soon; return false if there is none.

        Only a worker waits, and not with urgent mail: a command ends when everything that may be sent
        now was sent, and the worker that sends digests sends what waits.
        """
        if not self._claimer.scope.has_others:
            return False
        clock = self._sender.clock
        now = clock()
        at = self._limit_updater.next_limit_at(now)
        if self._stops_at is None or at is None or at > min(self._stops_at, now + _LIMIT_WAIT):
            return False
        time.sleep((at - now).total_seconds())
        self._is_drained = False
        return clock() > now

    def _may_claim(self) -> bool:
        if (
            self._is_drained
            or len(self._ready) >= self._exchange_size
            or self._sender.transport.is_unavailable
        ):
            return False
        return self._stops_at is None or self._sender.clock() < self._stops_at

    def _is_exchange_due(self) -> bool:
        is_all_built = not self._claims and not self._may_claim()
        wanted = min(self._exchange_size, len(self._ready))
        if wanted == self._exchange_size or (wanted and is_all_built):
            return self._room >= wanted
        is_rest_hanging = not self._count_open()
        return is_all_built and is_rest_hanging and bool(self._landed or self._unbuildable)

    @property
    def _room(self) -> int:
        """How many rows may go in flight if the outcomes are recorded in the same transaction."""
        return self._window - self._count_open()

    def _wait(self) -> None:
        """Run the transport until there is room or everything is finished, but record outcomes
        after `_WAIT_SECONDS` even if a slow message is still open.
        """
        missing = self._count_open()
        if self._ready:
            missing = min(self._exchange_size, len(self._ready)) - self._room
        landed = self._sender.transport.run_until(_WAIT_SECONDS, max(1, missing))
        self._landed |= landed
        if not landed and self._landed:
            self._exchange()

    def _claim(self) -> None:
        """Claim rows, skip those that must not be sent, and load the data for the others."""
        sender, now = self._sender, self._sender.clock()
        with transaction(sender.sessions, is_lasting=False) as session:
            waiting = self._claim_waiting(session, now)
            due = self._claim_due(session, self._window - len(waiting), now)
            unwanted = skip_unwanted(session, [*waiting, *due], sender.settings, now)
            wanted = [claim for claim in waiting if claim.id not in unwanted]
            self._limit_updater.count(session, wanted, now)
            wanted += self._limit_updater.allot(
                session, [c for c in due if c.id not in unwanted], now
            )
            # One that hangs, was swept, and is to be sent again waits for the outcome of the first copy.
            wanted = [claim for claim in wanted if claim.id not in self._in_flight]
            gather_edition_data(session, wanted, self._editions)
        self._is_drained = not (waiting or due)
        self._note_full(is_full=len(waiting) + len(due) >= self._window)
        self._claims.extend(wanted)
        self.report = self.report.plus([DeliveryState.SKIPPED] * len(unwanted))

    def _note_full(self, *, is_full: bool) -> None:
        """Wake another process when there begins to be more than this one has claimed."""
        if is_full and not self._is_full:
            self._has_woken = True
            self._request.wake()
        self._is_full = is_full

    def _claim_waiting(self, session: Session, now: datetime) -> list[Claim]:
        """Claim rows that waited for their provider's limit; they go before other due rows."""
        if self._occasion:
            return []
        others = self._claimer.scope.has_others
        claim = LimitClaim(self._owner, self._claimer.lease, self._claimer.edition_id, others)
        return self._limit_updater.claim_waiting(session, claim, self._window, now)

    def _claim_due(self, session: Session, room: int, now: datetime) -> list[Claim]:
        if self._occasion:
            return claim_alert(session, self._claimer, self._occasion, now)
        return claim_due(session, self._claimer, room, now) if room else []

    def _build_some(self) -> None:
        """Build some messages and run the transport; a row that cannot be built fails alone."""
        sender = self._sender
        for _ in range(min(_BUILDS_PER_STEP, len(self._claims))):
            claim = self._claims.popleft()
            try:
                mail = build_mail(
                    claim, self._editions, sender.settings, sender.renderer, sender.clock()
                )
            except Exception as error:  # noqa: BLE001  # `note` raises what is not about one row
                self._unbuildable.append(self._failures.note(claim, error, sender.clock()))
            else:
                self._failures.built.add(claim.delivery.edition_id)
                self._ready.append(mail)
                self._built[claim.id] = in_flight_of(claim)
        if self._in_flight:
            self._landed |= sender.transport.run_until(0.0)

    def _exchange(self) -> None:
        """Record the outcomes, and put as many built messages in flight as there is room for.

        The transaction commits before anything is sent. Its commit may be asynchronous only if no
        row goes in flight with it: a lost outcome leaves its row in flight, which falls in doubt.
        """
        sender, now = self._sender, self._sender.clock()
        built, self._ready = self._ready[: self._room], self._ready[self._room :]
        landed = dict(self._landed)
        self._limit_updater.apply_replies(provider_replies(landed, self._in_flight), now)
        self.report_relay_errors()
        attempts = {mail.envelope.number: mail.attempt for mail in built}
        with transaction(sender.sessions, is_lasting=bool(built)) as session:
            states, dead = record(
                session, landed, self._in_flight, self._limit_updater.paused, now, sender.steps
            )
            locked = sender.steps.lock(session, self._owner, attempts, now)
            suppress_dead_addresses(session, dead, sender.settings, now)
            skipped = sender.steps.skip_in_flight(session, locked, attempts, sender.settings, now)
            ids = {row.id for row in locked if not row.is_over} - skipped
            going = _put_in_flight(session, [m for m in built if m.envelope.number in ids], sender)
            failed = end_claimed(session, self._unbuildable, now)
            parts = store_copies(session, going, self._editions, now)
        report_unknown_replies(sender.sessions, landed, sender.settings, now)
        for month, numbers in parts.items():
            self._editions.stored_parts.setdefault(month, {}).update(numbers)
        self._unbuildable = []
        for number in landed:
            del self._in_flight[number], self._landed[number]
        moved = {mail.envelope.number: mail.attempt for mail in going}
        rows = {number: self._built.pop(number) for number in attempts}
        self._in_flight |= {number: rows[number] for number in moved}
        # Mails to the operator leave no watermark: an alert may be sent while one blocks all others.
        unmarked = {row.id for row in locked if row.kind in OPERATOR_KINDS}
        self._watermark_writer.note({n: moved[n] for n in moved if n not in unmarked}, now)
        sender.transport.begin([mail.envelope for mail in going])
        states += [DeliveryState.SKIPPED] * len(skipped) + [DeliveryState.FAILED] * len(failed)
        self.report = self.report.plus(states)

    def report_relay_errors(self) -> None:
        sessions, settings, now = self._sender.sessions, self._sender.settings, self._sender.clock()
        for error in self._sender.transport.pop_relay_errors():
            if error.hanging:
                report_hanging(sessions, settings, error.relay, error.hanging, now)
            else:
                report_relay(sessions, settings, error.relay, error.reason, now)

    def abort(self) -> None:
        """After an error, withdraw unsent messages and record the outcomes of the others if
        possible. A row without a recorded outcome falls in doubt.
        """
        self._landed |= self._sender.transport.give_up(_ABORT_SECONDS)
        if self._landed:
            try:
                with transaction(self._sender.sessions) as session:
                    paused, now = self._limit_updater.paused, self._sender.clock()
                    steps = self._sender.steps
                    record(session, self._landed, self._in_flight, paused, now, steps)
            except SQLAlchemyError as error:
                log.warning(
                    "deliver.unrecorded", rows=len(self._landed), reason=type(error).__name__
                )
        self._in_flight.clear()
        self._landed.clear()


def _put_in_flight(session: Session, going: Sequence[BuiltMail], sender: Sender) -> list[BuiltMail]:
    """Put rows in flight; return the messages that may be sent once this is committed."""
    until = sender.clock() + timedelta(seconds=sender.settings.lease_seconds)
    attempts = {mail.envelope.number: mail.attempt for mail in going}
    message_ids = {mail.envelope.number: mail.message_id for mail in going}
    moved = sender.steps.put_in_flight(session, attempts, message_ids, until)
    return [mail for mail in going if mail.envelope.number in moved]
