"""When things happen. Zones, weekends and month ends live here and nowhere else.

Sources: arXiv's availability page (announcements at 20:00 US Eastern, feeds rebuilt at midnight
Eastern, none on Friday and Saturday nights). Windows are half-open: [from, until).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from service.papers.domain.types import BatchState, Cadence

ARXIV_ZONE = ZoneInfo("America/New_York")

# Past this hour (New York) a day's edition goes out with what there is, and says what is missing.
DEADLINE_HOUR = 10

# How far back an edition looks for papers that no earlier edition of its cadence carried. More
# than the week for which days are healed and the days between two editions taken together: a paper
# of a week ago, found just after one edition, must be in the reach of the next.
LOOKBACK_DAYS = {Cadence.DAILY: 14, Cadence.WEEKDAYS: 14, Cadence.WEEKLY: 21}


@dataclass(frozen=True, slots=True)
class BatchStatus:
    source: str
    category: str
    announced_on: date
    state: BatchState


def is_zone(name: str) -> bool:
    """Whether the tz database knows the zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def announcement_date(now: datetime) -> date:
    """The date on which arXiv's feeds, rebuilt at midnight Eastern, stand at `now`."""
    return now.astimezone(ARXIV_ZONE).date()


# arXiv announces at 20:00 New York time; the listing shows the next day's papers soon after.
POLLING_STARTS = timedelta(hours=3, minutes=30)


def polled_date(now: datetime) -> date:
    """The date whose batch is waited for: from 20:30 New York time on it is tomorrow's."""
    return (now.astimezone(ARXIV_ZONE) + POLLING_STARTS).date()


def is_announcement_day(on: date) -> bool:
    """Whether arXiv's feed of that date may hold papers: it skips Saturday and Sunday."""
    return on.weekday() < 5


def is_cadence_day(cadence: Cadence, on: date) -> bool:
    """Whether a cadence publishes on a date: weekdays skip the weekend, weekly is Monday's."""
    if cadence is Cadence.WEEKDAYS:
        return on.weekday() < 5
    if cadence is Cadence.WEEKLY:
        return on.weekday() == 0
    return True


def reader_hour(on: date, hour: int, zone: str) -> datetime:
    """The instant (UTC) of the reader's hour on a local date.

    An hour that the clocks skip in spring is taken as the same wall time before the change, one
    that comes twice in autumn as the first: each local date has exactly one such instant.
    """
    local = datetime.combine(on, time(hour), tzinfo=ZoneInfo(zone))
    return local.astimezone(UTC)


def due_at(on: date, hour: int, zone: str, opened_at: datetime) -> datetime:
    """When a digest is due: its edition is open *and* the reader's hour has come."""
    return max(opened_at, reader_hour(on, hour, zone))


def next_hour(now: datetime, hour: int, zone: str) -> datetime:
    """The next instant (UTC) after `now` at which the reader's hour comes."""
    today = now.astimezone(ZoneInfo(zone)).date()
    instant = reader_hour(today, hour, zone)
    return instant if instant > now else reader_hour(today + timedelta(days=1), hour, zone)


def is_past_deadline(on: date, now: datetime) -> bool:
    """Whether an edition of that date must not wait for its sources any longer."""
    deadline = datetime.combine(on, time(DEADLINE_HOUR), tzinfo=ARXIV_ZONE)
    return now >= deadline


def unfinished(batches: Iterable[BatchStatus], on: date) -> tuple[BatchStatus, ...]:
    """The batches of a date that an edition should still wait for."""
    waiting = {BatchState.EXPECTED, BatchState.PARTIAL}
    return tuple(b for b in batches if b.announced_on == on and b.state in waiting)


def editions_due(
    now: datetime,
    batches: Iterable[BatchStatus],
    published: frozenset[tuple[Cadence, date]],
) -> tuple[tuple[Cadence, date], ...]:
    """The editions to open at `now`: those of today whose batches are in, or past the deadline.

    `batches` are the gating sources' (a source that only enriches does not hold up the mail). A
    date of which no batch was ever seen opens only at the deadline: silence is not completeness.
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
