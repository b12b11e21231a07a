"""Measure again where the host of a virtual machine gives much of its processors to others."""

import os
import time
from collections.abc import Callable
from operator import itemgetter
from typing import TypeVar

from sending.cpu import stolen_seconds

T = TypeVar("T")

# The share of all cores' time that others may take, and how often it is measured at most.
QUIET, MOST_TIMES = 0.02, 5


def measure_quietly(measure: Callable[[], tuple[float, T]]) -> list[tuple[float, T]]:
    """Measure until others take little; return each time with their share, the quietest first.

    So the quietest counts, whatever its figures.
    """
    times = [measure()]
    while len(times) < MOST_TIMES and times[-1][0] > QUIET:
        times.append(measure())
    return sorted(times, key=itemgetter(0))


def watch_stolen() -> Callable[[], float]:
    """Return a function for the share of all cores' time that others have taken since this call."""
    stolen, started = stolen_seconds(), time.perf_counter()

    def share() -> float:
        seconds = (time.perf_counter() - started) * (os.cpu_count() or 1)
        return round((stolen_seconds() - stolen) / seconds, 3)

    return share
