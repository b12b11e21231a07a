"""Messages onto the wire: the one asynchronous file. Connections are kept and used again.

aiosmtplib connects and does EHLO, STARTTLS, TLS and AUTH; from then on a `Dialogue` decides what is
said, since for each message we must know how far it got (`SendOutcome.phase`): that decides
whether it may ever be sent again. Timeouts are those of RFC 5321 §4.5.3.2.

The loop runs only while somebody is in `turn`, on the caller's own thread: what builds messages and
what sends them take turns, and neither waits for the other's lock.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, cast

import aiosmtplib

from service.config import SmtpRelay
from service.domain.delivery import Phase, SendOutcome
from service.mail.connecting import RelayPool, RelayTrouble, words_of
from service.mail.dialogue import Awaited, Dialogue, Envelope
from service.mail.rates import SendRate

__all__ = ["Envelope", "SmtpTransport", "Transport"]

COMMAND_SECONDS = 300.0
DATA_SECONDS = 120.0
BLOCK_SECONDS = 180.0
FINAL_DOT_SECONDS = 600.0

# A connection is replaced after this many messages. After resting for CHECK_SECONDS it must answer
# a RSET before it is trusted with a message, and after IDLE_SECONDS it is not trusted at all.
MESSAGES_PER_CONNECTION = 500
CHECK_SECONDS = 5.0
IDLE_SECONDS = 30.0
# How long a relay that refused one more connection is not asked for another.
FULL_SECONDS = 30.0
# How often an open connection looks at the time.
_TICK_SECONDS = 1.0
# A whole digest fits, so that it is handed over in one call.
_SEND_BUFFER = 262_144

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

    def take_troubles(self) -> list[RelayTrouble]:
        """What the operator should know of the relays, each thing once."""

    @property
    def is_away(self) -> bool:
        """Whether nothing can be sent now, so that nothing need be begun."""

    def close(self) -> None: ...


class SmtpTransport:
    """A pool of connections to the relays, shared among them by their weights.

    `rate` is this process's part in the common rate, None for as fast as the relays answer.
    """

    def __init__(
        self, relays: Sequence[SmtpRelay], *, connections: int = 10, rate: SendRate | None = None
    ) -> None:
        self._relays = RelayPool(relays)
        self._limit = connections
        self._rate = rate
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[Envelope] = deque()
        self._lines: set[_Line] = set()
        self._resting: list[_Line] = []
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

    def take_troubles(self) -> list[RelayTrouble]:
        return self._relays.take_troubles()

    @property
    def is_away(self) -> bool:
        return self._relays.is_away

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

    def _pop_resting(self) -> _Line | None:
        while self._resting:
            line = self._resting.pop()
            if not (line.is_stale or self._relays.is_resting(line.relay)):
                return line
            line.leave()
        return None

    def rest(self, line: _Line) -> None:
        self._resting.append(line)
        self._calmer.set()
        if self._waiting:
            self._loop.call_soon(self.spread)

    def forget(self, line: _Line) -> None:
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
            outcome = replace(outcome, relay=self._relays.name(relay))
        self._tried.discard(envelope.number)
        self._landed[envelope.number] = outcome
        if len(self._landed) >= self._enough:
            self._loop.stop()

    # -- opening and closing ---------------------------------------------------------------------

    def _open_for(self, envelope: Envelope) -> None:
        task = self._loop.create_task(self._open_line(envelope))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    async def _open_line(self, envelope: Envelope) -> None:
        busy = frozenset(line.relay for line in self._lines)
        try:
            client, relay = await self._relays.connect(busy, COMMAND_SECONDS)
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
        line = _Line(self, client, relay, envelope)
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


class _Line(asyncio.Protocol):
    """One connection after its login: bytes between the socket and the dialogue, and deadlines."""

    def __init__(
        self, pool: SmtpTransport, client: aiosmtplib.SMTP, relay: int, first: Envelope
    ) -> None:
        if client.protocol is None or client.protocol.transport is None:
            raise aiosmtplib.SMTPServerDisconnected("the connection was lost after its login")
        self._pool = pool
        self.relay = relay
        self._first: Envelope | None = first
        self._loop = asyncio.get_running_loop()
        self._wire = cast("asyncio.Transport", client.protocol.transport)
        self._wire.set_protocol(self)
        _widen(self._wire)
        self._dialogue = Dialogue(
            self._next,
            is_pipelined=client.supports_extension("pipelining"),
            takes_utf8=client.supports_extension("smtputf8"),
        )
        self._message_count = 0
        self._rested_at = self._loop.time()
        self._deadline = 0.0
        self._unsent = 0
        self._tick: asyncio.TimerHandle | None = None
        self.is_gone: asyncio.Future[None] = self._loop.create_future()

    @property
    def is_stale(self) -> bool:
        return self._wire.is_closing() or self._loop.time() - self._rested_at > IDLE_SECONDS

    def begin(self) -> None:
        """Say the first message, or the next that waits."""
        rested = self._loop.time() - self._rested_at
        self._dialogue.begin(is_checked=self._first is None and rested > CHECK_SECONDS)
        self._go_on()

    def leave(self) -> None:
        """Say goodbye and close; whoever is in the middle of a message just closes."""
        self._dialogue.lose("we closed the connection")
        if not self._wire.is_closing():
            self._wire.write(b"QUIT\r\n")
        self._go_on()

    def data_received(self, data: bytes) -> None:
        self._dialogue.hear(data)
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._dialogue.lose(words_of(exc) if exc else "the connection was lost")
        self._go_on()
        self._pool.forget(self)
        if not self.is_gone.done():
            self.is_gone.set_result(None)

    def _next(self, is_early: bool) -> Envelope | None:  # the dialogue asks so
        envelope, self._first = self._first, None
        is_worn = self._message_count >= MESSAGES_PER_CONNECTION
        if envelope is None and not (is_worn or self._pool.is_resting(self.relay)):
            envelope = self._pool.take(is_early=is_early)
        self._message_count += envelope is not None
        return envelope

    def _go_on(self) -> None:
        """Write what is to be said, hand over what landed, and wait for the next reply or rest."""
        dialogue = self._dialogue
        if dialogue.said:
            if not self._wire.is_closing():
                said = dialogue.said
                self._wire.write(said[0] if len(said) == 1 else b"".join(said))
            dialogue.said = []
        landed, dialogue.landed = dialogue.landed, []
        for envelope, outcome in landed:
            self._pool.land(envelope, outcome, self.relay, was_kept=self._message_count > 1)
        if dialogue.is_over:
            self._wire.close()
        elif dialogue.awaited is not None:
            self._await_reply(dialogue.awaited)
        else:
            self._rest()

    def _rest(self) -> None:
        self._rested_at = self._loop.time()
        if self._message_count >= MESSAGES_PER_CONNECTION:
            self.leave()
        else:
            self._pool.rest(self)

    def _await_reply(self, awaited: Awaited) -> None:
        self._unsent = self._wire.get_write_buffer_size()
        self._deadline = self._loop.time() + _patience(awaited, is_unsent=self._unsent > 0)
        if self._tick is None:
            self._tick = self._loop.call_later(_tick_seconds(), self._look_at_time)

    def _look_at_time(self) -> None:
        """Once a second while a reply is awaited: is the other side still there?"""
        self._tick = None
        awaited = self._dialogue.awaited
        if awaited is None or self._dialogue.is_over:
            return
        if self._unsent:
            unsent = self._wire.get_write_buffer_size()
            if unsent < self._unsent:
                self._await_reply(awaited)
        if self._loop.time() < self._deadline:
            if self._tick is None:
                self._tick = self._loop.call_later(_tick_seconds(), self._look_at_time)
            return
        self._dialogue.lose(f"no reply to {awaited.name} in time")
        self._wire.abort()
        self._go_on()


def _patience(awaited: Awaited, *, is_unsent: bool) -> float:
    """How long a reply may take, in seconds; while a message is still going out, how long nothing
    of it may be taken."""
    if is_unsent:
        return BLOCK_SECONDS
    if awaited is Awaited.DOT:
        return FINAL_DOT_SECONDS
    return DATA_SECONDS if awaited is Awaited.DATA else COMMAND_SECONDS


def _tick_seconds() -> float:
    return min(_TICK_SECONDS, COMMAND_SECONDS / 4, FINAL_DOT_SECONDS / 4)


def _widen(wire: asyncio.Transport) -> None:
    """Let a whole digest go into the socket in one call."""
    sock = wire.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
