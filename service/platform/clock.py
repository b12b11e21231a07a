"""The system clock, read only here; all other code takes `now`, or a clock, as an argument."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

Clock = Callable[[], datetime]

# Set only by `paperboy demo --days`, for its child processes: a file with seconds to add.
DEMO_CLOCK = "PAPERBOY_DEMO_CLOCK"


def system_clock() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def process_clock() -> Clock:
    """Return the clock of this process: the system clock, or in a demo the one in its file."""
    path = os.environ.get(DEMO_CLOCK)
    return demo_clock(Path(path)) if path else system_clock


def clock_from(start: datetime | None) -> Clock:
    """Return a clock that shows `start` now and runs on; without `start`, the system clock."""
    if start is None:
        return system_clock
    began = time.monotonic()
    return lambda: start + timedelta(seconds=time.monotonic() - began)


def demo_clock(path: Path) -> Clock:
    """Return a clock that several processes share and `set_demo_clock` sets. It runs on."""
    return lambda: system_clock() + timedelta(seconds=float(path.read_text(encoding="ascii")))


def set_demo_clock(path: Path, now: datetime) -> None:
    """Let the clocks of this file show `now`; the file is replaced as a whole."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(repr((now - system_clock()).total_seconds()), encoding="ascii")
    fresh.replace(path)
