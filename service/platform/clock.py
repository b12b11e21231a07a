"""The system clock, read only here; all other code takes `now`, or a clock, as an argument."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def clock_from(start: datetime | None) -> Clock:
    """Return a clock that shows `start` now and runs on; without `start`, the system clock."""
    if start is None:
        return system_clock
    began = time.monotonic()
    return lambda: start + timedelta(seconds=time.monotonic() - began)
