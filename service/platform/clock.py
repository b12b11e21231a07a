"""The one place that reads the clock. Everything further in takes `now`, or a clock, as argument."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The present moment, aware, in UTC."""
    return datetime.now(UTC)


def clock_from(start: datetime | None) -> Clock:
    """A clock that shows `start` now and runs on from there; the real one without `start`."""
    if start is None:
        return system_clock
    began = time.monotonic()
    return lambda: start + timedelta(seconds=time.monotonic() - began)
