"""Bounces that wait in a mailbox: a Maildir on this machine, or a folder reached by IMAP.

A message is handed out, and marked as seen only after it was taken: one that is taken and not
marked (the process died in between) comes again, and its key says so. Nothing is ever deleted.
"""

import imaplib
import re
import ssl
from collections.abc import Callable
from mailbox import Maildir, NoSuchMailboxError
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from service.bounces.inbound.mime_parts import MOST_BYTES

# So that a full mailbox does not hold a worker for hours; the rest is next, a minute later.
MOST_AT_ONCE = 500
_TIMEOUT_SECONDS = 30.0
_IMAP_PORT, _IMAPS_PORT = 143, 993

Take = Callable[[bytes], None]


class MailboxUnavailable(Exception):
    """The mailbox cannot be read now; the text says why, without the password."""


def read_mailbox(address: str, take: Take) -> int:
    """Hand every unseen message to `take`; returns how many. Raises `MailboxUnavailable`.

    `address` is `maildir:/path` or `imap[s]://user:password@host[:port][/folder]`. Messages too
    large to be read are marked as seen, so that they do not come again.
    """
    parts = urlsplit(address)
    if parts.scheme == "maildir":
        return _read_maildir(Path(unquote(parts.path)), take)
    try:
        with _connect(parts) as connection:
            connection.login(unquote(parts.username or ""), unquote(parts.password or ""))
            return _read_folder(connection, unquote(parts.path.strip("/")) or "INBOX", take)
    except (imaplib.IMAP4.error, OSError, ValueError) as error:
        raise MailboxUnavailable(f"{parts.hostname}: {_words(error)}") from error


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    told = error.args[0] if error.args else type(error).__name__
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)


def _read_maildir(path: Path, take: Take) -> int:
    try:
        box = Maildir(path, factory=None, create=False)
        keys = [
            key for key in sorted(box.iterkeys()) if "S" not in box.get_message(key).get_flags()
        ]
    except (NoSuchMailboxError, OSError) as error:
        raise MailboxUnavailable(f"{path} is not a Maildir that can be read") from error
    taken = 0
    for key in keys[:MOST_AT_ONCE]:
        with box.get_file(key) as file:
            raw = file.read(MOST_BYTES + 1)
        take(raw)
        taken += 1
        _mark_seen(box, key)
    return taken


def _mark_seen(box: Maildir, key: str) -> None:
    """Move a message to `cur` with the flag S, as a mail reader would."""
    try:
        message = box.get_message(key)
        message.set_subdir("cur")
        message.add_flag("S")
        box[key] = message
    except KeyError:
        return  # somebody else has taken it meanwhile; its key kept it from being recorded twice


def _connect(parts: SplitResult) -> imaplib.IMAP4:
    host = parts.hostname or ""
    if parts.scheme == "imap":
        return imaplib.IMAP4(host, parts.port or _IMAP_PORT, _TIMEOUT_SECONDS)
    context = ssl.create_default_context()
    return imaplib.IMAP4_SSL(
        host, parts.port or _IMAPS_PORT, ssl_context=context, timeout=_TIMEOUT_SECONDS
    )


def _read_folder(connection: imaplib.IMAP4, folder: str, take: Take) -> int:
    quoted = '"' + re.sub(r'(["\\])', r"\\\1", folder) + '"'
    _done(connection.select(quoted))
    found = _done(connection.uid("SEARCH", "UNSEEN"))
    taken = 0
    for uid in (found[0] or b"").split()[:MOST_AT_ONCE]:
        raw = _fetch(connection, uid.decode("ascii"))
        if raw is not None:
            take(raw)
            taken += 1
        _done(connection.uid("STORE", uid.decode("ascii"), "+FLAGS.SILENT", r"(\Seen)"))
    return taken


def _fetch(connection: imaplib.IMAP4, uid: str) -> bytes | None:
    """A message, without marking it; None where it is gone. No more of it than can be read."""
    answer = _done(connection.uid("FETCH", uid, f"(BODY.PEEK[]<0.{MOST_BYTES + 1}>)"))
    found: bytes | None = next((part[1] for part in answer if isinstance(part, tuple)), None)
    return found


def _done(answer: tuple[str, list[Any]]) -> list[Any]:
    """The lines of an answer, which are bytes, or pairs where a literal follows."""
    status, lines = answer
    if status != "OK":
        raise imaplib.IMAP4.error(lines[0] or b"refused")
    return lines
