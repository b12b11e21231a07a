"""A mail server for bounces and unsubscribe mails: SMTP, or LMTP behind the operator's own server.

An address that we did not sign is refused at RCPT, before any message is read. So a listener that
is open to the internet is no open relay and stores nothing from strangers, and an honest server
learns at once that the address is wrong.
"""

import asyncio
from collections.abc import Callable

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from service.bounces.inbound.mime_parts import MOST_BYTES
from service.platform.logs import get_logger
from service.platform.smtp_server import SmtpServer

# (raw message, receivers) -> None; where it raises, the message stays with the sending server.
Take = Callable[[bytes, tuple[str, ...]], None]
# A connection that is idle for this long (seconds) is closed.
_IDLE_SECONDS = 60.0
# A bounce has one receiver; RFC 5321 §4.5.3.1.8 asks for a hundred from general servers.
_MOST_RECEIVERS = 100

log = get_logger(__name__)


class BounceListener(SmtpServer):
    """The server that accepts bounces.

    `is_ours` is called for each receiver. `take` is called for each message on a thread, and the
    message is answered with 250 only after it returns.
    """

    def __init__(self, is_ours: Callable[[str], bool], take: Take, *, lmtp: bool = False) -> None:
        super().__init__(
            _Handler(is_ours, take),
            protocol=LMTP if lmtp else SMTP,
            ident="Paperboy bounces",
            data_size_limit=MOST_BYTES,
            timeout=_IDLE_SECONDS,
        )


class _Handler:
    """aiosmtpd's handler, whose methods are found by name."""

    def __init__(self, is_ours: Callable[[str], bool], take: Take) -> None:
        self._is_ours = is_ours
        self._take = take

    async def handle_RCPT(  # noqa: N802 - the name aiosmtpd calls it by
        self,
        server: SMTP,  # noqa: ARG002 - the arguments aiosmtpd calls it with
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if not self._is_ours(address):
            return "550 5.1.1 no such address"
        if len(envelope.rcpt_tos) >= _MOST_RECEIVERS:
            return "452 4.5.3 too many receivers"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002 - as above
        """Answer 250 only when the bounce is recorded; otherwise the sender retries."""
        raw = envelope.original_content or b""
        try:
            await asyncio.to_thread(self._take, raw, tuple(envelope.rcpt_tos))
        except Exception:  # such as an unavailable database: the sender keeps the message
            log.exception("bounce.not_recorded")
            return "451 4.3.0 not recorded, please try again later"
        return "250 2.0.0 recorded"
