"""Messages onto the wire: the one asynchronous file. Connections are kept and used again.

aiosmtplib does EHLO, STARTTLS, AUTH and the commands; what is ours is knowing for each message how
far it got (`SendOutcome.phase`), since that decides whether it may ever be sent again.
Timeouts are those of RFC 5321 §4.5.3.2: five minutes a command, ten after the final dot.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import aiosmtplib
from aiosmtplib.protocol import SMTPProtocol, normalize_message_line_endings

from service.config import SmtpRelay
from service.domain.delivery import Phase, SendOutcome

COMMAND_SECONDS = 300.0
FINAL_DOT_SECONDS = 600.0

# A connection is replaced after this many messages, and not trusted after this many idle seconds.
MESSAGES_PER_CONNECTION = 500
IDLE_SECONDS = 30.0

_DOT_AT_START = re.compile(rb"(?m)^\.")


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message for one recipient. `number` is the delivery's id; `payload` has CRLF ends."""

    number: int
    sender: str
    recipient: str
    payload: bytes


class Transport(Protocol):
    """What puts messages on the wire; the SMTP one below, and the one that only counts in benches."""

    def send(self, envelopes: Sequence[Envelope]) -> dict[int, SendOutcome]:
        """Try each envelope once; every number comes back with its outcome."""

    def close(self) -> None: ...


class _Connection:
    """One SMTP connection with its age in messages and the time it was last used."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self.client = client
        self.message_count = 0
        self.used_at = time.monotonic()

    @property
    def is_worn(self) -> bool:
        idle = time.monotonic() - self.used_at
        return self.message_count >= MESSAGES_PER_CONNECTION or idle > IDLE_SECONDS


class SmtpTransport:
    """A pool of connections to the first relay that answers, driven window by window.

    `rate` is messages a second for this process, None for as fast as the relay answers.
    """

    def __init__(
        self, relays: Sequence[SmtpRelay], *, connections: int = 10, rate: float | None = None
    ) -> None:
        self._relays = tuple(relays)
        self._limit = connections
        self._gap_seconds = 1 / rate if rate else 0.0
        self._next_slot = 0.0
        self._idle: list[_Connection] = []
        self._runner = asyncio.Runner()

    def send(self, envelopes: Sequence[Envelope]) -> dict[int, SendOutcome]:
        return self._runner.run(self._send_all(envelopes))

    def close(self) -> None:
        self._runner.run(self._quit_all())
        self._runner.close()

    async def _send_all(self, envelopes: Sequence[Envelope]) -> dict[int, SendOutcome]:
        waiting = list(reversed(envelopes))
        outcomes: dict[int, SendOutcome] = {}

        async def work() -> None:
            while waiting:
                envelope = waiting.pop()
                await self._wait_for_slot()
                outcomes[envelope.number] = await self._send_one(envelope)

        await asyncio.gather(*(work() for _ in range(min(self._limit, len(envelopes)))))
        return outcomes

    async def _wait_for_slot(self) -> None:
        if not self._gap_seconds:
            return
        slot = max(self._next_slot, time.monotonic())
        self._next_slot = slot + self._gap_seconds
        await asyncio.sleep(slot - time.monotonic())

    async def _send_one(self, envelope: Envelope) -> SendOutcome:
        connection = self._take_idle()
        if connection is not None:
            outcome = await self._transact(connection, envelope)
            # A kept connection may have been closed at the other end meanwhile (RFC 5321 §3.8: 421
            # may come at any time). Nothing of the message was said yet, so one try on a fresh
            # connection is not a second copy.
            if outcome.phase is not Phase.MAIL or outcome.code not in {0, 421}:
                return outcome
        try:
            connection = await self._connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            return SendOutcome(Phase.CONNECT, getattr(error, "code", 0) or 0, _words(error))
        return await self._transact(connection, envelope)

    async def _transact(self, connection: _Connection, envelope: Envelope) -> SendOutcome:
        """One mail transaction, and the connection back into the pool if it is still good."""
        client, phase = connection.client, Phase.MAIL
        is_utf8 = not envelope.recipient.isascii()
        try:
            if is_utf8 and not await _takes_utf8(client):
                self._idle.append(connection)
                return SendOutcome(Phase.RCPT, 553, "5.6.7 the relay takes no such address")
            await client.mail(envelope.sender, options=["SMTPUTF8"] if is_utf8 else None)
            phase = Phase.RCPT
            await client.rcpt(envelope.recipient, encoding="utf-8" if is_utf8 else "ascii")
            protocol = await _begin_data(client)
            _write_message(protocol, envelope.payload)
            phase = Phase.DATA
            reply = await _read_verdict(protocol)
        except aiosmtplib.SMTPResponseException as error:
            await self._recover(connection, error.code)
            answered = Phase.REPLIED if phase is Phase.DATA else phase
            return SendOutcome(answered, error.code, _one_line(error.message))
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            return SendOutcome(phase, 0, _words(error))
        except ValueError as error:
            # An address that no command can hold: refused here, before it was said.
            await self._recover(connection, 0)
            return SendOutcome(phase, 501, f"5.5.4 {_words(error)}")
        connection.message_count += 1
        self._give_back(connection)
        return SendOutcome(Phase.REPLIED, reply.code, _one_line(reply.message))

    async def _connect(self) -> _Connection:
        """A connection to the first relay that takes one; raises the last relay's error."""
        for relay in self._relays[:-1]:
            try:
                return await _open(relay)
            except (aiosmtplib.SMTPException, OSError):
                continue
        return await _open(self._relays[-1])

    def _take_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.client.is_connected and not connection.is_worn:
                return connection
            connection.client.close()
        return None

    def _give_back(self, connection: _Connection) -> None:
        connection.used_at = time.monotonic()
        self._idle.append(connection)

    async def _recover(self, connection: _Connection, code: int) -> None:
        """After a refusal: RSET and keep the connection, or let it go if that fails or on 421."""
        try:
            if code == 421:
                raise aiosmtplib.SMTPServerDisconnected("the relay is closing")
            await connection.client.rset()
        except (aiosmtplib.SMTPException, OSError):
            connection.client.close()
        else:
            self._give_back(connection)

    async def _quit_all(self) -> None:
        for connection in self._idle:
            try:
                await connection.client.quit(timeout=5)
            except (aiosmtplib.SMTPException, OSError):
                connection.client.close()
        self._idle.clear()


