"""Two processes that prepare, wait for each other, and are timed from then on."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, TypeAlias

PROCESSES = 2

Prepare: TypeAlias = Callable[[str, Any], Callable[[], Any]]
"""Of a database and one process' part of the work: the work, ready to be timed.

What it returns is the result, or, where telling it takes time of its own, what tells it afterwards.
"""


@dataclass(frozen=True)
class Outcome:
    """Seconds from the first start to the last end, processor time of these processes alone,
    each part's result, and peak memory in MiB.
    """

    seconds: float
    cpu_seconds: float
    results: list[Any]
    peak_mib: float


class _Here:
    gate: Barrier


def run_together(prepare: Prepare, database_url: str, parts: Sequence[Any]) -> Outcome:
    """Run one part in each of `PROCESSES` fresh processes, all starting at the same time."""
    assert len(parts) == PROCESSES
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, context, _meet, (gate,)) as pool:
        done = list(pool.map(_do_part, repeat(prepare), repeat(database_url), parts))
    starts, ends, cpus, results, peaks = zip(*done, strict=True)
    return Outcome(max(ends) - min(starts), sum(cpus), list(results), sum(peaks))


def _meet(gate: Barrier) -> None:
    _Here.gate = gate


def _do_part(
    prepare: Prepare, database_url: str, part: object
) -> tuple[float, float, float, object, float]:
    work = prepare(database_url, part)
    _Here.gate.wait()
    start = time.perf_counter()  # one clock for all processes of a machine
    cpu, result = time.process_time(), work()
    cpu, end = time.process_time() - cpu, time.perf_counter()
    return start, end, cpu, result() if callable(result) else result, _read_peak_mib()


def _read_peak_mib() -> float:
    """Return the peak memory of this process. Not getrusage, which counts the parent's before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
