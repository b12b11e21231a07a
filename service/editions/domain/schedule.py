"""The schedule: on which days the editions of each cadence open, and when a digest is due.

A weekdays edition opens from Monday to Friday, a daily one every day, once that day's batches are in,
or at the deadline. A weekly one has the seven days before its weekday, a monthly one, of the first of
a month, the calendar month before; it opens when that day begins at the first place, once the batches
of its last day are in, or at their deadline. Each digest is due at the subscriber's next hour, in the
subscriber's time zone.
"""

import itertools
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from service.deliveries.domain.recipients import Cadence, Timing
from service.papers.domain.announcement_days import (
    ARXIV_ZONE,
    POLLING_STARTS,
    announcement_date,
    deadline_of,
    is_announcement_day,
    is_past_deadline,
)
from service.papers.domain.completeness import BatchStatus, unfinished
from service.platform.time_zones import subscriber_hour

# How far back an edition looks for papers that no earlier edition of its cadence carried. More than
# the week for which days are fetched again plus the days between two editions: the next edition
# must reach a paper of a week ago that was found just after this one.
LOOKBACK_DAYS = {
    cadence: 45 if cadence is Cadence.MONTHLY else 21 if cadence.is_weekly else 14
    for cadence in Cadence
}

# Their editions open whether anybody reads them or not; those of the others from their first reader on.
ALWAYS_OPEN = frozenset({Cadence.DAILY, Cadence.WEEKDAYS, Cadence.WEEKLY})

# The time in which an edition's digests are composed.
COMPOSING = timedelta(minutes=5)

# Before midnight (UTC) of a weekly or monthly date: fourteen hours for the zones ahead, one for composing.
LEAD = timedelta(hours=15)
# From then on the first readers of a weekly or monthly digest get it late.
LATE_OPENING = timedelta(hours=1)

# After it was down, the service reads the days that it missed for at most this long.
READING = timedelta(hours=1)


def is_cadence_day(cadence: Cadence, on: date) -> bool:
    """Return whether a cadence publishes on a date: monthly is the first of every month."""
    if cadence is Cadence.WEEKDAYS:
        return on.weekday() < 5
    if cadence is Cadence.MONTHLY:
        return on.day == 1
    return cadence.weekday in {None, on.weekday()}


def last_covered(cadence: Cadence, on: date) -> date:
    """Return the newest day that the edition of `on` covers: its own, or the one before."""
    return on - timedelta(days=1) if cadence.collects_days else on


def covered_days(cadence: Cadence, on: date, previous: date | None = None) -> list[date]:
    """Return the days whose announcements the edition of `on` covers, oldest first.

    They are those since the edition of `previous` of the cadence, at most as many as it looks back;
    without one, those of an ordinary edition: the week or month before it, the weekend with a Monday.
    """
    last = last_covered(cadence, on)
    if previous is not None:
        first = last_covered(cadence, previous) + timedelta(days=1)
        first = max(first, last - timedelta(days=LOOKBACK_DAYS[cadence] - 1))
    elif cadence is Cadence.MONTHLY:
        first = last.replace(day=1)
    elif cadence.is_weekly:
        first = on - timedelta(days=7)
    else:
        first = last
        while not is_cadence_day(cadence, first - timedelta(days=1)):
            first -= timedelta(days=1)
    return days_between(first, last)


