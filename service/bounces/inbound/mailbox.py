"""Bounces that wait in a mailbox: a Maildir on this machine, or a folder reached by IMAP.

A message is handed out first and marked as seen afterwards. If the process dies in between, the
message comes again, and its key shows that it is recorded already. Nothing is ever deleted: a message
that cannot be parsed is moved to a quarantine, so that it is not read again.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from imapclient import DELETED, SEEN, IMAPClient
from imapclient.exceptions import IMAPClientError

from service.bounces.inbound.mime_parts import MOST_BYTES
from service.platform.logs import get_logger
from service.platform.settings.kinds import is_loopback

# A full mailbox must not occupy a worker for hours; the rest follows a minute later.
MOST_AT_ONCE = 500
_TIMEOUT_SECONDS = 30.0

# A message -> None, or the file of the quarantine that it is to be moved to.
Take = Callable[[bytes], Path | None]
QUARANTINE = "Quarantine"
# Some servers keep all folders below INBOX.
_QUARANTINES = (QUARANTINE, f"INBOX.{QUARANTINE}")

log = get_logger(__name__)


class MailboxUnavailable(Exception):
    """The mailbox cannot be read now; the text says why, without the password."""


def fetch_mailbox(address: str, take: Take) -> int:
    """Hand every unseen message to `take`; return how many. Raises `MailboxUnavailable`.

    `address` is `maildir:/path` or `imap[s]://user:password@host[:port][/folder]`. `imap`
    switches to TLS by STARTTLS; on this machine only with `?starttls=required`. With
    `?token=/path` the login is XOAUTH2, with the access token that the file holds now. Messages
    for which `take` returns a file are moved there, or to the folder Quarantine of the IMAP account.
    """
    parts = urlsplit(address)
    if parts.scheme == "maildir":
        return _fetch_maildir(Path(unquote(parts.path)), take)
    try:
        with IMAPClient(
            parts.hostname, parts.port, ssl=parts.scheme == "imaps", timeout=_TIMEOUT_SECONDS
        ) as client:
            _log_in(client, parts)
            return _fetch_folder(client, unquote(parts.path.strip("/")) or "INBOX", take)
    except (IMAPClientError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise MailboxUnavailable(f"{parts.hostname}: {reason}") from error


def _fetch_maildir(path: Path, take: Take) -> int:
    # By names alone: the library's Maildir parses a whole message to find its flags, and strangers wrote it.
    try:
        found = [file for part in ("new", "cur") for file in (path / part).iterdir()]
    except OSError as error:
        raise MailboxUnavailable(f"{path} is not a Maildir that can be read") from error
    unseen = sorted((f for f in found if f.name[0] != "." and "S" not in _flags(f)), key=_key)
    taken = 0
    for file in unseen[:MOST_AT_ONCE]:
        try:
            with file.open("rb") as content:
                raw = content.read(MOST_BYTES + 1)
        except FileNotFoundError:
            continue  # Another process has taken it.
        taken += 1
        quarantine = take(raw)
        if quarantine is None or not _move_file(file, quarantine):
            _mark_seen(file)
    return taken


def _key(file: Path) -> str:
    return file.name.partition(":")[0]


def _flags(file: Path) -> str:
    return file.name.partition(":2,")[2]


def _mark_seen(file: Path) -> None:
    """Move a message to `cur` with the flag S, as a mail reader would."""
    flags = "".join(sorted({*_flags(file), "S"}))
    try:
        file.rename(file.parent.parent / "cur" / f"{_key(file)}:2,{flags}")
    except FileNotFoundError:
        return  # Another process has taken it; the event's key prevents a second record.


def _move_file(message: Path, file: Path) -> bool:
    """Move a message out of a Maildir; return false where that is not possible."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with message.open("rb") as source, file.open("wb") as out:
            file.chmod(0o600)
            shutil.copyfileobj(source, out)
        message.unlink()
    except OSError as error:
        log.warning("bounce.not_moved", file=str(file), reason=str(error))
        return False
    return True


def _log_in(client: IMAPClient, parts: SplitResult) -> None:
    user, options = unquote(parts.username or ""), parse_qs(parts.query)
    needs_tls = options.get("starttls") == ["required"] or not is_loopback(parts.hostname or "")
    if parts.scheme == "imap" and needs_tls:
        client.starttls()
    if token := options.get("token"):
        client.oauth2_login(user, Path(token[-1]).read_text(encoding="ascii").strip())
    else:
        client.login(user, unquote(parts.password or ""))


def _fetch_folder(client: IMAPClient, folder: str, take: Take) -> int:
    client.select_folder(folder)
    taken = 0
    for uid in client.search("UNSEEN")[:MOST_AT_ONCE]:
        # PEEK does not mark the message; no more of it is fetched than can be read.
        found = client.fetch([uid], [f"BODY.PEEK[]<0.{MOST_BYTES + 1}>"])
        raw = found.get(uid, {}).get(b"BODY[]<0>")
        is_bad = raw is not None and take(raw) is not None
        taken += raw is not None
        client.add_flags([uid], [SEEN], silent=True)
        if is_bad:
            _move_to_quarantine(client, uid)
    return taken


def _move_to_quarantine(client: IMAPClient, uid: int) -> None:
    """Move a message that is marked as seen; it stays where the server does not allow that."""
    try:
        folder = _open_quarantine(client)
        if client.has_capability("MOVE"):
            client.move([uid], folder)
            return
        client.copy([uid], folder)
        client.add_flags([uid], [DELETED], silent=True)
        # Without UIDPLUS this would remove the messages that others have marked as deleted.
        if client.has_capability("UIDPLUS"):
            client.uid_expunge([uid])
    except IMAPClientError as error:
        log.warning("bounce.not_moved", uid=uid, reason=str(error))


def _open_quarantine(client: IMAPClient) -> str:
    """Return the name of the quarantine's folder, which is created if it is missing."""
    fault = IMAPClientError("no folder can be created")
    for name in _QUARANTINES:
        try:
            if not client.folder_exists(name):
                client.create_folder(name)
        except IMAPClientError as error:
            fault = error
            continue
        return name
    raise fault
