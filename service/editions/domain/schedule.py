"""The schedule: on which days daily, weekday and weekly editions open, and when a digest is due.

A weekdays edition opens from Monday to Friday, a daily one every day, once that day's batches are in,
or at the deadline. A weekly one has the week before its Monday and opens when that day begins at the
first place. Each digest is due at the subscriber's next hour, in the subscriber's time zone.
"""

import itertools
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from service.deliveries.domain.recipients import Cadence, Timing
from service.papers.domain.announcement_days import (
    ARXIV_ZONE,
    POLLING_STARTS,
    announcement_date,
    is_announcement_day,
    is_past_deadline,
)
from service.papers.domain.completeness import BatchStatus, unfinished
from service.platform.time_zones import subscriber_hour

# How far back an edition looks for papers that no earlier edition of its cadence carried. More than
# the week for which days are fetched again plus the days between two editions: the next edition
# must reach a paper of a week ago that was found just after this one.
LOOKBACK_DAYS = {Cadence.DAILY: 14, Cadence.WEEKDAYS: 14, Cadence.WEEKLY: 21}

# The time in which an edition's digests are composed.
COMPOSING = timedelta(minutes=5)

# Before midnight (UTC) of its Monday: fourteen hours for the zones ahead, one for composing.
WEEKLY_LEAD = timedelta(hours=15)
# From then on the first readers of a weekly digest get it late.
LATE_OPENING = timedelta(hours=1)

# After it was down, the service reads the days that it missed for at most this long.
READING = timedelta(hours=1)


def is_cadence_day(cadence: Cadence, on: date) -> bool:
    """Return whether a cadence publishes on a date: weekdays skip weekends, weekly is Mondays."""
    if cadence is Cadence.WEEKDAYS:
        return on.weekday() < 5
    if cadence is Cadence.WEEKLY:
        return on.weekday() == 0
    return True


def last_covered(cadence: Cadence, on: date) -> date:
    """Return the newest day that the edition of `on` covers: its own, but a weekly one's Sunday."""
    return on - timedelta(days=1) if cadence is Cadence.WEEKLY else on


