"""The siege's relay: it writes each accepted mail down before it answers, and returns some as bounces.

    python -m siege.relay HOME

Prints its port. `HOME/sent` gets one line a digest: recipient, seconds, and `HOME/strangers` one for each mail to anybody who
asked for none. Mails to `visitor…` are kept in
`HOME/mails`. A mail to `gone…` comes back into the Maildir `HOME/bounces` as a delivery status notification.
"""

import asyncio
import sys
import time
from email import message_from_bytes, policy
from itertools import count
from pathlib import Path
from typing import Any

from support.mail.bounce_mails import dsn, refused

from service.platform.smtp_server import SmtpServer

numbers = count(1)


class Relay:
    """Accepts all."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._sent = (home / "sent").open("a", buffering=1)
        self._strangers = (home / "strangers").open("a", buffering=1)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        recipient = envelope.rcpt_tos[0]
        name = recipient.partition("@")[0]
        if name.startswith("visitor"):
            draft = self._home / "mails" / f".{name}"
            draft.write_bytes(envelope.content)
            draft.rename(self._home / "mails" / f"{name}.{next(numbers)}")
        elif name.startswith(("subscriber", "gone")):
            if name.startswith("gone"):
                self._return(recipient, envelope)
            self._sent.write(f"{recipient} {time.time()}\n")
        else:
            self._strangers.write(f"{recipient}\n")
        return "250 2.0.0 taken"

    def _return(self, recipient: str, envelope: Any) -> None:
        message = message_from_bytes(envelope.content, policy=policy.default)
        number = next(numbers)
        notice = dsn(
            refused(recipient),
            to=envelope.mail_from,
            message_id=f"<returned-{number}@mx.example>",
            original_id=str(message["Message-ID"]),
        )
        deliver_to_maildir(self._home / "bounces", notice, f"returned{number}")


def deliver_to_maildir(maildir: Path, content: bytes, name: str) -> None:
    """Write it to `tmp` and rename it to `new`, so that a half-written mail is never read."""
    (maildir / "tmp" / name).write_bytes(content)
    (maildir / "tmp" / name).rename(maildir / "new" / name)


def main() -> None:
    home = Path(sys.argv[1])
    server = SmtpServer(Relay(home), hostname="relay.example.org")
    print(server.start(port=0).port, flush=True)
    asyncio.run(asyncio.Event().wait())


if __name__ == "__main__":
    main()
