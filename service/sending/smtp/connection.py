"""One open connection to a relay: moves bytes between socket and protocol, and times out."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol, cast

import aiosmtplib

from service.deliveries.domain.states import SendOutcome
from service.messages.mime.mime import Envelope
from service.sending.smtp.limits import SmtpLimits
from service.sending.smtp.protocol import Awaited, SmtpClientProtocol
from service.sending.smtp.relay_pool import describe_error

# How often a connection that awaits a reply checks whether its message hangs, and its deadline.
_TICK_SECONDS = 0.1
# A whole digest fits, so that it goes to the kernel in one call.
_SEND_BUFFER = 262_144


class MessageSource(Protocol):
    """The pool as a connection sees it: gives messages, takes outcomes."""

    def take(self, *, is_early: bool) -> Envelope | None: ...

    def may_reuse(self, relay: int) -> bool: ...

    def reply_count(self, relay: int) -> int: ...

    def begin_hanging(
        self, connection: SmtpConnection, envelope: Envelope, opened: Envelope | None
    ) -> None: ...

    def end_hanging(self, connection: SmtpConnection) -> None: ...

    @property
    def most_overtaking(self) -> int: ...

    def land(
        self,
        envelope: Envelope,
        outcome: SendOutcome,
        relay: int | None = None,
        *,
        was_kept: bool = False,
    ) -> None: ...

    def release(self, connection: SmtpConnection) -> None: ...

    def forget(self, connection: SmtpConnection) -> None: ...


class SmtpConnection(asyncio.Protocol):
    """One connection after its login: moves bytes between socket and protocol, and times out."""

    def __init__(
        self,
        pool: MessageSource,
        client: aiosmtplib.SMTP,
        relay: int,
        first: Envelope,
        limits: SmtpLimits,
    ) -> None:
        if client.protocol is None or client.protocol.transport is None:
            raise aiosmtplib.SMTPServerDisconnected("the connection was lost after its login")
        self._pool = pool
        self._limits = limits
        self._timeouts = _timeouts(limits)
        self._tick_seconds = min(
            _TICK_SECONDS,
            limits.command_seconds / 4,
            limits.final_dot_seconds / 4,
            limits.hanging_seconds / 4,
        )
        self.relay = relay
        self._first: Envelope | None = first
        self._loop = asyncio.get_running_loop()
        self._wire = cast("asyncio.Transport", client.protocol.transport)
        self._wire.set_protocol(self)
        _enlarge_send_buffer(self._wire)
        self._protocol = SmtpClientProtocol(
            self._next,
            is_pipelined=client.supports_extension("pipelining"),
            takes_utf8=client.supports_extension("smtputf8"),
        )
        self._message_count = 0
        self._idle_since = self._loop.time()
        # When we began to wait for the next reply, how many final replies the relay had given by
        # then, and until when we wait.
        self._waits_since = 0.0
        self._replies_before = 0
        self._deadline = 0.0
        self._is_hanging = False
        self._unsent = 0
        self._tick: asyncio.TimerHandle | None = None
        self.is_gone: asyncio.Future[None] = self._loop.create_future()

    @property
    def is_closing(self) -> bool:
        return self._wire.is_closing()

    @property
    def is_stale(self) -> bool:
        idle_seconds = self._loop.time() - self._idle_since
        return self.is_closing or idle_seconds > self._limits.idle_seconds

    def start(self) -> None:
        """Send the first message, or the next one in the queue."""
        idle_seconds = self._loop.time() - self._idle_since
        is_checked = self._first is None and idle_seconds > self._limits.check_seconds
        self._protocol.start(is_checked=is_checked)
        self._advance()

    def quit(self) -> None:
        """Send QUIT and close, even in the middle of a message."""
        self._protocol.abort("we closed the connection")
        if not self._wire.is_closing():
            self._wire.write(b"QUIT\r\n")
        self._advance()

    def data_received(self, data: bytes) -> None:
        self._end_hanging()
        self._protocol.feed(data)
        self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.abort(describe_error(exc) if exc else "the connection was lost")
        self._advance()
        self._pool.forget(self)
        if not self.is_gone.done():
            self.is_gone.set_result(None)

    def _next(self, is_early: bool) -> Envelope | None:  # called by the protocol, positionally
        envelope, self._first = self._first, None
        is_worn = self._message_count >= self._limits.messages_per_connection
        if envelope is None and not is_worn and self._pool.may_reuse(self.relay):
            envelope = self._pool.take(is_early=is_early)
        self._message_count += envelope is not None
        return envelope

    def _advance(self) -> None:
        """Write the outgoing bytes, report outcomes, and wait for the next reply or become idle."""
        protocol = self._protocol
        if protocol.outgoing:
            if not self._wire.is_closing():
                chunks = protocol.outgoing
                self._wire.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))
            protocol.outgoing = []
        landed, protocol.landed = protocol.landed, []
        if landed:
            self._end_hanging()
        for envelope, outcome in landed:
            self._pool.land(envelope, outcome, self.relay, was_kept=self._message_count > 1)
        if protocol.is_over:
            self._wire.close()
        elif protocol.awaited is not None:
            self._await_reply(protocol.awaited)
        else:
            self._go_idle()

    def _go_idle(self) -> None:
        self._idle_since = self._loop.time()
        if self._message_count >= self._limits.messages_per_connection:
            self.quit()
        else:
            self._pool.release(self)

    def _await_reply(self, awaited: Awaited) -> None:
        self._unsent = self._wire.get_write_buffer_size()
        # While a message is still going out, the timeout is for progress of the send buffer.
        seconds = self._limits.block_seconds if self._unsent else self._timeouts[awaited]
        self._waits_since = self._loop.time()
        self._replies_before = self._pool.reply_count(self.relay)
        self._deadline = self._waits_since + seconds
        if self._tick is None:
            self._tick = self._loop.call_later(self._tick_seconds, self._check_deadline)

    def _check_deadline(self) -> None:
        """Abort once the deadline is over; runs ten times a second while a reply is awaited.

        A reply that came while the loop did not run is read before, because asyncio reads sockets
        before it runs timers.
        """
        self._tick = None
        awaited = self._protocol.awaited
        if awaited is None or self._protocol.is_over:
            return
        if self._unsent:
            unsent = self._wire.get_write_buffer_size()
            if unsent < self._unsent:
                self._await_reply(awaited)
        is_silent = self._is_silent()
        envelope = self._protocol.unfinished
        if self._loop.time() >= self._deadline or (is_silent and envelope is None):
            self._protocol.abort(f"no reply to {awaited.name} in time")
            self._wire.abort()
            self._advance()
            return
        if is_silent and envelope is not None and not self._is_hanging:
            self._begin_hanging(envelope)
        if self._tick is None:
            self._tick = self._loop.call_later(self._tick_seconds, self._check_deadline)

    def _is_silent(self) -> bool:
        """Return whether the relay owes a reply for long, or answered many later messages first."""
        seconds = self._loop.time() - self._waits_since
        if seconds >= self._limits.hanging_seconds:
            return True
        overtaking = self._pool.reply_count(self.relay) - self._replies_before
        return seconds >= self._tick_seconds and overtaking >= self._pool.most_overtaking

    def _begin_hanging(self, envelope: Envelope) -> None:
        """Let the pool open another connection; it also gets the message that waits behind this."""
        self._is_hanging = True
        # There is no hurry any more, and there may be a hundred of them.
        self._tick_seconds = max(self._tick_seconds, self._limits.hanging_seconds / 4)
        opened = self._protocol.withdraw_opened()
        self._pool.begin_hanging(self, envelope, opened)

    def _end_hanging(self) -> None:
        if self._is_hanging:
            self._is_hanging = False
            self._pool.end_hanging(self)


def _timeouts(limits: SmtpLimits) -> tuple[float, ...]:
    """Return how long each reply may take, in seconds, indexed by `Awaited`."""
    others = {Awaited.DATA: limits.data_seconds, Awaited.DOT: limits.final_dot_seconds}
    return tuple(others.get(awaited, limits.command_seconds) for awaited in Awaited)


def _enlarge_send_buffer(wire: asyncio.Transport) -> None:
    """Let the socket take a whole digest in one call."""
    sock = wire.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
