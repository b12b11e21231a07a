"""Advisory file locks (flock): claims that the kernel drops when their process dies.

A lock belongs to the open file, so a server started with the file inherits the claim: as long as
any of its processes lives the lock is held, and no stale pid file can pretend otherwise.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE_SECONDS = 0.02


def open_lock(path: Path) -> int:
    """Open a lock file, made if missing; the caller closes it (and with it drops the claim)."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Claim without waiting; True when the claim is ours."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_lock(descriptor: int, seconds: float, *, shared: bool = False) -> bool:
    """Claim, waiting at most `seconds`; flock itself knows no timeout."""
    deadline = time.monotonic() + seconds
    while not try_lock(descriptor, shared=shared):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_SECONDS)
    return True


def is_held(path: Path, *, shared: bool = False) -> bool:
    """Whether somebody holds the lock; with `shared`, whether somebody holds it alone."""
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
        # Closing is enough, and right after a fork too: an unlock would drop the parent's claim.
        os.close(descriptor)