def covered_days(cadence: Cadence, on: date, previous: date | None = None) -> list[date]:
    """Return the days whose announcements the edition of `on` covers, oldest first.

    They are those since the edition of `previous` of the cadence, at most as many as it looks back;
    without one, those of an ordinary edition: the week before a Monday, the weekend with a Monday.
    """
    last = last_covered(cadence, on)
    if previous is not None:
        first = last_covered(cadence, previous) + timedelta(days=1)
        first = max(first, last - timedelta(days=LOOKBACK_DAYS[cadence] - 1))
    elif cadence is Cadence.WEEKLY:
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
    opens = first + timedelta(days=1) if cadence is Cadence.WEEKLY else first
    return [
        day
        for day in days_between(opens, on - timedelta(days=1))
        if is_cadence_day(cadence, day) and is_announcement_day(day)
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
    day of the cadence there: weekdays digests never come on a Saturday or Sunday, a weekly one comes
    on its edition's date, a Monday, or as soon after it as it was opened. An edition that opens less
    than `COMPOSING` before the hour is too late for it: the digest that waits for that hour may be on
    its way before the new one is composed, and two would come. With `WHEN_COMPLETE` a daily or
    weekdays digest is due at once, if its cadence comes on that day.
    """
    day = opened_at.astimezone(ZoneInfo(zone)).date()
    if cadence is Cadence.WEEKLY:
        day = max(day, on)
    elif timing is Timing.WHEN_COMPLETE and is_cadence_day(cadence, day):
        return opened_at
    days = (day + timedelta(days=number) for number in itertools.count())
    return next(
        due
        for day in days
        if (cadence is Cadence.WEEKLY or is_cadence_day(cadence, day))
        and (due := subscriber_hour(day, hour, zone)) >= opened_at + COMPOSING
    )


def falls_together(earlier_due: datetime, due: datetime) -> bool:
    """Return whether a digest that waits until `earlier_due` joins one of a newer edition.

    It does if it would come with it or after it, or less than an hour before it.
    """
    return earlier_due > due - timedelta(hours=1)


def weekly_date(now: datetime) -> date:
    """Return the Monday of the newest weekly edition that may be open at `now`.

    It opens on Sunday at 9:00 UTC. An hour later it is Monday at the first place, UTC+14, and the
    digests of its first subscribers are due: they must be composed by then.
    """
    day = (now.astimezone(UTC) + WEEKLY_LEAD).date()
    return day - timedelta(days=day.weekday())


def weekly_opens_at(monday: date) -> datetime:
    """Return when the weekly edition of a Monday opens."""
    return datetime.combine(monday, time(0), tzinfo=UTC) - WEEKLY_LEAD


def earliest_opening(cadence: Cadence, on: date) -> datetime:
    """Return the first moment at which the edition of a date can have been opened."""
    if cadence is Cadence.WEEKLY:
        return weekly_opens_at(on)
    midnight = datetime.combine(on, time(0), tzinfo=ARXIV_ZONE)
    return midnight.astimezone(UTC) - POLLING_STARTS


def is_opened_late(cadence: Cadence, on: date, opened_at: datetime) -> bool:
    """Return whether a weekly edition was opened so late that some of its digests are late."""
    return cadence is Cadence.WEEKLY and opened_at >= weekly_opens_at(on) + LATE_OPENING


def makes_up(cadence: Cadence, on: date, previous: date | None, now: datetime) -> bool:
    """Return whether the edition of `on`, opened at `now`, is late or has days that were missed."""
    first = covered_days(cadence, on, previous)[0]
    return is_opened_late(cadence, on, now) or bool(missed_dates(cadence, on, first))


def newest_due(now: datetime, newest: Mapping[Cadence, date]) -> dict[Cadence, date]:
    """Return the date of each cadence's edition that is to be opened next, if its day has come.

    `newest`: the date of each cadence's last edition. An edition of an earlier day was missed and
    never opens; its papers come in the next one. Only a weekly one opens up to six days late, but
    not on an installation that has had none: that has missed nothing.
    """
    today, monday = announcement_date(now), weekly_date(now)
    due = {c: today for c in (Cadence.DAILY, Cadence.WEEKDAYS) if is_cadence_day(c, today)}
    if Cadence.WEEKLY in newest or not is_opened_late(Cadence.WEEKLY, monday, now):
        due[Cadence.WEEKLY] = monday
    return {cadence: on for cadence, on in due.items() if newest.get(cadence, date.min) < on}


def awaited_days(cadence: Cadence, on: date, previous: date | None, now: datetime) -> list[date]:
    """Return the days whose batches an edition waits for: its own, and announcement days missed.

    A weekly one waits for none, since its week has passed its deadlines, unless it opens late: then
    the service is just back, and reads what it missed.
    """
    days = covered_days(cadence, on, previous)
    if cadence is Cadence.WEEKLY and not is_opened_late(cadence, on, now):
        return []
    return [day for day in days if day == on or is_announcement_day(day)]


def editions_due(
    now: datetime,
    batches: Iterable[BatchStatus],
    newest: Mapping[Cadence, date],
    back_at: datetime | None = None,
) -> tuple[tuple[Cadence, date], ...]:
    """Return the editions to open at `now`; `newest` has the date of each cadence's last one.

    They open once the batches of their `awaited_days` are in, or at today's deadline. `batches` are
    the gating sources' (a source that only enriches does not hold up the mail). Today without any
    batch opens only at the deadline, since its batches may still be announced. An edition that makes
    up for missed ones waits for an hour after `back_at`, when the service came back, even if its
    deadline has passed: so long the missed days are being read.
    """
    today, known = announcement_date(now), tuple(batches)
    is_over, is_known = is_past_deadline(today, now), any(b.announced_on == today for b in known)
    is_just_back = back_at is not None and now < back_at + READING

    def is_ready(cadence: Cadence, on: date) -> bool:
        days = awaited_days(cadence, on, newest.get(cadence), now)
        is_in = not any(unfinished(known, day) for day in days)
        if is_in and (is_known or cadence is Cadence.WEEKLY):
            return True
        return is_over and not (is_just_back and makes_up(cadence, on, newest.get(cadence), now))

    return tuple(
        (cadence, on) for cadence, on in newest_due(now, newest).items() if is_ready(cadence, on)
    )
