"""The guard against a restored backup, which would send old mail a second time.

A watermark of how far sending came is kept outside the database and its backup: in Valkey, and in a
file on each sending host. A database that is older than a watermark sends nothing until the operator
confirms that it was restored. Without a watermark nothing is suspected.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.alerts import Alert, alert_operator
from service.deliveries.domain.recipients import Cadence
from service.deliveries.store.restores import (
    get_installation,
    insert_restore,
    is_accepted,
    pass_used_ids,
)
from service.editions.store.editions import close_finished
from service.platform.database.engine import BULK_SECONDS, limit_time, transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.sending.domain.sent_watermark import SentWatermark, is_older_than
from service.sending.store.restore_guard import doubt_due_until, find_watermarked, newest_editions
from service.sending.watermark_files import WATERMARK_SECONDS, load_watermarks, write_watermarks

log = get_logger(__name__)


class DatabaseRestored(Exception):
    """The database is older than what was sent from it; its text is one line that says what to do."""

    def __init__(self, watermark: SentWatermark) -> None:
        self.watermark = watermark
        super().__init__(
            f"this database is older than what was sent by {watermark.at:%Y-%m-%d %H:%M} UTC: it was "
            "restored from a backup, and would send old mail again. Nothing is sent until you "
            "confirm this; run: paperboy restored"
        )


@dataclass(slots=True)
class WatermarkWriter:
    """Writes the sent watermark during one run; the run's first window always writes one."""

    sessions: sessionmaker[Session]
    settings: Settings
    next_at: float = 0.0

    def note(self, attempts: Mapping[int, int], now: datetime) -> None:
        """Note that these rows are in flight. Call it after that commit and before sending."""
        if not attempts or monotonic() < self.next_at:
            return
        delivery_id = max(attempts)
        with transaction(self.sessions) as session:
            installation = get_installation(session)
            editions = newest_editions(session)
        watermark = SentWatermark(installation, delivery_id, attempts[delivery_id], now, editions)
        write_watermarks(self.settings, watermark)
        self.next_at = monotonic() + WATERMARK_SECONDS


def find_newer_watermark(
    sessions: sessionmaker[Session], settings: Settings
) -> SentWatermark | None:
    """Return the newest watermark that this database is older than and no operator accepted."""
    with transaction(sessions) as session:
        watermarks = load_watermarks(settings, get_installation(session))
        ahead = [
            watermark
            for watermark in watermarks
            if is_older_than(watermark, find_watermarked(session, watermark))
            and not is_accepted(session, watermark.at)
        ]
    return max(ahead, key=lambda watermark: watermark.at, default=None)


def refuse_restored(sessions: sessionmaker[Session], settings: Settings) -> None:
    """Raise `DatabaseRestored` if this database is a restored backup that no operator accepted."""
    watermark = find_newer_watermark(sessions, settings)
    if watermark is not None:
        raise DatabaseRestored(watermark)


@contextmanager
def alerting_restored(
    sessions: sessionmaker[Session],
    settings: Settings,
    now: datetime,
    enqueue: Callable[[str], object],
) -> Iterator[None]:
    """Catch `DatabaseRestored` in background work, and alert the operator of it once.

    `enqueue` wakes `deliver`, which sends this alert while it refuses all other mail.
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


# No row reaches this attempt, so a database never becomes as new as such a watermark.
_UNREACHABLE = 2**31 - 1
# A day's edition is the next date's already in the easternmost zone.
_EASTERNMOST = timedelta(hours=14)


def block_until_accepted(
    settings: Settings, installation: str, taken_at: datetime, now: datetime
) -> None:
    """Let an installation send nothing until the operator accepts that it was restored.

    Mail may have been sent until the newest watermark, or, where there is none that is newer than
    the backup, until now: the backup may be of another machine. It is written before the database
    is restored.
    """
    watermarks = load_watermarks(settings, installation)
    newest = max(watermarks, key=lambda watermark: watermark.at, default=None)
    if newest is None or newest.at < taken_at:
        # An older one is of an earlier restore here, and says nothing of mail since the backup.
        blocking = _unproved_watermark(installation, now)
    else:
        blocking = replace(newest, attempt=_UNREACHABLE)
    write_watermarks(settings, blocking)
    if blocking not in load_watermarks(settings, installation):
        raise OSError(f"the sent watermark cannot be written beside {settings.data_dir}")


def _unproved_watermark(installation: str, at: datetime) -> SentWatermark:
    """Return a watermark of what may have been sent until `at`; it names no row."""
    dates = dict.fromkeys(Cadence, (at + _EASTERNMOST).date())
    return SentWatermark(installation, 0, _UNREACHABLE, at, dates)


class WatermarkNewer(Exception):
    """The operator named a time before mail that was surely sent; its text is one line."""


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """The result of accepting a restored database. `doubtful`: edition id -> rows put in doubt.

    The key 0 holds mails that belong to no edition. `until` is None if nothing was restored.
    """

    until: datetime | None
    doubtful: Mapping[int, int]


def accept_restored(
    sessions: sessionmaker[Session],
    settings: Settings,
    now: datetime,
    sent_until: datetime | None = None,
) -> RestoreReport:
    """Record the operator's confirmation that the database was restored, and allow sending again.

    Rows due by the watermark's time are put in doubt: they may have been sent, so they wait for
    `resolve` or are carried into the next edition. Editions of those dates that are made again fall
    in doubt when they are frozen. Ids that were used since the backup are not given again. `sent_until` is when the installation last sent, where the operator
    knows it better than the watermark. Raises `WatermarkNewer`.
    """
    watermark = find_newer_watermark(sessions, settings)
    if watermark is None:
        return RestoreReport(None, {})
    if sent_until is not None:
        watermark = _correct(watermark, sent_until)
        write_watermarks(settings, watermark)
    with transaction(sessions) as session:
        limit_time(session, BULK_SECONDS)
        until = watermark.at + timedelta(seconds=WATERMARK_SECONDS)
        pass_used_ids(session)
        insert_restore(session, until, watermark.editions, now)
        doubtful = doubt_due_until(session, until, now)
        close_finished(session, now)
    log.warning(
        "restore.accepted", sent_until=watermark.at.isoformat(), rows=sum(doubtful.values())
    )
    return RestoreReport(until, {number or 0: count for number, count in doubtful.items()})


def _correct(watermark: SentWatermark, sent_until: datetime) -> SentWatermark:
    """Return the watermark with the time that the operator named."""
    unproved = _unproved_watermark(watermark.installation, sent_until)
    if not watermark.delivery_id:
        return unproved
    if sent_until < watermark.at:
        raise WatermarkNewer(
            f"mail was sent until {watermark.at:%Y-%m-%dT%H:%M}Z; name that time or later"
        )
    editions = {
        cadence: max(watermark.editions.get(cadence, on), on)
        for cadence, on in unproved.editions.items()
    }
    return replace(watermark, at=sent_until, editions=editions)
