"""A log file of limited size that several processes may write at once."""

import fcntl
import logging
import os
from pathlib import Path

MAX_BYTES = 10_000_000
# Older files are `worker.log.1` (the newest of them) to `worker.log.5`.
GENERATIONS = 5


class LogFile(logging.Handler):
    """Append each record as one line; start a new file when this one is full.

    Any number of processes may write to `path`: a line is one `write` in append mode, the files are
    renamed under a lock on their directory, and a process that finds another file under its name
    continues there. `also` are file descriptors that follow to each new file, such as that of
    stderr, so that the last words of a dying interpreter are in the newest file as well.
    """

    def __init__(self, path: Path, also: tuple[int, ...] = (), max_bytes: int = MAX_BYTES) -> None:
        super().__init__()
        self._path, self._also, self._max_bytes = path, also, max_bytes
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = -1
        self._open()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n".encode(errors="backslashreplace")
            if not self._has_room():
                self._renew()
            os.write(self._descriptor, line)
        except Exception:  # noqa: BLE001  # as every handler of the standard library does
            self.handleError(record)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()

    def _has_room(self) -> bool:
        """Return whether our file still has the name, and is not full."""
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False
        return named.st_size < self._max_bytes and os.path.samestat(
            named, os.fstat(self._descriptor)
        )

    def _renew(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            # Another process may have renamed the files while this one waited for the lock.
            if self._path.exists() and self._path.stat().st_size >= self._max_bytes:
                for number in range(GENERATIONS, 0, -1):
                    older = self._generation(number - 1)
                    if older.exists():
                        older.replace(self._generation(number))
            self._open()
        finally:
            os.close(folder)

    def _generation(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self._path, flags, 0o640)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        for other in self._also:
            os.dup2(descriptor, other)
