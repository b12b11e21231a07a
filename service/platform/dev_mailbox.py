"""The development mailbox: a real SMTP server on loopback that stores every message in a Maildir.

It takes the place of a mail provider, so sending needs no special case: `Mailbox` accepts mail,
`list_messages` and `load_message` read it back. Files hold the message as it was on the wire (with
CRLF, so that signatures can be verified) below two added headers with the envelope. No mail leaves
this machine.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.parser import HeaderParser
from itertools import count
from pathlib import Path
from time import time_ns
from typing import Final, Self

from aiosmtpd.smtp import SMTP, Envelope, Session

from service.platform.smtp_server import SmtpServer

SIZE_LIMIT_BYTES: Final = 10_000_000
_FOLDERS: Final = ("tmp", "new", "cur")
_READABLE_FOLDERS: Final = ("new", "cur")
# A Maildir unique name without flags: no slash and no leading dot, so no path traversal.
_KEY: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=,+-]{0,200}", re.ASCII)
_HEAD_BYTES: Final = 65_536
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class NoSuchMessage(LookupError):
    """There is no message with this key in the mailbox, or the key is malformed."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message in the Maildir; `to` and `sender` are the envelope's, `size` is in bytes."""

    key: str
    to: str
    sender: str
    subject: str
    received_at: datetime
    size: int


class Mailbox(SmtpServer):
    """An SMTP server that stores mail in one Maildir."""

    def __init__(self, maildir: Path) -> None:
        super().__init__(
            _MaildirHandler(maildir),
            ident="Paperboy development mailbox",
            data_size_limit=SIZE_LIMIT_BYTES,
        )
        self.maildir = maildir

    def start(self, host: str = "127.0.0.1", port: int = 0) -> Self:
        """Create the Maildir if it is missing, and listen. Raises `CannotListen`."""
        for folder in _FOLDERS:
            (self.maildir / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        return super().start(host, port)


def list_messages(maildir: Path, *, limit: int | None = None) -> list[StoredMessage]:
    """Return the stored messages, newest first; only the headers of the first `limit` are read."""
    found = sorted(_entries(maildir), key=lambda pair: (pair[1].st_mtime_ns, pair[0]), reverse=True)
    messages = [_stored_message(path, status) for path, status in found[:limit]]
    return [message for message in messages if message is not None]


def load_message(maildir: Path, key: str) -> bytes:
    """Return the whole message, envelope headers first. Raises NoSuchMessage."""
    if not _KEY.fullmatch(key):
        raise NoSuchMessage("not the key of a message")
    for folder in _READABLE_FOLDERS:
        # A mail reader moves messages to `cur` and appends its flags after a colon.
        for path in (maildir / folder / key, *(maildir / folder).glob(f"{key}:*")):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                continue
    raise NoSuchMessage(f"no message {key}")


class _MaildirHandler:
    """The aiosmtpd handler: called once per message, on the server's thread."""

    def __init__(self, maildir: Path) -> None:
        self._maildir = maildir
        self._numbers = count()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002 - the name and arguments aiosmtpd calls it with
        """Store the message; reply 250 only when the file has its final name."""
        content = envelope.original_content or b""
        key = self._next_key()
        temporary = self._maildir / "tmp" / key
        try:
            temporary.write_bytes(_envelope_headers(envelope) + content)
            temporary.rename(self._maildir / "new" / key)
        except OSError:
            # A full disk is a temporary error; aiosmtpd's default reply is a permanent 500.
            return "452 4.3.1 cannot keep the message now"
        return f"250 2.0.0 kept as {key}"

    def _next_key(self) -> str:
        """Return seconds, microseconds, process id and a counter: unique without coordination."""
        seconds, rest = divmod(time_ns(), 10**9)
        return f"{seconds}.M{rest // 1000:06d}P{os.getpid()}Q{next(self._numbers):08d}"


def _envelope_headers(envelope: Envelope) -> bytes:
    """Return UTF-8 headers, as SMTPUTF8 allows; control characters cannot inject a header."""
    # aiosmtpd keeps the null sender of a bounce as it was received, in its brackets.
    mail_from = "" if envelope.mail_from == "<>" else envelope.mail_from
    sender = _CONTROL.sub(" ", f"X-Envelope-From: {mail_from}")
    receivers = _CONTROL.sub(" ", f"X-Envelope-To: {', '.join(envelope.rcpt_tos)}")
    return f"{sender}\r\n{receivers}\r\n".encode("utf-8", "replace")


def _entries(maildir: Path) -> Iterator[tuple[Path, os.stat_result]]:
    with ExitStack() as open_folders:
        for folder in _READABLE_FOLDERS:
            if not (maildir / folder).is_dir():
                continue
            for entry in open_folders.enter_context(os.scandir(maildir / folder)):
                if _KEY.fullmatch(entry.name.partition(":")[0]):
                    try:
                        yield Path(entry.path), entry.stat()
                    except FileNotFoundError:
                        continue  # moved or deleted by a mail reader since the scan


def _stored_message(path: Path, status: os.stat_result) -> StoredMessage | None:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except FileNotFoundError:
        return None
    # Decoded first, because BytesParser expects ASCII and addresses may be UTF-8 here.
    text = _HEAD_END.split(head, maxsplit=1)[0].decode("utf-8", "replace")
    headers = HeaderParser(policy=policy.default).parsestr(text)
    return StoredMessage(
        key=path.name.partition(":")[0],
        to=str(headers.get("X-Envelope-To", "")),
        sender=str(headers.get("X-Envelope-From", "")),
        subject=str(headers.get("Subject", "")),
        received_at=datetime.fromtimestamp(status.st_mtime, UTC),
        size=status.st_size,
    )
