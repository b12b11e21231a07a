"""The guard against a restored backup, which would send old mail a second time.

A watermark of how far sending came is kept outside the database and its backup: in Valkey, in a file
on each sending host, and in a file on other storage. A database that is older than a watermark, or
remembers one and finds none, sends nothing until the operator says when mail was last sent.
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
    find_last_sent,
    get_installation,
    get_marked_at,
    insert_restore,
    is_accepted,
    lock_first_mark,
    pass_used_ids,
    remember_mark,
)
from service.editions.store.editions import close_finished
from service.platform.database.engine import BULK_SECONDS, limit_time, transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.sending.domain.sent_watermark import (
    SentWatermark,
    Suspicion,
    first_watermark,
    is_older_than,
    suspect,
)
from service.sending.store.restore_guard import doubt_due_until, find_watermarked, newest_editions
from service.sending.watermark_files import (
    WATERMARK_SECONDS,
    load_watermarks,
    renew_watermarks,
    watermark_places,
    write_watermarks,
)

log = get_logger(__name__)


class DatabaseRestored(Exception):
    """The database may be older than what was sent from it; its text is one line with what to do."""

    def __init__(self, suspicion: Suspicion) -> None:
        self.suspicion = suspicion
        super().__init__(str(suspicion))


class MarkUnwritten(Exception):
    """No watermark can be kept, so that a restored backup would not be noticed; one line."""

    def __init__(self, settings: Settings) -> None:
        places = " or ".join(place.name for place in watermark_places(settings))
        super().__init__(f"the sent mark cannot be written to {places}: no mail is sent without it")


@dataclass(slots=True)
class WatermarkWriter:
    """Writes the sent watermark during one run: for its first window, each second, and at its end."""

    sessions: sessionmaker[Session]
    settings: Settings
    next_at: float = 0.0
    # The newest window without a watermark.
    unmarked: tuple[Mapping[int, int], datetime] | None = None

    def note(self, attempts: Mapping[int, int], now: datetime) -> None:
        """Note that these rows are in flight. Call it after that commit and before sending."""
        if attempts:
            self.unmarked = attempts, now
            if monotonic() >= self.next_at:
                self.finish()

    def finish(self) -> None:
        """Write the watermark of the newest window, if it has none yet."""
        if self.unmarked is None:
            return
        (attempts, at), self.unmarked = self.unmarked, None
        delivery_id = max(attempts)
        with transaction(self.sessions) as session:
            installation = get_installation(session)
            editions = newest_editions(session)
        watermark = SentWatermark(installation, delivery_id, attempts[delivery_id], at, editions)
        write_watermarks(self.settings, watermark)
        self.next_at = monotonic() + WATERMARK_SECONDS


@dataclass(frozen=True, slots=True)
class _Look:
    """The database and its watermarks at one moment."""

    installation: str
    marked_at: datetime | None
    newest: SentWatermark | None
    suspicion: Suspicion | None


def _look(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> _Look:
    with transaction(sessions) as session:
        installation, marked_at = get_installation(session), get_marked_at(session)
        watermarks = load_watermarks(settings, installation)
        ahead = [
            watermark
            for watermark in watermarks
            if is_older_than(watermark, find_watermarked(session, watermark))
            and not is_accepted(session, watermark.at)
        ]
    newest = max(watermarks, key=lambda watermark: watermark.rank, default=None)
    return _Look(installation, marked_at, newest, suspect(watermarks, ahead, marked_at, now))


def find_suspicion(
    sessions: sessionmaker[Session], settings: Settings, now: datetime
) -> Suspicion | None:
    """Return why nothing is sent from this database until the operator answers, if anything."""
    return _look(sessions, settings, now).suspicion


def refuse_restored(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> None:
    """Raise `DatabaseRestored` if this database may be a restored backup that no operator accepted.

    Otherwise every place has a watermark afterwards, and the database remembers it, before anything
    is sent. Raises `MarkUnwritten` where a new database can write none.
    """
    look = _look(sessions, settings, now)
    if look.suspicion is not None:
        raise DatabaseRestored(look.suspicion)
    if look.marked_at is None or look.newest is None:
        _mark_first(sessions, settings, look, now)
    elif renew_watermarks(settings, look.newest) and look.newest.at != look.marked_at:
        with transaction(sessions) as session:
            remember_mark(session, look.newest.at)


def _mark_first(
    sessions: sessionmaker[Session], settings: Settings, look: _Look, now: datetime
) -> None:
    with transaction(sessions) as session:
        # Locked, so that no other sender's later watermark is replaced.
        if not lock_first_mark(session):
            return
        first = look.newest or first_watermark(look.installation, now)
        if not renew_watermarks(settings, first):
            raise MarkUnwritten(settings)
        remember_mark(session, first.at)


@contextmanager
def alerting_restored(
    sessions: sessionmaker[Session],
    settings: Settings,
    now: datetime,
    enqueue: Callable[[str], object],
) -> Iterator[None]:
    """Catch `DatabaseRestored` in background work, and alert the operator of it once.

    `enqueue` wakes `deliver_urgent`, which sends this alert while it refuses all other mail.
    """
    try:
        yield
    except DatabaseRestored as error:
        alert = Alert(
            subject="Nothing is sent: this database may be a restored backup",
            detail=str(error),
            hint="Run: paperboy restored",
        )
        with transaction(sessions) as session:
            number = alert_operator(session, settings, error.suspicion.occasion, alert, now)
        if number is not None:
            enqueue("deliver_urgent")


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


class WrongAnswer(Exception):
    """The operator's answer cannot be true; its text is one line."""


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
    in doubt when they are frozen. Ids that were used since the backup are not given again.

    `sent_until` is when the installation last sent, where the operator knows it better than the
    watermark. With it, a restore is accepted also where nothing is suspected; without it and without
    a watermark, all mail that was due by now may have been sent. Raises `WrongAnswer`.
    """
    look = _look(sessions, settings, now)
    if look.suspicion is None and sent_until is None:
        return RestoreReport(None, {})
    proof = look.suspicion.watermark if look.suspicion else look.newest
    watermark = proof or _unproved_watermark(look.installation, now)
    if sent_until is not None:
        _check_time(sessions, sent_until, now)
        watermark = _correct(watermark, sent_until)
    if not write_watermarks(settings, watermark):
        raise MarkUnwritten(settings)
    with transaction(sessions) as session:
        limit_time(session, BULK_SECONDS)
        until = watermark.at + timedelta(seconds=WATERMARK_SECONDS)
        pass_used_ids(session)
        insert_restore(session, until, watermark.editions, now)
        remember_mark(session, watermark.at)
        doubtful = doubt_due_until(session, until, now)
        close_finished(session, now)
    log.warning(
        "restore.accepted", sent_until=watermark.at.isoformat(), rows=sum(doubtful.values())
    )
    return RestoreReport(until, {number or 0: count for number, count in doubtful.items()})


def accept_newest(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> bool:
    """Record the operator's word that nothing was sent which this database does not know.

    Sending continues where it stopped. Return whether anything was suspected. Raises `WrongAnswer`
    where a watermark proves the contrary.
    """
    look = _look(sessions, settings, now)
    if look.suspicion is None:
        return False
    proof = look.suspicion.watermark
    if proof is not None and proof.delivery_id:
        raise WrongAnswer(
            f"mail was sent until {_next_minute(proof.at)} that this database does not know; run: "
            "paperboy restored"
        )
    first = first_watermark(look.installation, now)
    if not write_watermarks(settings, first):
        raise MarkUnwritten(settings)
    with transaction(sessions) as session:
        remember_mark(session, first.at)
    log.warning("restore.denied")
    return True


def _check_time(sessions: sessionmaker[Session], sent_until: datetime, now: datetime) -> None:
    # A time that the guard names itself is rounded up.
    if sent_until > now + timedelta(minutes=1):
        raise WrongAnswer(f"{sent_until:%Y-%m-%dT%H:%MZ} is in the future; name when mail was sent")
    with transaction(sessions) as session:
        known = find_last_sent(session)
    if known is not None and sent_until < known:
        raise WrongAnswer(
            f"this database has mail that was sent by {_next_minute(known)}; name that time or later"
        )


def _correct(watermark: SentWatermark, sent_until: datetime) -> SentWatermark:
    """Return the watermark with the time that the operator named."""
    unproved = _unproved_watermark(watermark.installation, sent_until)
    if not watermark.delivery_id:
        return unproved
    if sent_until < watermark.at:
        raise WrongAnswer(
            f"mail was sent until {_next_minute(watermark.at)}; name that time or later"
        )
    editions = {
        cadence: max(watermark.editions.get(cadence, on), on)
        for cadence, on in unproved.editions.items()
    }
    return replace(watermark, at=sent_until, editions=editions)


def _next_minute(at: datetime) -> str:
    """Return the first whole minute at or after `at`, in the form that `--until` takes."""
    at += -timedelta(seconds=at.second, microseconds=at.microsecond) % timedelta(minutes=1)
    return f"{at:%Y-%m-%dT%H:%MZ}"
