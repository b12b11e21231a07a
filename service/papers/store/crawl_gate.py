"""A rate limiter shared by all processes and machines: one connection, a gap, a back-off.

A Postgres advisory lock admits one connection at a time (it is released when its holder dies); a
row holds when the next request may start, by the database's clock, so machines' clocks may differ.
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

from service.papers.domain.crawl_delay import GAP, RateLimited, back_off
from service.papers.store.models import Gate as GateRow

LOCK_CLASS = 20593

# A longer wait is not slept through: the caller retries with the next wake-up task.
LONGEST_SLEEP = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class SharedRateLimiter:
    """A `RateLimiter` in Postgres. `name_of` maps a URL to its gate's name, "" for no limit."""

    engine: Engine
    name_of: Callable[[str], str]
    gap: timedelta = GAP
    sleep: Callable[[float], None] = time.sleep

    @contextmanager
    def hold(self, url: str) -> Iterator[None]:
        """Hold this host's advisory lock. Raises `RateLimited` if it is not free within 120 s."""
        name = self.name_of(url)
        if not name:
            yield
            return
        with self._exclusive(name):
            yield

    def wait(self, url: str) -> None:
        """Sleep until the next request may start; take that slot. Raises `RateLimited` over 60 s."""
        name = self.name_of(url)
        if not name:
            return
        with self._connect() as connection:
            remaining = self._remaining(connection, name)
            if remaining > LONGEST_SLEEP:
                raise RateLimited(name, remaining.total_seconds())
            self.sleep(max(0.0, remaining.total_seconds()))
            self._set(connection, name, self.gap, failure_count=None)

    def report(self, url: str, *, is_refused: bool, retry_after_seconds: float | None) -> None:
        """Record the host's answer; a refusal closes the gate to all, with exponential back-off."""
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
    def _exclusive(self, name: str) -> Iterator[None]:
        key = zlib.crc32(name.encode()) & 0x7FFFFFFF
        with self._connect() as connection:
            # The lock is held for another process's whole request, longer than other locks.
            connection.execute(text("SET lock_timeout = '120s'"))
            # The wait is a statement of its own, which a worker's limit would cut short.
            connection.execute(text("SET statement_timeout = 0"))
            try:
                connection.execute(select(func.pg_advisory_lock(LOCK_CLASS, key)))
            except OperationalError as error:
                raise RateLimited(name, 120) from error
            try:
                yield
            finally:
                # Closing also releases the lock if the connection is broken; unlocking might not.
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