async def _open(relay: SmtpRelay) -> _Connection:
    client = aiosmtplib.SMTP(
        hostname=relay.host,
        port=relay.port,
        username=relay.username or None,
        password=relay.password or None,
        use_tls=relay.use_tls,
        # None lets aiosmtplib upgrade where the server offers it; True fails rather than go on
        # in the clear.
        start_tls={"required": True, "off": False, "auto": None}[relay.starttls],
        timeout=COMMAND_SECONDS,
    )
    await client.connect()
    return _Connection(client)


async def _takes_utf8(client: aiosmtplib.SMTP) -> bool:
    if client.is_ehlo_or_helo_needed:
        await client.ehlo()
    return client.supports_extension("smtputf8")


async def _begin_data(client: aiosmtplib.SMTP) -> SMTPProtocol:
    """Say DATA. Apart from the message, because until the 354 it was certainly not accepted."""
    reply = await client.execute_command(b"DATA")
    if reply.code != 354:
        raise aiosmtplib.SMTPDataError(reply.code, reply.message)
    if client.protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("the connection was lost after DATA")
    return client.protocol


def _write_message(protocol: SMTPProtocol, payload: bytes) -> None:
    """The message with dots doubled at line starts (RFC 5321 §4.5.2), and the final dot."""
    lines = normalize_message_line_endings(payload)
    protocol.write(_DOT_AT_START.sub(b"..", lines) + b".\r\n")


async def _read_verdict(protocol: SMTPProtocol) -> aiosmtplib.SMTPResponse:
    """The reply to the message. A refusal is raised as `SMTPDataError`.

    Rubbish is no verdict: it is raised like a lost connection, and the message stays in doubt.
    """
    try:
        reply = await protocol.read_response(timeout=FINAL_DOT_SECONDS)
    except aiosmtplib.SMTPResponseException as error:
        raise aiosmtplib.SMTPServerDisconnected(error.message) from error
    if reply.code // 100 in {4, 5}:
        raise aiosmtplib.SMTPDataError(reply.code, reply.message)
    if reply.code // 100 != 2:
        raise aiosmtplib.SMTPServerDisconnected(f"no verdict: {reply.code} {reply.message}")
    return reply


def _one_line(message: str) -> str:
    return " ".join(message.split())


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {_one_line(str(error))}".rstrip(": ")
