"""Locks that child processes hold, so that the next `up` finds those of a killed one.

Each child inherits an open file with a lock, and so do the processes of its pool: the kernel releases
the lock with the last of them. The file has the child's process id, which is also its group's. While
the lock is held a member of the group lives, so the number cannot be another process's.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from service.cli.context import CommandError
from service.platform.embedded.locks import is_held, open_lock, try_lock
from service.platform.embedded.paths import make_data_dir

_PAUSE_SECONDS = 0.05


@contextmanager
def hold_data_dir(data_dir: Path) -> Iterator[None]:
    """Be the only one in a data directory who runs the service's processes, for a block.

    Raises `CommandError` where another one does.
    """
    make_data_dir(data_dir)
    descriptor = open_lock(data_dir / "run" / "up")
    try:
        if not try_lock(descriptor):
            number = os.pread(descriptor, 20, 0).decode()
            raise CommandError(
                f"process {number} runs the service of {data_dir} already: stop it first, or set"
                " PAPERBOY_DATA_DIR"
            )
        _write_pid(descriptor, os.getpid())
        yield
    finally:
        os.close(descriptor)


def _write_pid(descriptor: int, pid: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(pid).encode(), 0)


@dataclass(frozen=True, slots=True)
class ChildLock:
    """A locked file for one child to inherit."""

    descriptor: int

    def note(self, pid: int) -> None:
        """Write the child's process id and leave the lock to the child."""
        _write_pid(self.descriptor, pid)
        os.close(self.descriptor)


def make_child_lock(data_dir: Path, name: str) -> ChildLock:
    """Return a lock for a new child; processes of an earlier one may still hold theirs."""
    number = 1
    while True:
        descriptor = open_lock(_folder(data_dir) / f"{name}.{number}")
        if try_lock(descriptor):
            os.ftruncate(descriptor, 0)
            return ChildLock(descriptor)
        os.close(descriptor)
        number += 1


def _folder(data_dir: Path) -> Path:
    folder = data_dir / "run" / "children"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def end_left_behind(
    data_dir: Path,
    stop_seconds: Callable[[str], float],
    announce: Callable[[str], None] = lambda _: None,
) -> None:
    """End what is left of children whose parent is gone, in order, as if it had ended them.

    Each gets SIGTERM, and is killed with its group after its `stop_seconds`. The caller holds the
    data directory. Raises `CommandError` for one that lives and is not known by number.
    """
    found = [(path.name.rpartition(".")[0], path) for path in sorted(_folder(data_dir).iterdir())]
    left = {path: (name, _read_pid(path)) for name, path in found if is_held(path)}
    for name, pid in left.values():
        announce(f"{name} of an `up` that was killed still runs (process {pid}): ending it first")
        with suppress(ProcessLookupError):  # Only its pool is left, which ends with its tasks.
            os.kill(pid, signal.SIGTERM)
    began = time.monotonic()
    for path, (name, pid) in sorted(left.items(), key=lambda item: stop_seconds(item[1][0])):
        while is_held(path) and time.monotonic() < began + stop_seconds(name):
            time.sleep(_PAUSE_SECONDS)
        _kill_group(path, pid)
    for _, path in found:
        path.unlink()


def _read_pid(path: Path) -> int:
    try:
        return int(path.read_text())
    except ValueError as error:
        raise CommandError(
            f"a process of an `up` that was killed still holds {path}: end it, then try again"
        ) from error


def _kill_group(path: Path, pid: int) -> None:
    while is_held(path):
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)
