"""When papers usually reach a subscriber: the first digest after a sign-up, and an example of a day.

Both ask the schedule (`due_at`), with the hour at which a day is usually complete. arXiv's holidays
are not predicted: then a digest comes a day later.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from service.deliveries.domain.recipients import Cadence, Timing
from service.editions.domain.schedule import collecting_opens_at, due_at, is_cadence_day
from service.papers.domain.announcement_days import (
    ARXIV_ZONE,
    announcement_date,
    is_announcement_day,
)

# New York time; arXiv rebuilds its feeds at midnight, and they are read within half an hour.
USUAL_COMPLETION = time(0, 30)

_DAY = timedelta(days=1)
_TUESDAY = 1


class ChosenTimes(Protocol):
    """The choices that decide when digests come: a subscriber's, or validated `Preferences`."""

    @property
    def cadence(self) -> Cadence: ...
    @property
    def hour(self) -> int: ...
    @property
    def timezone(self) -> str: ...
    @property
    def timing(self) -> Timing: ...


@dataclass(frozen=True, slots=True)
class Times:
    """A `ChosenTimes` of its own: cadence, local hour (0..23), tz database zone, timing."""

    cadence: Cadence
    hour: int
    timezone: str
    timing: Timing


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a digest comes: `at` in the subscriber's zone, `is_about` where it is no chosen hour."""

    at: datetime
    is_about: bool


def usual_opening(cadence: Cadence, on: date) -> datetime:
    """Return when the edition of a date usually opens: at once when its day is complete.

    A weekly or monthly one, of the days before its own, opens before that begins anywhere (UTC+14).
    """
    if cadence.collects_days:
        return collecting_opens_at(on)
    return datetime.combine(on, USUAL_COMPLETION, tzinfo=ARXIV_ZONE).astimezone(UTC)


def find_arrival(chosen: ChosenTimes, on: date) -> Arrival:
    """Return when the edition of a date usually reaches a subscriber."""
    opened_at = usual_opening(chosen.cadence, on)
    due = due_at(chosen.cadence, on, opened_at, chosen.hour, chosen.timezone, chosen.timing)
    is_about = due == opened_at and chosen.timing is Timing.WHEN_COMPLETE
    return Arrival(due.astimezone(ZoneInfo(chosen.timezone)), is_about)


def find_first_digest(chosen: ChosenTimes, now: datetime) -> Arrival:
    """Return when a subscriber who confirms at `now` gets the first digest, if papers match."""
    arrivals = (
        find_arrival(chosen, on)
        for on in _days_from(announcement_date(now))
        if _has_papers(chosen.cadence, on) and usual_opening(chosen.cadence, on) > now
    )
    # A digest held over a weekend comes with the next one, which may be due before it.
    return min(itertools.islice(arrivals, 2), key=lambda arrival: arrival.at)


def _days_from(on: date) -> Iterator[date]:
    while True:
        yield on
        on += _DAY


def _has_papers(cadence: Cadence, on: date) -> bool:
    return is_cadence_day(cadence, on) if cadence.collects_days else is_announcement_day(on)


@dataclass(frozen=True, slots=True)
class DayExample:
    """How the papers announced on one evening in New York come: `chosen`, and `other`wise.

    `on` is the date of their day, the one after that evening. `waiting`: days of the same week
    whose papers wait longer, over a weekend. `is_late`: the day is complete only after the
    subscriber's hour, so that at that hour its papers come on the next day.
    """

    on: date
    chosen: Arrival
    other: Arrival
    waiting: tuple[tuple[date, Arrival], ...]
    is_late: bool


def find_example(chosen: ChosenTimes, now: datetime) -> DayExample:
    """Return how the papers of the coming Tuesday reach a daily or weekdays subscriber."""
    on = next(day for day in _days_from(announcement_date(now)) if day.weekday() == _TUESDAY)
    arrivals = {
        timing: find_arrival(Times(chosen.cadence, chosen.hour, chosen.timezone, timing), on)
        for timing in Timing
    }
    mine = arrivals[chosen.timing]
    (other,) = (arrivals[timing] for timing in Timing if timing is not chosen.timing)
    week = [on + number * _DAY for number in range(-1, 4)]
    waiting = tuple(
        (day, found)
        for day in week
        if (found := find_arrival(chosen, day)).at.date() - day != mine.at.date() - on
    )
    is_late = arrivals[Timing.AT_HOUR].at.date() > on
    return DayExample(on, mine, other, waiting, is_late)
