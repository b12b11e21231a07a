"""Advisory file locks (flock), which the kernel releases when their process dies.

A lock belongs to the open file, so a server that inherits the file holds the lock for as long as
any of its processes lives. Unlike a pid file, such a lock cannot go stale.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE_SECONDS = 0.02


def open_lock(path: Path) -> int:
    """Open a lock file, created if missing; the caller closes it, which releases the lock."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Try to take the lock without waiting; return whether it was taken."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_lock(descriptor: int, seconds: float, *, shared: bool = False) -> bool:
    """Try for `seconds` to take the lock, by polling, since flock has no timeout."""
    deadline = time.monotonic() + seconds
    while not try_lock(descriptor, shared=shared):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def is_held(path: Path, *, shared: bool = False) -> bool:
    """Return whether any process holds the lock; with `shared`, whether one holds it exclusively."""
    descriptor = open_lock(path)
    try:
        return not try_lock(descriptor, shared=shared)
    finally:
        os.close(descriptor)


@contextmanager
def holding(path: Path, seconds: float, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock for a block. Raises TimeoutError when it stays taken for `seconds`."""
    descriptor = open_lock(path)
    try:
        if not wait_lock(descriptor, seconds, shared=shared):
            raise TimeoutError(f"{path} stays locked by another process")
        yield
    finally:
        # Close instead of LOCK_UN: in a forked child an unlock would release the parent's lock too.
        os.close(descriptor)
