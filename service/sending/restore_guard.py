"""The guard against a restored backup, which would mail again what the world has already got.

A mark of how far the sending has come is kept where the database's backup does not reach: in
Valkey, and in a file of each sending host. A database that is behind a mark sends nothing until the
operator has said that it was restored. Where no mark is found nothing is suspected.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.alerts import Alert, alert_operator
from service.deliveries.store.restores import get_installation, insert_restore, is_accepted
from service.editions.store.editions import close_finished
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.sending.domain.sent_watermark import SentWatermark, is_older_than
from service.sending.store.restore_guard import doubt_due_until, find_watermarked, newest_editions
from service.sending.watermark_files import WATERMARK_SECONDS, read_watermarks, write_watermarks

log = get_logger(__name__)


class DatabaseRestored(Exception):
    """The database is older than what was sent from it; its text is one line that says what to do."""

    def __init__(self, watermark: SentWatermark) -> None:
        self.watermark = watermark
        super().__init__(
            f"this database is older than what was sent by {watermark.at:%Y-%m-%d %H:%M} UTC: it was "
            "restored from a backup, and would send old mail again. Nothing is sent until you "
            "say so; run: paperboy restored"
        )


@dataclass(slots=True)
class WatermarkWriter:
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
        watermark = SentWatermark(installation, delivery_id, attempts[delivery_id], now, editions)
        write_watermarks(self.settings, watermark)
        self.next_at = monotonic() + WATERMARK_SECONDS


def find_mark_ahead(sessions: sessionmaker[Session], settings: Settings) -> SentWatermark | None:
    """The newest mark that this database is behind of, unless the operator knows of it."""
    with transaction(sessions) as session:
        watermarks = read_watermarks(settings, get_installation(session))
        ahead = [
            watermark
            for watermark in watermarks
            if is_older_than(watermark, find_watermarked(session, watermark))
            and not is_accepted(session, watermark.at)
        ]
    return max(ahead, key=lambda watermark: watermark.at, default=None)


def refuse_restored(sessions: sessionmaker[Session], settings: Settings) -> None:
    """Raise `DatabaseRestored` where this database is a backup whose restoring nobody has told."""
    watermark = find_mark_ahead(sessions, settings)
    if watermark is not None:
        raise DatabaseRestored(watermark)


@contextmanager
def alerting_restored(
    sessions: sessionmaker[Session],
    settings: Settings,
    now: datetime,
    enqueue: Callable[[str], object],
) -> Iterator[None]:
    """For work that nobody watches: where it is refused the operator is told, once.

    `enqueue` is the bell: the mail is rung for, since `deliver` sends it while it refuses all others.
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
            number = alert_operator(session, settings, error.watermark.occasion, alert, now)
        if number is not None:
            enqueue("deliver")


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
    watermark = find_mark_ahead(sessions, settings)
    if watermark is None:
        return RestoreReport(None, {})
    with transaction(sessions) as session:
        until = watermark.at + timedelta(seconds=WATERMARK_SECONDS)
        insert_restore(session, until, watermark.editions, now)
        doubtful = doubt_due_until(session, until, now)
        close_finished(session, now)
    log.warning(
        "restore.accepted", sent_until=watermark.at.isoformat(), rows=sum(doubtful.values())
    )
    return RestoreReport(until, {number or 0: count for number, count in doubtful.items()})
