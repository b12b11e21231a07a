"""arXiv's announcement days: which date a moment belongs to, weekends, and deadlines.

Source: arXiv's availability page (announcements at 20:00 US Eastern, feeds rebuilt at midnight
Eastern, none on Friday and Saturday nights).
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ARXIV_ZONE = ZoneInfo("America/New_York")

# After this hour (New York) a day's edition is sent incomplete, and says what is missing.
DEADLINE_HOUR = 10


def announcement_date(now: datetime) -> date:
    """Return the date of arXiv's feeds, which are rebuilt at midnight Eastern, at `now`."""
    return now.astimezone(ARXIV_ZONE).date()


# arXiv announces at 20:00 New York time; the listing shows the next day's papers soon after.
POLLING_STARTS = timedelta(hours=3, minutes=30)


def polled_date(now: datetime) -> date:
    """Return the date whose batch is awaited: from 20:30 New York time on, tomorrow."""
    return (now.astimezone(ARXIV_ZONE) + POLLING_STARTS).date()


def is_announcement_day(on: date) -> bool:
    """Return whether arXiv's feed of a date may hold papers: not on Saturday and Sunday."""
    return on.weekday() < 5


# The days of 2026 on which arXiv defers its announcements, by its own list. A list alone proves
# nothing: a day is a holiday where the listing agrees, and unlisted deferrals happen.
DEFERRALS = frozenset(
    date(2026, month, day)
    for month, day in (
        (1, 1), (1, 19), (6, 19), (7, 3), (9, 7), (11, 26), (12, 25), (12, 29), (12, 31),
    )
)  # fmt: skip


def is_listed_holiday(on: date) -> bool:
    """Return whether arXiv's calendar has the date, or the evening on which it is announced."""
    return not DEFERRALS.isdisjoint({on, on - timedelta(days=1)})


def deadline_of(on: date) -> datetime:
    """Return when an edition of a date must stop waiting for its sources."""
    return datetime.combine(on, time(DEADLINE_HOUR), tzinfo=ARXIV_ZONE)


def is_past_deadline(on: date, now: datetime) -> bool:
    """Return whether an edition of a date must stop waiting for its sources."""
    return now >= deadline_of(on)
