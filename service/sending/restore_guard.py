"""The guard against a restored backup, which would mail again what the world has already got.

A mark of how far the sending has come is kept where the database's backup does not reach: in
Valkey, and in a file of each sending host. A database that is behind a mark sends nothing until the
operator has said that it was restored. Where no mark is found nothing is suspected.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from time import monotonic

import redis
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.alerts import alert_operator
from service.editions.store.editions import close_finished
from service.messages.contexts.transactional import Alert
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.sending.domain.sent_watermark import (
    Mark,
    MarkUnreadable,
    is_behind,
    read_mark,
    write_mark,
)
from service.sending.store.restore_guard import (
    doubt_due_until,
    find_marked,
    get_installation,
    insert_restore,
    is_accepted,
    newest_editions,
)

# A window a second is marked: a backup taken within the last second of all sending is nobody's.
MARK_SECONDS = 1.0
_PATIENCE_SECONDS = 1.0

log = get_logger(__name__)


class DatabaseRestored(Exception):
    """The database is older than what was sent from it; its text is one line that says what to do."""

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        super().__init__(
            f"this database is older than what was sent by {mark.at:%Y-%m-%d %H:%M} UTC: it was "
            "restored from a backup, and would send old mail again. Nothing is sent until you "
            "say so; run: paperboy restored"
        )


def mark_paths(data_dir: Path) -> tuple[Path, Path]:
    """Beside the data directory, so that a restored copy of it leaves the mark; else within it."""
    return data_dir.with_name(f"{data_dir.name}.sent"), data_dir / "sent"


@lru_cache(maxsize=8)
def _valkey(redis_url: str) -> redis.Redis:
    patience = {"socket_connect_timeout": _PATIENCE_SECONDS, "socket_timeout": _PATIENCE_SECONDS}
    return redis.Redis.from_url(redis_url, decode_responses=True, **patience)


def _key(installation: str) -> str:
    return f"paperboy:sent:{installation}"


def read_marks(settings: Settings, installation: str) -> list[Mark]:
    """The marks of this installation that can be found, wherever they are."""
    found = []
    for text in _read_texts(settings, installation):
        try:
            mark = read_mark(text)
        except MarkUnreadable as error:
            log.warning("restore.mark_unreadable", reason=str(error))
            continue
        if mark.installation == installation:
            found.append(mark)
    return found


def _read_texts(settings: Settings, installation: str) -> Iterator[str]:
    for path in mark_paths(settings.data_dir):
        with suppress(OSError, UnicodeDecodeError):
            yield path.read_text(encoding="ascii")
    if settings.redis_url:
        try:
            text = _valkey(settings.redis_url).get(_key(installation))
        except redis.RedisError as error:
            log.warning("restore.mark_unheard", reason=type(error).__name__)
        else:
            if isinstance(text, str):
                yield text


def write_marks(settings: Settings, mark: Mark) -> None:
    """Write the mark to every place there is; a place that fails costs only itself."""
    text = write_mark(mark)
    for path in mark_paths(settings.data_dir):
        try:
            _replace(path, text)
        except OSError:
            continue
        break
    else:
        log.warning("restore.mark_unwritten", reason=f"{settings.data_dir} is not writable")
    if settings.redis_url:
        try:
            _valkey(settings.redis_url).set(_key(mark.installation), text)
        except redis.RedisError as error:
            log.warning("restore.mark_unwritten", reason=type(error).__name__)


def _replace(path: Path, text: str) -> None:
    """The whole text or the old one: whoever reads meanwhile must not find half a mark."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


@dataclass(slots=True)
class Marker:
    """Keeps the mark of one run of sending; its first window is always marked."""

    sessions: sessionmaker[Session]
    settings: Settings
    next_at: float = 0.0

    def note(self, attempts: Mapping[int, int], now: datetime) -> None:
        """Mark that these rows are in flight. To be called after that commit, before the wire."""
        if not attempts or monotonic() < self.next_at:
            return
        delivery_id = max(attempts)
        with transaction(self.sessions) as session:
            installation = get_installation(session)
            editions = newest_editions(session)
        mark = Mark(installation, delivery_id, attempts[delivery_id], now, editions)
        write_marks(self.settings, mark)
        self.next_at = monotonic() + MARK_SECONDS


def find_mark_ahead(sessions: sessionmaker[Session], settings: Settings) -> Mark | None:
    """The newest mark that this database is behind of, unless the operator knows of it."""
    with transaction(sessions) as session:
        marks = read_marks(settings, get_installation(session))
        ahead = [
            mark
            for mark in marks
            if is_behind(mark, find_marked(session, mark)) and not is_accepted(session, mark)
        ]
    return max(ahead, key=lambda mark: mark.at, default=None)


def refuse_restored(sessions: sessionmaker[Session], settings: Settings) -> None:
    """Raise `DatabaseRestored` where this database is a backup whose restoring nobody has told."""
    mark = find_mark_ahead(sessions, settings)
    if mark is not None:
        raise DatabaseRestored(mark)


@contextmanager
def alerting_restored(
    sessions: sessionmaker[Session],
    settings: Settings,
    now: datetime,
    ring: Callable[[str], object],
) -> Iterator[None]:
    """For work that nobody watches: where it is refused the operator is told, once.

    `ring` is the bell: the mail is rung for, since `deliver` sends it while it refuses all others.
    """
    try:
        yield
    except DatabaseRestored as error:
        alert = Alert(
            subject="This database was restored from a backup",
            detail=str(error),
            hint="Run: paperboy restored",
        )
        with transaction(sessions) as session:
            number = alert_operator(session, settings, error.mark.occasion, alert, now)
        if number is not None:
            ring("deliver")


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What accepting a restored database came to. `doubtful`: edition's number -> rows in doubt.

    Mails that belong to no edition stand under 0. `until` is None where nothing was restored.
    """

    until: datetime | None
    doubtful: Mapping[int, int]


def accept_restored(
    sessions: sessionmaker[Session], settings: Settings, now: datetime
) -> RestoreReport:
    """Take the operator's word that the database was restored; then sending may go on.

    What was due by the time of the mark is put in doubt: it may have been sent, and waits for
    `resolve`, or is carried into the next edition. Editions of those days that are made once more
    fall in doubt as they are frozen.
    """
    mark = find_mark_ahead(sessions, settings)
    if mark is None:
        return RestoreReport(None, {})
    with transaction(sessions) as session:
        until = mark.at + timedelta(seconds=MARK_SECONDS)
        insert_restore(session, until, mark.editions, now)
        doubtful = doubt_due_until(session, until, now)
        close_finished(session, now)
    log.warning("restore.accepted", sent_until=mark.at.isoformat(), rows=sum(doubtful.values()))
    return RestoreReport(until, {number or 0: count for number, count in doubtful.items()})
