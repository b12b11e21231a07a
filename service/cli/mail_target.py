"""The target of a command's mail: the operator's relay, or a development mailbox of its own.

Without a relay, every process that sends runs a mailbox on a free loopback port; all of them write
to one Maildir, a format that is safe with concurrent writers.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from service.cli.context import CommandContext
from service.messages.identity import make_sending_renderer
from service.platform.dev_mailbox import Mailbox
from service.platform.settings.settings import Settings
from service.sending.sender import Sender
from service.sending.smtp.rate_limit import open_rate
from service.sending.smtp.transport import SmtpTransport


@contextmanager
def development_mailbox(settings: Settings) -> Iterator[Settings]:
    """Yield the settings with a relay that answers: the one that is set, or a mailbox run here."""
    if settings.smtp_url:
        yield settings
        return
    mailbox = Mailbox(settings.data_dir / "mailbox")
    mailbox.start(host="127.0.0.1", port=0)
    try:
        url = f"smtp://127.0.0.1:{mailbox.port}?starttls=off"
        yield settings.model_copy(update={"mailbox_url": url})
    finally:
        mailbox.stop()


@contextmanager
def open_sender(command: CommandContext) -> Iterator[Sender]:
    """Yield a sender for one command."""
    with development_mailbox(command.settings) as settings:
        transport = SmtpTransport(
            settings.relays, connections=settings.send_connections, rate=open_rate(settings)
        )
        try:
            yield Sender(
                command.sessions,
                settings,
                make_sending_renderer(settings),
                transport,
                command.clock,
            )
        finally:
            transport.close()
