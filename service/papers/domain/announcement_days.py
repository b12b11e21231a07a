"""When things happen. Zones, weekends and month ends live here and nowhere else.

Sources: arXiv's availability page (announcements at 20:00 US Eastern, feeds rebuilt at midnight
Eastern, none on Friday and Saturday nights). Windows are half-open: [from, until).
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ARXIV_ZONE = ZoneInfo("America/New_York")

# Past this hour (New York) a day's edition goes out with what there is, and says what is missing.
DEADLINE_HOUR = 10


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


def is_past_deadline(on: date, now: datetime) -> bool:
    """Whether an edition of that date must not wait for its sources any longer."""
    deadline = datetime.combine(on, time(DEADLINE_HOUR), tzinfo=ARXIV_ZONE)
    return now >= deadline
