"""One open connection to a relay: bytes between the socket and the dialogue, and its deadlines.

Timeouts are those of RFC 5321 §4.5.3.2.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol, cast

import aiosmtplib

from service.deliveries.domain.states import SendOutcome
from service.messages.mime.mime import Envelope
from service.sending.smtp.protocol import Awaited, Dialogue
from service.sending.smtp.relay_pool import words_of

COMMAND_SECONDS = 300.0
DATA_SECONDS = 120.0
BLOCK_SECONDS = 180.0
FINAL_DOT_SECONDS = 600.0

# A connection is replaced after this many messages. After resting for CHECK_SECONDS it must answer
# a RSET before it is trusted with a message, and after IDLE_SECONDS it is not trusted at all.
MESSAGES_PER_CONNECTION = 500
CHECK_SECONDS = 5.0
IDLE_SECONDS = 30.0
# How often an open connection looks at the time.
_TICK_SECONDS = 1.0
# A whole digest fits, so that it is handed over in one call.
_SEND_BUFFER = 262_144


class Pool(Protocol):
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

    def rest(self, line: Line) -> None: ...

    def forget(self, line: Line) -> None: ...


class Line(asyncio.Protocol):
    """One connection after its login: bytes between the socket and the dialogue, and deadlines."""

    def __init__(self, pool: Pool, client: aiosmtplib.SMTP, relay: int, first: Envelope) -> None:
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
