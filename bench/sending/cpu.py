"""Processor time and memory of processes, read from /proc on Linux."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PROCESSES = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
# proc_pid_stat(5), counted from the state, the first field after the name.
_PARENT, _OWN, _REAPED = 1, slice(11, 13), slice(13, 15)


@dataclass(frozen=True)
class Servers:
    """The process ids of the servers; PostgreSQL's is that of its postmaster."""

    postgres: int
    sink: int


def find_postgres(home: Path) -> int:
    """Return the process id of the PostgreSQL that `Embedded` runs in this folder."""
    return int((home / "postgres" / "data" / "postmaster.pid").read_text().split()[0])


def tree_seconds(root: int) -> float:
    """Return the seconds of a process and all its descendants, also those that have ended."""
    stats = {
        int(one.name): _stat(int(one.name)) for one in _PROCESSES.iterdir() if one.name.isdigit()
    }
    total = sum(
        _sum(stats[pid][_OWN]) + _sum(stats[pid][_REAPED]) for pid in _find_tree(root, stats)
    )
    return total / _TICKS


def find_children(process: int) -> list[int]:
    """Return the ids of the processes that this one has started and that live."""
    ids = [int(one.name) for one in _PROCESSES.iterdir() if one.name.isdigit()]
    return [pid for pid in ids if (fields := _stat(pid)) and int(fields[_PARENT]) == process]


def _find_tree(root: int, stats: Mapping[int, list[str]]) -> list[int]:
    tree = [root] if stats.get(root) else []
    for parent in tree:  # It grows meanwhile.
        tree += [pid for pid, fields in stats.items() if fields and int(fields[_PARENT]) == parent]
    return tree


def own_seconds(process: int) -> float:
    """Return the seconds of one process without its children."""
    return _sum(_stat(process)[_OWN]) / _TICKS


def stolen_seconds() -> float:
    """Return how long the host of this machine made its cores wait, all of them together."""
    # proc_stat(5): the eighth number of the first line.
    return int((_PROCESSES / "stat").read_text().split(maxsplit=9)[8]) / _TICKS


def _stat(process: int) -> list[str]:
    try:
        stat = (_PROCESSES / str(process) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    # The name, in parentheses, may contain blanks and parentheses.
    return stat.rpartition(")")[2].split()


def _sum(fields: list[str]) -> int:
    return sum(map(int, fields))


def peak_mib(process: int) -> float:
    """Return the peak resident memory of a process in MiB; 0 where it has ended.

    Not the `ru_maxrss` of getrusage, which starts at the peak of the parent process.
    """
    try:
        status = (_PROCESSES / str(process) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024 if "VmHWM:" in status else 0.0
