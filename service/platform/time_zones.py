"""Time zones: local hours as instants in UTC."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def is_zone(name: str) -> bool:
    """Return whether the tz database has a zone of this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def subscriber_hour(on: date, hour: int, zone: str) -> datetime:
    """Return the instant (UTC) of a subscriber's hour on a local date.

    An hour that does not exist in spring is read with the UTC offset before the change, an hour that
    occurs twice in autumn is the first one: each local date has exactly one such instant.
    """
    local = datetime.combine(on, time(hour), tzinfo=ZoneInfo(zone))
    return local.astimezone(UTC)