def days_between(first: date, last: date) -> list[date]:
    """Return every date from the first to the last."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def missed_dates(cadence: Cadence, on: date, first: date) -> list[date]:
    """Return the dates of the editions that were missed before that of `on`, which covers them.

    `first` is the first day that it covers. A day on which nothing is announced is not missed.
    """
    opens = first + timedelta(days=1) if cadence.collects_days else first
    return [
        day
        for day in days_between(opens, on - timedelta(days=1))
        if is_cadence_day(cadence, day) and (cadence.collects_days or is_announcement_day(day))
    ]


def cap_papers(cadence: Cadence, on: date, first: date, max_papers: int) -> int:
    """Return the most papers of a mail: `max_papers` for each edition that it stands for."""
    return max_papers * (1 + len(missed_dates(cadence, on, first)))


def next_cadence_day(cadence: Cadence, on: date) -> date:
    """Return the first date from `on` on which a cadence publishes."""
    while not is_cadence_day(cadence, on):
        on += timedelta(days=1)
    return on


def due_at(
    cadence: Cadence, on: date, opened_at: datetime, hour: int, zone: str, timing: Timing
) -> datetime:
    """Return when a digest of the edition of `on`, opened at `opened_at`, is due.

    At the next moment at which the clock of `zone` (an IANA name) shows the subscriber's `hour`, on a
    day of the cadence there: weekdays digests never come on a Saturday or Sunday, a weekly or monthly
    one comes on its edition's date, or as soon after it as it was opened. An edition that opens less
    than `COMPOSING` before the hour is too late for it: the digest that waits for that hour may be on
    its way before the new one is composed, and two would come. With `WHEN_COMPLETE` a daily or
    weekdays digest is due at once, if its cadence comes on that day.
    """
    day = opened_at.astimezone(ZoneInfo(zone)).date()
    if cadence.collects_days:
        day = max(day, on)
    elif timing is Timing.WHEN_COMPLETE and is_cadence_day(cadence, day):
        return opened_at
    days = (day + timedelta(days=number) for number in itertools.count())
    return next(
        due
        for day in days
        if (cadence.collects_days or is_cadence_day(cadence, day))
        and (due := subscriber_hour(day, hour, zone)) >= opened_at + COMPOSING
    )


def falls_together(earlier_due: datetime, due: datetime) -> bool:
    """Return whether a digest that waits until `earlier_due` joins one of a newer edition.

    It does if it would come with it or after it, or less than an hour before it.
    """
    return earlier_due > due - timedelta(hours=1)


def collecting_date(cadence: Cadence, now: datetime) -> date:
    """Return the date of the newest weekly or monthly edition that may be open at `now`.

    It opens at 9:00 UTC on the day before. An hour later its date begins at the first place, UTC+14,
    and the digests of its first subscribers are due: they must be composed by then.
    """
    day = (now.astimezone(UTC) + LEAD).date()
    while not is_cadence_day(cadence, day):
        day -= timedelta(days=1)
    return day


def collecting_opens_at(on: date) -> datetime:
    """Return the first moment at which the weekly or monthly edition of a date may open."""
    return datetime.combine(on, time(0), tzinfo=UTC) - LEAD


def awaited_last_day(cadence: Cadence, on: date) -> date | None:
    """Return the last day of a weekly or monthly edition if its batches may be on their way."""
    last = last_covered(cadence, on)
    return last if cadence.collects_days and is_announcement_day(last) else None


def earliest_opening(cadence: Cadence, on: date) -> datetime:
    """Return the first moment at which the edition of a date can have been opened."""
    if cadence.collects_days:
        return collecting_opens_at(on)
    midnight = datetime.combine(on, time(0), tzinfo=ARXIV_ZONE)
    return midnight.astimezone(UTC) - POLLING_STARTS


def latest_opening(cadence: Cadence, on: date) -> datetime:
    """Return when a weekly or monthly edition is open at the latest, unless the service was down."""
    last = awaited_last_day(cadence, on)
    opens_at = collecting_opens_at(on)
    return max(opens_at, deadline_of(last)) if last else opens_at


def is_opened_late(cadence: Cadence, on: date, opened_at: datetime) -> bool:
    """Return whether the service was down when a weekly or monthly edition should have opened."""
    return cadence.collects_days and opened_at >= latest_opening(cadence, on) + LATE_OPENING


def makes_up(cadence: Cadence, on: date, previous: date | None, now: datetime) -> bool:
    """Return whether the edition of `on`, opened at `now`, is late or has days that were missed."""
    first = covered_days(cadence, on, previous)[0]
    return is_opened_late(cadence, on, now) or bool(missed_dates(cadence, on, first))


def newest_due(
    now: datetime, newest: Mapping[Cadence, date], read: Collection[Cadence] = ()
) -> dict[Cadence, date]:
    """Return the date of each cadence's edition that is to be opened next, if its day has come.

    `newest`: the date of each cadence's last edition; `read`: the cadences that have subscribers. One
    that is not `ALWAYS_OPEN` opens from its first reader on, and then always, so that its next edition
    knows whether the last was missed. An edition of an earlier day was missed and never opens; its
    papers come in the next one. Only a weekly or monthly one opens late, until its next date, but not
    on an installation that has had none: that has missed nothing.
    """
    today = announcement_date(now)
    due = {}
    for cadence in Cadence:
        if cadence not in ALWAYS_OPEN and cadence not in newest and cadence not in read:
            continue
        on = collecting_date(cadence, now) if cadence.collects_days else today
        is_first_late = cadence not in newest and is_opened_late(cadence, on, now)
        if is_cadence_day(cadence, on) and newest.get(cadence, date.min) < on and not is_first_late:
            due[cadence] = on
    return due


def awaited_days(cadence: Cadence, on: date, previous: date | None, now: datetime) -> list[date]:
    """Return the days whose batches an edition waits for: its own, and announcement days missed.

    A weekly or monthly one waits for its last day, since the others have passed their deadlines,
    unless it opens late: then the service is just back, and reads what it missed.
    """
    days = covered_days(cadence, on, previous)
    if cadence.collects_days and not is_opened_late(cadence, on, now):
        last = awaited_last_day(cadence, on)
        return [last] if last else []
    return [day for day in days if day == on or is_announcement_day(day)]


def editions_due(
    now: datetime,
    batches: Iterable[BatchStatus],
    newest: Mapping[Cadence, date],
    back_at: datetime | None = None,
    read: Collection[Cadence] = (),
) -> tuple[tuple[Cadence, date], ...]:
    """Return the editions to open at `now`; `newest` and `read` are those of `newest_due`.

    They open once the batches of their `awaited_days` are in, or at today's deadline. `batches` are
    the gating sources' (a source that only enriches does not hold up the mail). Today without any
    batch opens only at the deadline, since its batches may still be announced. An edition that makes
    up for missed ones waits for an hour after `back_at`, when the service came back, even if its
    deadline has passed: so long the missed days are being read.
    """
    today, known = announcement_date(now), tuple(batches)
    known_days = {batch.announced_on for batch in known}
    is_just_back = back_at is not None and now < back_at + READING

    def is_ready(cadence: Cadence, on: date) -> bool:
        days = awaited_days(cadence, on, newest.get(cadence), now)
        is_in = not any(unfinished(known, day) for day in days)
        last = awaited_last_day(cadence, on) if cadence.collects_days else today
        if is_in and (last is None or last in known_days):
            return True
        if last is None or is_opened_late(cadence, on, now):
            last = today
        is_over = is_past_deadline(last, now)
        return is_over and not (is_just_back and makes_up(cadence, on, newest.get(cadence), now))

    return tuple(
        (cadence, on)
        for cadence, on in newest_due(now, newest, read).items()
        if is_ready(cadence, on)
    )
