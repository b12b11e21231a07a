"""The gate that all processes on all machines share: one connection at a time, a gap, a back-off.

An advisory lock is the turnstile (Postgres drops it when its holder dies), a row holds when the
next request may start. The database's clock decides, so that machines need not agree on the time.
"""

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from service.papers.domain.crawl_delay import GAP, GateClosed, back_off
from service.papers.store.models import Gate as GateRow

LOCK_CLASS = 20593

# A longer wait is not slept through: the caller comes back with the next bell.
LONGEST_SLEEP = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class SharedRateLimiter:
    """`name_of` gives the gate's name for an address, empty for hosts that need none."""

    engine: Engine
    name_of: Callable[[str], str]
    gap: timedelta = GAP
    sleep: Callable[[float], None] = time.sleep

    @contextmanager
    def hold(self, url: str) -> Iterator[None]:
        """Be the only one who talks to this host. Raises `GateClosed` while it wants to be alone."""
        name = self.name_of(url)
        if not name:
            yield
            return
        with self._turn(name):
            yield

    def wait(self, url: str) -> None:
        """Sleep until the next request may start, and take that slot; for every hop of a redirect."""
        name = self.name_of(url)
        if not name:
            return
        with self._connect() as connection:
            remaining = self._remaining(connection, name)
            if remaining > LONGEST_SLEEP:
                raise GateClosed(name, remaining.total_seconds())
            self.sleep(max(0.0, remaining.total_seconds()))
            self._set(connection, name, self.gap, failure_count=None)

    def report(self, url: str, *, is_refused: bool, retry_after_seconds: float | None) -> None:
        """Tell how the host took it; a refusal keeps everybody away for a while."""
        name = self.name_of(url)
        if not name:
            return
        with self._connect() as connection:
            if not is_refused:
                self._set(connection, name, self.gap, failure_count=0)
                return
            row = connection.scalar(select(GateRow.failure_count).where(GateRow.name == name))
            failures = (row or 0) + 1
            delay = back_off(failures, retry_after_seconds)
            self._set(connection, name, delay, failure_count=failures)

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        options = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with options as connection:
            yield connection

    @contextmanager
    def _turn(self, name: str) -> Iterator[None]:
        key = zlib.crc32(name.encode()) & 0x7FFFFFFF
        with self._connect() as connection:
            # Somebody's whole request may be waited for, which takes longer than other locks.
            connection.execute(text("SET lock_timeout = '120s'"))
            try:
                connection.execute(select(func.pg_advisory_lock(LOCK_CLASS, key)))
            except OperationalError as error:
                raise GateClosed(name, 120) from error
            try:
                yield
            finally:
                # Closed rather than unlocked: a connection in doubt must not keep the turnstile.
                connection.invalidate()

    def _remaining(self, connection: Connection, name: str) -> timedelta:
        row = connection.execute(
            select(GateRow.next_at, func.clock_timestamp()).where(GateRow.name == name)
        ).one_or_none()
        if row is None:
            return timedelta(0)
        next_at: datetime = row[0]
        now: datetime = row[1]
        return next_at - now

    def _set(
        self, connection: Connection, name: str, delay: timedelta, failure_count: int | None
    ) -> None:
        next_at = func.clock_timestamp() + delay
        changes: dict[str, object] = {"next_at": func.greatest(GateRow.next_at, next_at)}
        if failure_count is not None:
            changes["failure_count"] = failure_count
        connection.execute(
            insert(GateRow)
            .values(name=name, next_at=next_at, failure_count=failure_count or 0)
            .on_conflict_do_update(index_elements=[GateRow.name], set_=changes)
        )
