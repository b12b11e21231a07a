"""The rows that a process has on the wire, and the lock that keeps the sweep from them.

They belong to the process and not to a run: a message may hang for ten minutes, and the run that
sent it ends before (decision 0018).
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.states import SendOutcome
from service.sending.record_outcomes import InFlight
from service.sending.store.claim import hold_sender_lock

# How often late replies are read between two runs.
_WATCH_SECONDS = 1.0


class OnWire:
    """Rows in flight by delivery id, and outcomes that are not recorded yet.

    While there are rows the process keeps one sender number and its advisory lock. One thread at a
    time works with them.
    """

    def __init__(self) -> None:
        self.rows: dict[int, InFlight] = {}
        self.landed: dict[int, SendOutcome] = {}
        self._guard = threading.Lock()
        self._watcher: threading.Thread | None = None
        self._owner = 0
        self._lock = ExitStack()
        self._connection: Connection | None = None

    @contextmanager
    def hold(self, sessions: sessionmaker[Session]) -> Iterator[int]:
        """Yield the number of this sender, with its lock held: a new one where nothing is in flight.

        The lock is kept afterwards if there are still rows in flight.
        """
        with self._guard:
            if not self.rows:
                self._owner = secrets.randbelow(2**31 - 1) + 1
            if not self._is_held():
                self._connection = self._lock.enter_context(hold_sender_lock(sessions, self._owner))
            try:
                yield self._owner
            finally:
                if not self.rows:
                    self._release()

    def watch(self, look: Callable[[], None]) -> None:
        """Call `look` every second, in a thread of its own, while there are rows in flight.

        The next run may be another process's, or come late; a reply that nobody reads would leave
        its row in doubt.
        """

        def keep_looking() -> None:
            while self.rows:
                time.sleep(_WATCH_SECONDS)
                look()

        if self.rows and (self._watcher is None or not self._watcher.is_alive()):
            self._watcher = threading.Thread(target=keep_looking, daemon=True)
            self._watcher.start()

    def _is_held(self) -> bool:
        """Return whether the lock is held; it is lost with its connection."""
        if self._connection is None:
            return False
        try:
            self._connection.execute(select(1))
        except DBAPIError:
            self._release()
            return False
        return True

    def _release(self) -> None:
        self._connection = None
        self._lock.close()
