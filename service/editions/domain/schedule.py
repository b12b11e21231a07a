"""The schedule: on which days daily, weekday and weekly editions open, and when a digest is due.

A weekly edition opens on Monday, a weekdays edition from Monday to Friday, a daily one every day:
once that day's batches are in, or at the deadline. Each of its digests is due at the subscriber's
hour of that day, in the subscriber's time zone.
"""

import itertools
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from service.deliveries.domain.recipients import Cadence, Timing
from service.papers.domain.announcement_days import announcement_date, is_past_deadline
from service.papers.domain.completeness import BatchStatus, unfinished
from service.platform.time_zones import subscriber_hour

# How far back an edition looks for papers that no earlier edition of its cadence carried. More than
# the week for which days are fetched again plus the days between two editions: the next edition
# must reach a paper of a week ago that was found just after this one.
LOOKBACK_DAYS = {Cadence.DAILY: 14, Cadence.WEEKDAYS: 14, Cadence.WEEKLY: 21}


def is_cadence_day(cadence: Cadence, on: date) -> bool:
    """Return whether a cadence publishes on a date: weekdays skip weekends, weekly is Mondays."""
    if cadence is Cadence.WEEKDAYS:
        return on.weekday() < 5
    if cadence is Cadence.WEEKLY:
        return on.weekday() == 0
    return True


def covered_days(cadence: Cadence, on: date) -> list[date]:
    """Return the days whose announcements an edition covers, oldest first, its own date last."""
    days = [on]
    while not is_cadence_day(cadence, days[0] - timedelta(days=1)):
        days.insert(0, days[0] - timedelta(days=1))
    return days


def next_cadence_day(cadence: Cadence, on: date) -> date:
    """Return the first date from `on` on which a cadence publishes."""
    while not is_cadence_day(cadence, on):
        on += timedelta(days=1)
    return on


def due_at(
    cadence: Cadence, on: date, opened_at: datetime, hour: int, zone: str, timing: Timing
) -> datetime:
    """Return when a digest of the edition of `on`, opened at `opened_at`, is due.

    At the first moment from `opened_at` at which the clock of `zone` (an IANA name) shows the
    subscriber's `hour`, on a day of the cadence there: weekdays digests never come on a Saturday or
    Sunday, a weekly one comes on its edition's date, a Monday, or as soon after it as it was opened.
    With `WHEN_COMPLETE` a daily or weekdays digest is due at once, if its cadence comes on that day.
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
        and (due := subscriber_hour(day, hour, zone)) >= opened_at
    )


def editions_due(
    now: datetime, batches: Iterable[BatchStatus], published: frozenset[tuple[Cadence, date]]
) -> tuple[tuple[Cadence, date], ...]:
    """Return the editions to open at `now`: today's, once its batches are in or at the deadline.

    `batches` are the gating sources' (a source that only enriches does not hold up the mail). A
    date without any batch opens only at the deadline, since its batches may still be announced.
    """
    on = announcement_date(now)
    known = [b for b in batches if b.announced_on == on]
    is_ready = bool(known) and not unfinished(known, on)
    if not is_ready and not is_past_deadline(on, now):
        return ()
    return tuple(
        (cadence, on)
        for cadence in Cadence
        if is_cadence_day(cadence, on) and (cadence, on) not in published
    )
