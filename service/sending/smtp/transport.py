"""A connection pool for SMTP: decides which message goes over which connection, and reuses them.

This folder has the only asynchronous code. aiosmtplib connects and does EHLO, STARTTLS, TLS and
AUTH; from then on `SmtpClientProtocol` decides what is sent, because for each message we must know
how far it got (`SendOutcome.phase`): that decides whether it may ever be sent again.

The event loop runs only inside `run_until`, on the caller's thread: building and sending alternate
on one thread, so they never compete for the interpreter's lock.
"""

import asyncio
import time
from collections import deque
from collections.abc import Collection, Sequence
from typing import Protocol

import aiosmtplib

from service.deliveries.domain.states import Phase, SendOutcome
from service.messages.mime.mime import Envelope
from service.platform.settings.relays import SmtpRelay
from service.sending.smtp.connection import SmtpConnection
from service.sending.smtp.limits import SMTP_LIMITS, SmtpLimits
from service.sending.smtp.rate_limit import SendRate
from service.sending.smtp.relay_pool import RelayError, RelayPool, describe_error

__all__ = ["Envelope", "SmtpTransport", "Transport"]

# How long no further connection is tried after a relay refused one more.
FULL_SECONDS = 30.0

_WITHDRAWN = SendOutcome(Phase.WITHDRAWN, 0, "withdrawn before anything was sent")


class Transport(Protocol):
    """Sends messages: the SMTP pool below, and the transports of tests."""

    def begin(self, envelopes: Sequence[Envelope]) -> None:
        """Queue messages. They are sent during later calls of `run_until`."""

    def run_until(self, seconds: float, enough: int = 1) -> dict[int, SendOutcome]:
        """Send until `enough` messages have an outcome, for at most `seconds`.

        Return each message's outcome once, by the message's number.
        """

    def give_up(self, seconds: float, *, leaves_hanging: bool = False) -> dict[int, SendOutcome]:
        """Withdraw what was not sent, wait `seconds` for the rest, and return all outcomes.

        No message that was begun is sent afterwards. With `leaves_hanging` those that hang keep their
        connections, and their outcomes come from later calls.
        """

    @property
    def hanging(self) -> Collection[int]:
        """The numbers of the messages that hang: the relay owes a reply for long."""

    def pop_relay_errors(self) -> list[RelayError]:
        """Return what the operator should know of the relays, each error once."""

    @property
    def is_unavailable(self) -> bool:
        """Whether nothing can be sent now, so that nothing need be claimed."""

    def close(self) -> None: ...


