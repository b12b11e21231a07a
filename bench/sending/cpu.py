"""Processor time of the servers of `send.py`, read from /proc on Linux."""

import os
from dataclasses import dataclass
from pathlib import Path

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


def postgres_seconds(parent: int) -> float:
    """Return the seconds of a PostgreSQL and all its backends, also those that have ended."""
    total = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        fields = _stat(int(folder.name))
        if folder.name == str(parent):
            total += _sum(fields[_OWN]) + _sum(fields[_REAPED])
        elif fields and int(fields[_PARENT]) == parent:
            total += _sum(fields[_OWN])
    return total / _TICKS


def own_seconds(process: int) -> float:
    """Return the seconds of one process without its children."""
    return _sum(_stat(process)[_OWN]) / _TICKS


def _stat(process: int) -> list[str]:
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    # The name, in parentheses, may contain blanks and parentheses.
    return stat.rpartition(")")[2].split()


def _sum(fields: list[str]) -> int:
    return sum(map(int, fields))
