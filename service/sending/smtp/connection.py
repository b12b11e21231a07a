"""One open connection to a relay: bytes between the socket and the dialogue, and its deadlines."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol, cast

import aiosmtplib

from service.deliveries.domain.states import SendOutcome
from service.messages.mime.mime import Envelope
from service.sending.smtp.limits import SmtpLimits
from service.sending.smtp.protocol import Awaited, SmtpClientProtocol
from service.sending.smtp.relay_pool import words_of

# How often an open connection looks at the time.
_TICK_SECONDS = 1.0
# A whole digest fits, so that it is handed over in one call.
_SEND_BUFFER = 262_144


class MessageSource(Protocol):
    """Whom a connection asks for messages and tells what came of them."""

    def take(self, *, is_early: bool) -> Envelope | None: ...

    def is_resting(self, relay: int) -> bool: ...

    def land(
        self,
        envelope: Envelope,
        outcome: SendOutcome,
        relay: int | None = None,
        *,
        was_kept: bool = False,
    ) -> None: ...

    def rest(self, line: SmtpConnection) -> None: ...

    def forget(self, line: SmtpConnection) -> None: ...


class SmtpConnection(asyncio.Protocol):
    """One connection after its login: bytes between the socket and the dialogue, and deadlines."""

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
        self._patience = _patience(limits)
        self._tick_seconds = min(
            _TICK_SECONDS, limits.command_seconds / 4, limits.final_dot_seconds / 4
        )
        self.relay = relay
        self._first: Envelope | None = first
        self._loop = asyncio.get_running_loop()
        self._wire = cast("asyncio.Transport", client.protocol.transport)
        self._wire.set_protocol(self)
        _widen(self._wire)
        self._dialogue = SmtpClientProtocol(
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
        rested = self._loop.time() - self._rested_at
        return self._wire.is_closing() or rested > self._limits.idle_seconds

    def begin(self) -> None:
        """Say the first message, or the next that waits."""
        rested = self._loop.time() - self._rested_at
        is_checked = self._first is None and rested > self._limits.check_seconds
        self._dialogue.begin(is_checked=is_checked)
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
        is_worn = self._message_count >= self._limits.messages_per_connection
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
        if self._message_count >= self._limits.messages_per_connection:
            self.leave()
        else:
            self._pool.rest(self)

    def _await_reply(self, awaited: Awaited) -> None:
        self._unsent = self._wire.get_write_buffer_size()
        # While a message is still going out, the time in which nothing of it may be taken.
        seconds = self._limits.block_seconds if self._unsent else self._patience[awaited]
        self._deadline = self._loop.time() + seconds
        if self._tick is None:
            self._tick = self._loop.call_later(self._tick_seconds, self._look_at_time)

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
                self._tick = self._loop.call_later(self._tick_seconds, self._look_at_time)
            return
        self._dialogue.lose(f"no reply to {awaited.name} in time")
        self._wire.abort()
        self._go_on()


def _patience(limits: SmtpLimits) -> tuple[float, ...]:
    """How long each reply may take, in seconds, by the number of what is awaited."""
    others = {Awaited.DATA: limits.data_seconds, Awaited.DOT: limits.final_dot_seconds}
    return tuple(others.get(one, limits.command_seconds) for one in Awaited)


def _widen(wire: asyncio.Transport) -> None:
    """Let a whole digest go into the socket in one call."""
    sock = wire.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