class SmtpTransport:
    """A pool of connections, spread over the relays by their weights.

    `rate` is this process's share of the common rate limit, None for as fast as the relays answer.
    """

    def __init__(
        self,
        relays: Sequence[SmtpRelay],
        *,
        connections: int = 10,
        rate: SendRate | None = None,
        limits: SmtpLimits = SMTP_LIMITS,
    ) -> None:
        self._relays = RelayPool(relays, limits)
        self._limit = connections
        self._limits = limits
        self._rate = rate
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[Envelope] = deque()
        self._connections: set[SmtpConnection] = set()
        self._idle: list[SmtpConnection] = []
        # Connections whose message hangs, with its number. They do not count against the limit.
        self._hanging: dict[SmtpConnection, int] = {}
        self._openings: set[asyncio.Task[None]] = set()
        self._full_until = 0.0
        # Messages that already lost one attempt to a stale connection; the next one is their last.
        self._tried: set[int] = set()
        self._landed: dict[int, SendOutcome] = {}
        self._enough = 1
        self._changed = asyncio.Event()

    def send(self, envelopes: Sequence[Envelope]) -> dict[int, SendOutcome]:
        """Try each envelope once; return every outcome by the envelope's number."""
        self.begin(envelopes)
        outcomes: dict[int, SendOutcome] = {}
        while len(outcomes) < len(envelopes):
            outcomes |= self.run_until(60.0, len(envelopes) - len(outcomes))
        return outcomes

    def begin(self, envelopes: Sequence[Envelope]) -> None:
        self._waiting.extend(envelopes)
        if envelopes:
            self._loop.call_soon(self._dispatch)

    def run_until(self, seconds: float, enough: int = 1) -> dict[int, SendOutcome]:
        loop, self._enough = self._loop, enough
        is_waiting = seconds > 0 and len(self._landed) < enough
        stop = loop.call_later(seconds, loop.stop) if is_waiting else loop.call_soon(loop.stop)
        try:
            loop.run_forever()
        finally:
            stop.cancel()
        landed, self._landed = self._landed, {}
        return landed

    def give_up(self, seconds: float, *, leaves_hanging: bool = False) -> dict[int, SendOutcome]:
        outcomes = self._withdraw()
        loop, self._enough = self._loop, 2**31
        loop.run_until_complete(self._drain(seconds, leaves_hanging=leaves_hanging))
        # Those that waited behind one that began to hang meanwhile.
        outcomes |= self._withdraw() | self.run_until(0.0)
        return outcomes

    def _withdraw(self) -> dict[int, SendOutcome]:
        withdrawn = {envelope.number: _WITHDRAWN for envelope in self._waiting}
        self._waiting.clear()
        return withdrawn

    async def _drain(self, seconds: float, *, leaves_hanging: bool) -> None:
        """Wait until no connection is busy; close those that are after `seconds`."""

        def busy() -> set[SmtpConnection]:
            left = self._connections.difference(self._idle)
            return left.difference(self._hanging) if leaves_hanging else left

        await self._stop_opening()
        try:
            async with asyncio.timeout(seconds):
                while busy():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            for connection in busy():
                connection.quit()

    async def _stop_opening(self) -> None:
        for task in self._openings:
            task.cancel()
        await asyncio.gather(*self._openings, return_exceptions=True)

    def pop_relay_errors(self) -> list[RelayError]:
        return self._relays.pop_relay_errors()

    @property
    def is_unavailable(self) -> bool:
        return self._relays.is_unavailable

    def close(self) -> None:
        if self._rate is not None:
            self._rate.close()
        if self._own_loop is not None:
            self._enough = 2**31  # Nothing that lands may stop the loop meanwhile.
            self._own_loop.run_until_complete(self._quit_all())
            self._own_loop.close()
            self._own_loop = None

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """The event loop, made at the first message so that a process may fork before it."""
        if self._own_loop is None:
            self._own_loop = asyncio.new_event_loop()
        return self._own_loop

    # -- which message, which connection ---------------------------------------------------------

    def take(self, *, is_early: bool) -> Envelope | None:
        """Return the next message for a connection; None if there is none, or not yet.

        `is_early`: its previous message has no final reply yet. Then it gets one only if more
        messages wait than there are connections; otherwise another would be free sooner.
        """
        if not self._waiting or (is_early and len(self._waiting) < self._working_count):
            return None
        if self._rate is not None:
            if self._wait_seconds() > 0:
                return None
            self._rate.spend()
        return self._waiting.popleft()

    def _wait_seconds(self) -> float:
        """Return how long the rate limit allows no message; 0 without a limit."""
        return self._rate.wait_seconds(len(self._waiting)) if self._rate is not None else 0.0

    def _dispatch(self) -> None:
        """Give waiting messages to idle connections, and open new connections for the rest."""
        while self._waiting:
            pause = self._wait_seconds()
            if pause > 0:
                if self._timer is None:
                    self._timer = self._loop.call_later(pause, self._dispatch_later)
                return
            connection = self._pop_idle()
            if connection is not None:
                connection.start()
            elif self._may_open():
                envelope = self.take(is_early=False)
                if envelope is not None:
                    self._open_for(envelope)
            else:
                return

    def _dispatch_later(self) -> None:
        self._timer = None
        self._dispatch()

    def _may_open(self) -> bool:
        if self._working_count and time.monotonic() < self._full_until:
            return False
        return self._working_count + len(self._openings) < self._limit

    @property
    def _working_count(self) -> int:
        return len(self._connections) - len(self._hanging)

    @property
    def _is_crowded(self) -> bool:
        """Whether there are too many connections, because some do not hang any more.

        Those that are closing count no more, or each of the others would find one too many.
        """
        if self._working_count <= self._limit:
            return False
        closing = sum(connection.is_closing for connection in self._connections)
        return self._working_count - closing > self._limit

    @property
    def hanging(self) -> Collection[int]:
        return self._hanging.values()

    @property
    def most_overtaking(self) -> int:
        return self._limits.overtaken_times * self._limit

    def begin_hanging(
        self, connection: SmtpConnection, envelope: Envelope, opened: Envelope | None
    ) -> None:
        """Let another connection take this one's place, and the message behind its own."""
        self._hanging[connection] = envelope.number
        self._relays.begin_hanging(connection.relay)
        if opened is not None:
            self._waiting.appendleft(opened)
        self._changed.set()
        if self._waiting:
            self._loop.call_soon(self._dispatch)

    def end_hanging(self, connection: SmtpConnection) -> None:
        del self._hanging[connection]
        self._relays.end_hanging(connection.relay)

    def _pop_idle(self) -> SmtpConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if not (connection.is_stale or self._relays.is_resting(connection.relay)):
                return connection
            connection.quit()
        return None

    def release(self, connection: SmtpConnection) -> None:
        if self._is_crowded:
            connection.quit()
            return
        self._idle.append(connection)
        self._changed.set()
        if self._waiting:
            self._loop.call_soon(self._dispatch)

    def forget(self, connection: SmtpConnection) -> None:
        """Remove a connection that was closed."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._changed.set()
        if self._waiting:
            self._loop.call_soon(self._dispatch)

    def may_reuse(self, relay: int) -> bool:
        return not (self._is_crowded or self._relays.is_resting(relay))

    def reply_count(self, relay: int) -> int:
        return self._relays.reply_count(relay)

    def land(
        self,
        envelope: Envelope,
        outcome: SendOutcome,
        relay: int | None = None,
        *,
        was_kept: bool = False,
    ) -> None:
        """Store a message's outcome, and update the health of its relay.

        The relay may have closed a reused connection meanwhile (RFC 5321 §3.8). Nothing of the
        message was sent then, so one retry on a new connection cannot send a second copy.
        """
        is_stale = was_kept and outcome.phase is Phase.MAIL and outcome.code in {0, 421}
        if is_stale and envelope.number not in self._tried:
            self._tried.add(envelope.number)
            self._open_for(envelope)
            return
        if relay is not None:
            self._relays.record_outcome(relay, outcome)
            outcome = SendOutcome(
                outcome.phase, outcome.code, outcome.text, self._relays.name(relay)
            )
        self._tried.discard(envelope.number)
        self._landed[envelope.number] = outcome
        if len(self._landed) >= self._enough:
            self._loop.stop()

    # -- opening and closing ---------------------------------------------------------------------

    def _open_for(self, envelope: Envelope) -> None:
        task = self._loop.create_task(self._open_connection(envelope))
        self._openings.add(task)
        task.add_done_callback(self._end_opening)

    def _end_opening(self, task: asyncio.Task[None]) -> None:
        """Dispatch again: messages that waited for a failed connection need another one."""
        self._openings.discard(task)
        if self._waiting:
            self._loop.call_soon(self._dispatch)

    async def _open_connection(self, envelope: Envelope) -> None:
        busy = frozenset(c.relay for c in self._connections if c not in self._hanging)
        try:
            client, relay = await self._relays.connect(busy)
            connection = SmtpConnection(self, client, relay, envelope, self._limits)
        except asyncio.CancelledError:
            self.land(envelope, _WITHDRAWN)
            raise
        except (aiosmtplib.SMTPException, OSError) as error:
            if self._working_count and envelope.number not in self._tried:
                # The relay accepts no further connection; the open ones carry on.
                self._full_until = time.monotonic() + FULL_SECONDS
                self._waiting.appendleft(envelope)
                self._loop.call_soon(self._dispatch)
                return
            outcome = SendOutcome(
                Phase.CONNECT, getattr(error, "code", 0) or 0, describe_error(error)
            )
            self.land(envelope, outcome)
            return
        self._connections.add(connection)
        connection.start()

    async def _quit_all(self) -> None:
        await self._stop_opening()
        connections = list(self._connections)
        for connection in connections:
            connection.quit()
        gone = [connection.is_gone for connection in connections]
        if gone:
            await asyncio.wait(gone, timeout=5)
        if self._timer is not None:
            self._timer.cancel()
