"""Chaos test: random faults by seed against real workers, and checks of the guarantees.

`--seeds 500` of them (from `--first`), or one in detail: `--seed 137`. `--lanes` run in parallel on
one PostgreSQL and one Valkey that are started here. Progress on stderr; on stdout a table by kind of
fault and, as its last line, one JSON object. Exit status 1 if a guarantee was broken; then the
seed's schedule and its workers' log are on stderr. docs/reliability.md has the guarantees.
"""

import argparse
import json
import math
import os
import platform
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

# The harness is the tests' own.
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / part) for part in ("tests", "")]

from support.chaos import lost_machine, promises  # noqa: E402
from support.chaos.lane import Lane, fork_environment, open_lane  # noqa: E402  # the path must come first
from support.chaos.plan import KINDS, make_plan  # noqa: E402
from support.chaos.promises import Result, check  # noqa: E402
from support.chaos.world import Story, open_story  # noqa: E402
from support.servers.databases import (  # noqa: E402
    make_home,
    make_template,
    remove_home,
    start_servers,
    with_number,
)

from service.cli.processes import ending_at_signals  # noqa: E402
from service.platform.database.migrate import upgrade  # noqa: E402

SUMS = ("kills", "stops", "mails", "resent", "in_doubt", "skipped", "failed", "left")
# Valkey has sixteen numbered databases, and the first is not used.
MOST_LANES = 15

stderr = Console(stderr=True)


def main() -> int:
    options = read_arguments(sys.argv[1:])
    seeds = (
        [options.seed]
        if options.seed is not None
        else range(options.first, options.first + options.seeds)
    )
    began = time.monotonic()
    ends_at = began + 60 * options.minutes if options.minutes else math.inf
    try:
        with ending_at_signals(), home():
            results = run_seeds(list(seeds), min(options.lanes, MOST_LANES, len(seeds)), ends_at)
    except KeyboardInterrupt:
        print("chaos: ended before its time", file=sys.stderr)
        return 128 + signal.SIGINT
    broken = [one for one in results if one.broken]
    print_table(results)
    print(
        json.dumps(
            {
                **{name: sum(getattr(one, name) for one in results) for name in SUMS},
                "seeds": len(results),
                "first_seed": seeds[0],
                "violations": sum(len(one.broken) for one in results),
                "broken_seeds": [one.seed for one in broken],
                "by_kind": dict(rows_of(results)),
                "seconds": round(time.monotonic() - began, 1),
                "lanes": options.lanes,
                "cores": os.cpu_count(),
                "python": platform.python_version(),
            }
        )
    )
    return 1 if broken else 0


@contextmanager
def home() -> Iterator[None]:
    make_home()
    try:
        yield
    finally:
        remove_home()


def read_arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/chaos.py", description="Break it, and count.")
    parser.add_argument("--seeds", type=int, default=500, help="how many (500)")
    parser.add_argument("--first", type=int, default=0, help="the first one (0)")
    parser.add_argument("--seed", type=int, help="only this one, with its schedule")
    parser.add_argument("--lanes", type=int, default=3, help="how many side by side (3)")
    parser.add_argument("--quick", action="store_true", help="25 seeds")
    parser.add_argument("--minutes", type=float, help="begin no seed after so long")
    options = parser.parse_args(words)
    if options.quick:
        options.seeds = 25
    if options.seeds < 1 or options.lanes < 1:
        parser.error("--seeds and --lanes are at least 1")
    return options


def run_seeds(seeds: Sequence[int], lane_count: int, ends_at: float) -> list[Result]:
    waiting: SimpleQueue[int | None] = SimpleQueue()
    for one in [*seeds, *[None] * lane_count]:
        waiting.put(one)
    results: list[Result] = []
    ended = threading.Event()
    with ExitStack() as stack:
        servers = stack.enter_context(start_servers())
        template = make_template(servers, upgrade)
        stack.enter_context(fork_environment(servers))
        progress = stack.enter_context(progress_bar())
        task = progress.add_task("", total=len(seeds), broken=0)

        def run_lane(number: int) -> None:
            redis_url = with_number(servers.redis_url, number + 1)
            with open_lane(servers, template, redis_url, f"chaos{number}") as opened:
                lane = replace(opened, ended=ended)
                while (seed := waiting.get()) is not None and time.monotonic() < ends_at:
                    results.append(run_seed(lane, seed, is_alone=len(seeds) == 1))
                    count = sum(bool(one.broken) for one in results)
                    progress.update(task, advance=1, broken=count)
                    if not stderr.is_terminal and len(results) % 25 == 0:
                        stderr.print(f"chaos: {len(results)} of {len(seeds)}, {count} broken")

        pool = stack.enter_context(ThreadPoolExecutor(lane_count))
        # Before the pool waits for its lanes, because only the lanes end their workers.
        stack.callback(end_lanes, ended)
        list(pool.map(run_lane, range(lane_count)))
    return sorted(results, key=lambda one: one.seed)


def end_lanes(ended: threading.Event) -> None:
    """Stop the running seeds; ignore further signals, which would leave workers behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ended.set()


def progress_bar() -> Progress:
    return Progress(
        TextColumn("chaos"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[broken]} broken"), console=stderr,
    )  # fmt: skip


def run_seed(lane: Lane, seed: int, *, is_alone: bool) -> Result:
    plan, kind, kept = make_plan(seed), Story, promises.PROMISES
    if lost_machine.loses_machine(seed):
        plan, kind = lost_machine.plan_loss(seed), lost_machine.LostMachine
        kept = lost_machine.PROMISES
    with open_story(lane, plan, kind) as story:
        story.run()
        result = check(story, kept)
        if result.broken or is_alone:
            stderr.print_json(json.dumps(plan.as_json()))
        if result.broken:
            stderr.print(story.log()[-6000:], markup=False, highlight=False)
            stderr.print(f"seed {seed} broke:", *result.broken, sep="\n  ", markup=False)
    return result


def print_table(results: Sequence[Result]) -> None:
    columns = ("seeds", *SUMS, "violations")
    table = Table(title="Chaos by kind of fault")
    table.add_column("fault")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for name, figures in rows_of(results):
        table.add_row(name, *(str(figures[column]) for column in columns))
    Console(width=160).print(table)


def rows_of(results: Sequence[Result]) -> Iterator[tuple[str, dict[str, int]]]:
    by_kind: dict[str, list[Result]] = defaultdict(list)
    for one in results:
        by_kind[one.kind].append(one)
    for kind in (*KINDS, lost_machine.KIND):
        if kind in by_kind:
            yield kind, figures_of(by_kind[kind])
    yield "all", figures_of(results)


def figures_of(results: Sequence[Result]) -> dict[str, int]:
    sums = {name: sum(getattr(one, name) for one in results) for name in SUMS}
    return {**sums, "seeds": len(results), "violations": sum(len(one.broken) for one in results)}


if __name__ == "__main__":
    sys.exit(main())
