"""Messages onto the wire: which message on which connection. Connections are kept and used again.

With `connecting` and `lines` the only asynchronous code. aiosmtplib connects and does EHLO,
STARTTLS, TLS and AUTH; from then on a `Dialogue` decides what is said, since for each message we
must know how far it got (`SendOutcome.phase`): that decides whether it may ever be sent again.

The loop runs only while somebody is in `turn`, on the caller's own thread: what builds messages and
what sends them take turns, and neither waits for the other's lock.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import aiosmtplib

from service.deliveries.domain.states import Phase, SendOutcome
from service.messages.mime.mime import Envelope
from service.platform.settings.relays import SmtpRelay
from service.sending.smtp.connection import SmtpConnection
from service.sending.smtp.limits import SMTP_LIMITS, SmtpLimits
from service.sending.smtp.rate_limit import SendRate
from service.sending.smtp.relay_pool import RelayError, RelayPool, words_of

__all__ = ["Envelope", "SmtpTransport", "Transport"]

# How long a relay that refused one more connection is not asked for another.
FULL_SECONDS = 30.0

_TAKEN_BACK = SendOutcome(Phase.CONNECT, 0, "taken back before a word of it was said")


class Transport(Protocol):
    """What puts messages on the wire: the SMTP one below, and those of tests."""

    def begin(self, envelopes: Sequence[Envelope]) -> None:
        """Put messages on their way. They move while somebody is in `turn`."""

    def turn(self, seconds: float, enough: int = 1) -> dict[int, SendOutcome]:
        """Serve the wire until `enough` messages have landed, for so many seconds at the most.

        Every message that was begun is returned once, by its number, with its outcome.
        """

    def give_up(self, seconds: float) -> dict[int, SendOutcome]:
        """Take back what was not said yet, and wait so long for what was; returns all the rest.

        Nothing that was begun before moves afterwards.
        """

    def pop_relay_errors(self) -> list[RelayError]:
        """What the operator should know of the relays, each thing once."""

    @property
    def is_unavailable(self) -> bool:
        """Whether nothing can be sent now, so that nothing need be begun."""

    def close(self) -> None: ...


class SmtpTransport:
    """A pool of connections to the relays, shared among them by their weights.

    `rate` is this process's part in the common rate, None for as fast as the relays answer.
    """

    def __init__(
        self,
        relays: Sequence[SmtpRelay],
        *,
        connections: int = 10,
        rate: SendRate | None = None,
        limits: SmtpLimits = SMTP_LIMITS,
    ) -> None:
        self._relays = RelayPool(relays, limits.rest_seconds)
        self._limit = connections
        self._limits = limits
        self._rate = rate
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[Envelope] = deque()
        self._lines: set[SmtpConnection] = set()
        self._resting: list[SmtpConnection] = []
        self._openings: set[asyncio.Task[None]] = set()
        self._full_until = 0.0
        # Messages that a stale connection cost one try; the next one is their last.
        self._tried: set[int] = set()
        self._landed: dict[int, SendOutcome] = {}
        self._enough = 1
        self._calmer = asyncio.Event()

    def send(self, envelopes: Sequence[Envelope]) -> dict[int, SendOutcome]:
        """Try each envelope once; every number comes back with its outcome."""
        self.begin(envelopes)
        outcomes: dict[int, SendOutcome] = {}
        while len(outcomes) < len(envelopes):
            outcomes |= self.turn(60.0, len(envelopes) - len(outcomes))
        return outcomes

    def begin(self, envelopes: Sequence[Envelope]) -> None:
        self._waiting.extend(envelopes)
        if envelopes:
            self._loop.call_soon(self.spread)

    def turn(self, seconds: float, enough: int = 1) -> dict[int, SendOutcome]:
        loop, self._enough = self._loop, enough
        is_waiting = seconds > 0 and len(self._landed) < enough
        stop = loop.call_later(seconds, loop.stop) if is_waiting else loop.call_soon(loop.stop)
        try:
            loop.run_forever()
        finally:
            stop.cancel()
        landed, self._landed = self._landed, {}
        return landed

    def give_up(self, seconds: float) -> dict[int, SendOutcome]:
        outcomes = {one.number: _TAKEN_BACK for one in self._waiting}
        self._waiting.clear()
        loop, self._enough = self._loop, 2**31
        loop.run_until_complete(self._calm_down(seconds))
        outcomes |= self.turn(0.0)
        return outcomes

    async def _calm_down(self, seconds: float) -> None:
        """Until every connection rests; those that do not after so many seconds are closed."""
        await self._stop_opening()
        try:
            async with asyncio.timeout(seconds):
                while len(self._resting) < len(self._lines):
                    self._calmer.clear()
                    await self._calmer.wait()
        except TimeoutError:
            for line in [line for line in self._lines if line not in self._resting]:
                line.leave()

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
            self._own_loop.run_until_complete(self._quit_all())
            self._own_loop.close()
            self._own_loop = None

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """Made at the first message, so that a process that forks before has nothing to share."""
        if self._own_loop is None:
            self._own_loop = asyncio.new_event_loop()
        return self._own_loop

    # -- which message, which connection ---------------------------------------------------------

    def take(self, *, is_early: bool) -> Envelope | None:
        """The next message for a connection that asks; None if there is none, or not yet.

        Early, before the verdict on its last message, a connection gets one only where more
        messages wait than there are connections: another would be free for it sooner.
        """
        if not self._waiting or (is_early and len(self._waiting) < len(self._lines)):
            return None
        if self._rate is not None:
            if self._wait_seconds() > 0:
                return None
            self._rate.spend()
        return self._waiting.popleft()

    def _wait_seconds(self) -> float:
        """How long the rate lets nobody send; 0 without a rate."""
        return self._rate.wait_seconds(len(self._waiting)) if self._rate is not None else 0.0

    def spread(self) -> None:
        """Give what waits to resting connections, and open others for the rest."""
        while self._waiting:
            pause = self._wait_seconds()
            if pause > 0:
                if self._timer is None:
                    self._timer = self._loop.call_later(pause, self._spread_later)
                return
            line = self._pop_resting()
            if line is not None:
                line.begin()
            elif self._may_open():
                envelope = self.take(is_early=False)
                if envelope is not None:
                    self._open_for(envelope)
            else:
                return

    def _spread_later(self) -> None:
        self._timer = None
        self.spread()

    def _may_open(self) -> bool:
        if self._lines and time.monotonic() < self._full_until:
            return False
        return len(self._lines) + len(self._openings) < self._limit

    def _pop_resting(self) -> SmtpConnection | None:
        while self._resting:
            line = self._resting.pop()
            if not (line.is_stale or self._relays.is_resting(line.relay)):
                return line
            line.leave()
        return None

    def rest(self, line: SmtpConnection) -> None:
        self._resting.append(line)
        self._calmer.set()
        if self._waiting:
            self._loop.call_soon(self.spread)

    def forget(self, line: SmtpConnection) -> None:
        """A connection is no more."""
        self._lines.discard(line)
        if line in self._resting:
            self._resting.remove(line)
        self._calmer.set()
        if self._waiting:
            self._loop.call_soon(self.spread)

    def is_resting(self, relay: int) -> bool:
        return self._relays.is_resting(relay)

    def land(
        self,
        envelope: Envelope,
        outcome: SendOutcome,
        relay: int | None = None,
        *,
        was_kept: bool = False,
    ) -> None:
        """Keep what came of a message, and learn how the relay fares that it was given to.

        A kept connection may have been closed at the other end meanwhile (RFC 5321 §3.8). Nothing
        of the message was said to anybody yet, so one try on a fresh connection is no second copy.
        """
        is_stale = was_kept and outcome.phase is Phase.MAIL and outcome.code in {0, 421}
        if is_stale and envelope.number not in self._tried:
            self._tried.add(envelope.number)
            self._open_for(envelope)
            return
        if relay is not None:
            self._relays.hear(relay, outcome)
            outcome = SendOutcome(
                outcome.phase, outcome.code, outcome.text, self._relays.name(relay)
            )
        self._tried.discard(envelope.number)
        self._landed[envelope.number] = outcome
        if len(self._landed) >= self._enough:
            self._loop.stop()

    # -- opening and closing ---------------------------------------------------------------------

    def _open_for(self, envelope: Envelope) -> None:
        task = self._loop.create_task(self._open_line(envelope))
        self._openings.add(task)
        task.add_done_callback(self._end_opening)

    def _end_opening(self, task: asyncio.Task[None]) -> None:
        """Whoever waited behind a connection that could not be opened has nobody else to start it."""
        self._openings.discard(task)
        if self._waiting:
            self._loop.call_soon(self.spread)

    async def _open_line(self, envelope: Envelope) -> None:
        busy = frozenset(line.relay for line in self._lines)
        try:
            client, relay = await self._relays.connect(busy, self._limits.command_seconds)
            line = SmtpConnection(self, client, relay, envelope, self._limits)
        except asyncio.CancelledError:
            self.land(envelope, _TAKEN_BACK)
            raise
        except (aiosmtplib.SMTPException, OSError) as error:
            if self._lines and envelope.number not in self._tried:
                # The relay wants no more connections of us than it has: those will do.
                self._full_until = time.monotonic() + FULL_SECONDS
                self._waiting.appendleft(envelope)
                self._loop.call_soon(self.spread)
                return
            outcome = SendOutcome(Phase.CONNECT, getattr(error, "code", 0) or 0, words_of(error))
            self.land(envelope, outcome)
            return
        self._lines.add(line)
        line.begin()

    async def _quit_all(self) -> None:
        await self._stop_opening()
        lines = list(self._lines)
        for line in lines:
            line.leave()
        gone = [line.is_gone for line in lines]
        if gone:
            await asyncio.wait(gone, timeout=5)
        if self._timer is not None:
            self._timer.cancel()
