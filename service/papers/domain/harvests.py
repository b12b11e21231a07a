"""Since when a category's changes are harvested by OAI-PMH."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

REREAD_DAYS: Final = 7
OVERLAP: Final = timedelta(days=1)


def harvest_from(today: date, responded_at: datetime | None, reread_on: date | None) -> date:
    """Return the first day (UTC) of the next harvest.

    The server's last `responseDate` with a day's overlap, as the protocol advises (OAI-PMH 2.0,
    implementation guidelines for harvesters); once on each date, and the first time, the last seven
    days. After a longer pause both are what changed since then.
    """
    week = today - timedelta(days=REREAD_DAYS)
    if responded_at is None:
        return week
    last = responded_at.astimezone(UTC).date() - OVERLAP
    return last if reread_on == today else min(last, week)
