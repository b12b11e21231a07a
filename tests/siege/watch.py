"""Memory and restarts of the besieged processes, read from /proc once a second."""

import threading
from collections import Counter
from pathlib import Path
from typing import Self

PROC = Path("/proc")


class Watch:
    """`peaks` is the largest MiB of each kind of process, by its own share (PSS).

    Watched are `root`, its descendants, and the servers of `data_dir`, which outlive the process that
    started them.
    """

    def __init__(self, root: int, data_dir: Path) -> None:
        self.peaks: Counter[str] = Counter()
        self._root = root
        self._data_dir = str(data_dir)
        self._seen: dict[int, str] = {}
        self._first: set[int] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def peak_mib(self) -> int:
        return max(self.peaks.values(), default=0)

    @property
    def replaced(self) -> int:
        """How many pool processes came after the first ones."""
        return sum(1 for pid in self._seen.keys() - self._first if self._seen[pid] == "workers")

    @property
    def parts_ended(self) -> int:
        """How many of the parts that `up` started are gone; `up` replaces none."""
        return len(self._first_parts - self._parts())

    def __enter__(self) -> Self:
        self._look()
        self._first = set(self._seen)
        self._first_parts = self._parts()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(1.0):
            self._look()

    def _look(self) -> None:
        parents = _parents()
        roots = {self._root, *(pid for pid in parents if self._data_dir in _command_line(pid))}
        for pid in _descendants(roots, parents):
            kind, mib = _kind(pid), _share_mib(pid)
            if kind:
                self._seen.setdefault(pid, kind)
                self.peaks[kind] = max(self.peaks[kind], mib)

    def _parts(self) -> set[int]:
        return {pid for pid, parent in _parents().items() if parent == self._root}


def _parents() -> dict[int, int]:
    found = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = int(
                    (entry / "stat").read_text().rpartition(")")[2].split()[1]
                )
            except OSError:
                continue  # It has ended.
    return found


def _descendants(roots: set[int], parents: dict[int, int]) -> set[int]:
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _command_line(pid: int) -> str:
    try:
        return (
            (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        )
    except OSError:
        return ""


def _kind(pid: int) -> str:
    words = _command_line(pid)
    kinds = ("workers", "uvicorn", "postgres", "valkey", "service.cli")
    return next((kind for kind in kinds if kind in words), "other" if words else "")


def _share_mib(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("Pss:")), 0)
