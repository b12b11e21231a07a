"""Local hours and the instants (UTC) they stand for."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def is_zone(name: str) -> bool:
    """Whether the tz database knows the zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def subscriber_hour(on: date, hour: int, zone: str) -> datetime:
    """The instant (UTC) of the reader's hour on a local date.

    An hour that the clocks skip in spring is taken as the same wall time before the change, one
    that comes twice in autumn as the first: each local date has exactly one such instant.
    """
    local = datetime.combine(on, time(hour), tzinfo=ZoneInfo(zone))
    return local.astimezone(UTC)
