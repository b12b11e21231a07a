"""A real SMTP server on loopback that stores messages and refuses those that a test selects."""

# aiosmtpd calls these handlers by such names and with all of these arguments.
# ruff: noqa: N802, ARG002

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, NamedTuple

from aiosmtpd.smtp import SMTP, Envelope, Session

from service.platform.smtp_server import SmtpServer

# What a handler returns to close the connection without a reply.
DROP = "drop"

Answer = Callable[[str], str | None]


class Received(NamedTuple):
    envelope: Envelope
    message: EmailMessage


def _accept(_address: str) -> str | None:
    return None


class SmtpSink:
    """Keeps messages; `on_mail`, `on_rcpt`, `on_data` may answer otherwise.

    Each takes the address (sender, recipient, first recipient) and returns None to accept, a
    reply such as `"451 4.7.1 later"`, or `DROP` to close the connection without a word.
    `messages` are those answered with 250; `seen` are all whose data came in whole, also those
    refused or dropped after the final dot. `delay_seconds` holds back the reply to the data.
    """

    def __init__(self) -> None:
        self.messages: list[Received] = []
        self.seen: list[Received] = []
        self.connection_count = 0
        self.on_mail: Answer = _accept
        self.on_rcpt: Answer = _accept
        self.on_data: Answer = _accept
        self.delay_seconds = 0.0
        self._changed = threading.Condition()
        self._server = SmtpServer(self, hostname="mail.paperboy.example")
        self._port = 0

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        """The port it listens on, or last did: it uses the same one after a restart."""
        return self._port

    @property
    def url(self) -> str:
        """The URL for `SMTP_URL`."""
        return f"smtp://{self.host}:{self.port}?starttls=off"

    def start(self) -> None:
        self._port = self._server.start(port=self._port).port

    def stop(self) -> None:
        self._server.stop()

    def recipients(self) -> list[str]:
        """The recipients of accepted messages, in order, repeated if sent twice."""
        return [address for received in self.messages for address in received.envelope.rcpt_tos]

    def wait_for(self, count: int, seconds: float = 10.0) -> list[Received]:
        """Return the accepted messages once there are `count`. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.messages) >= count, seconds):
                raise TimeoutError(f"{len(self.messages)} of {count} messages after {seconds} s")
            return list(self.messages)

    # aiosmtpd finds these by name.

    async def handle_EHLO(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        session.host_name = hostname
        self.connection_count += 1
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._reply(server, self.on_mail(address))
        if reply.startswith("2"):
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return reply

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._reply(server, self.on_rcpt(address))
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        message = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        assert isinstance(message, EmailMessage)
        received = Received(envelope, message)
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        reply = self._reply(server, self.on_data(envelope.rcpt_tos[0]))
        with self._changed:
            self.seen.append(received)
            if reply.startswith("2"):
                self.messages.append(received)
            self._changed.notify_all()
        return reply

    def _reply(self, server: SMTP, answer: str | None) -> str:
        if answer == DROP:
            transport: Any = server.transport
            transport.abort()
            return "421 dropped"
        return answer or "250 2.0.0 OK"


def free_port() -> int:
    """Return a loopback port that was free a moment ago, for servers that do not support port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(is_true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Return as soon as `is_true()`. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"still not so after {seconds} s")
        time.sleep(0.02)
