"""A rate limiter shared by all processes and machines: one connection, gaps, closed gates.

A Postgres advisory lock admits one connection to a group of hosts at a time (it is released when
its holder dies); rows hold when the next request may start, by the database's clock, so machines'
clocks may differ.
"""

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, case, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import OperationalError

from service.papers.domain.crawl_delay import (
    HostRule,
    RateLimited,
    Refusals,
    Reply,
    closing_of,
    read_status,
    rule_of,
)
from service.papers.store.gates import is_closed
from service.papers.store.models import Gate as GateRow

LOCK_CLASS = 20593

# A longer wait is not slept through: the caller retries with the next wake-up task.
LONGEST_SLEEP_SECONDS = 60
# Longer than OAI-PMH usually takes for its first byte.
LONGEST_HOLD_SECONDS = 240


@dataclass(frozen=True, slots=True)
class SharedRateLimiter:
    """A `RateLimiter` in Postgres. `find_rule` maps a URL to what its host is owed.

    Another process's whole request is waited for `longest_hold_seconds`.
    """

    engine: Engine
    find_rule: Callable[[str], HostRule | None] = rule_of
    sleep: Callable[[float], None] = time.sleep
    longest_hold_seconds: int = LONGEST_HOLD_SECONDS

    @contextmanager
    def hold(self, url: str) -> Iterator[None]:
        """Hold the advisory lock of the host's group. Raises `RateLimited` if it is not free soon."""
        rule = self.find_rule(url)
        if rule is None or not rule.group:
            yield
            return
        with self._exclusive(rule.group):
            yield

    def wait(self, url: str) -> None:
        """Sleep until the next request may start; take that slot. Raises `RateLimited` over 60 s."""
        rule = self.find_rule(url)
        if rule is None:
            return
        with self._connect() as connection:
            remaining = self._remaining(connection, rule)
            if remaining:
                self.sleep(remaining)
                # Another process may have been refused meanwhile.
                self._remaining(connection, rule)
            self._keep_gaps(connection, rule)

    def report(self, url: str, status: int, retry_after_seconds: float | None) -> None:
        """Record the host's answer.

        A refusal closes its gate to all: a 403 for days, another with exponential back-off. A good
        answer ends the count of refusals.
        """
        rule = self.find_rule(url)
        if rule is None:
            return
        reply = read_status(status, retry_after_seconds)
        with self.engine.begin() as connection:
            self._keep_gaps(connection, rule)
            if reply is Reply.WELCOME:
                _forget_refusals(connection, rule)
            elif reply is not Reply.FAULTY:
                reason = f"HTTP {status}"
                _close(connection, rule.gate_of(reply), reply, reason, retry_after_seconds)

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
            connection.execute(text(f"SET lock_timeout = '{self.longest_hold_seconds}s'"))
            # The wait is a statement of its own, which a worker's limit would cut short.
            connection.execute(text("SET statement_timeout = 0"))
            try:
                connection.execute(select(func.pg_advisory_lock(LOCK_CLASS, key)))
            except OperationalError as error:
                raise RateLimited(name, self.longest_hold_seconds) from error
            try:
                yield
            finally:
                # Closing also releases the lock if the connection is broken; unlocking might not.
                connection.invalidate()

    def _remaining(self, connection: Connection, rule: HostRule) -> float:
        """Return the seconds to the next request. Raises `RateLimited` if they are too many."""
        last = connection.execute(
            select(GateRow.name, GateRow.reason, GateRow.next_at, func.clock_timestamp())
            .where(GateRow.name.in_(rule.gaps))
            .order_by(GateRow.next_at.desc())
            .limit(1)
        ).one_or_none()
        if last is None:
            return 0.0
        name, reason, next_at, now = last
        remaining = (next_at - now).total_seconds()
        if remaining > LONGEST_SLEEP_SECONDS:
            raise RateLimited(name, remaining, reason)
        return max(0.0, float(remaining))

    def _keep_gaps(self, connection: Connection, rule: HostRule) -> None:
        """Let the next request wait for the gap; a closing that is over leaves no reason behind."""
        for name, gap in rule.gaps.items():
            next_at = func.clock_timestamp() + gap
            connection.execute(
                insert(GateRow)
                .values(name=name, next_at=next_at)
                .on_conflict_do_update(
                    index_elements=[GateRow.name],
                    set_={
                        "next_at": func.greatest(GateRow.next_at, next_at),
                        "reason": case((is_closed(), GateRow.reason), else_=""),
                    },
                )
            )


def _forget_refusals(connection: Connection, rule: HostRule) -> None:
    """Forget counts and reasons, but not of a gate that another process has just closed."""
    connection.execute(
        update(GateRow)
        .where(GateRow.name.in_(rule.gaps), ~is_closed())
        .values(failure_count=0, forbidden_count=0, reason="")
    )


def _close(
    connection: Connection, name: str, reply: Reply, reason: str, retry_after_seconds: float | None
) -> None:
    """Close a gate; a refusal of a request that was on its way when it closed does not count."""
    row = connection.execute(
        select(GateRow, is_closed().label("is_closed"))
        .where(GateRow.name == name)
        .with_for_update()
    ).one()
    counted = Refusals(row.failure_count, row.forbidden_count)
    is_first_403 = reply is Reply.FORBIDDEN and row.reason != reason
    if not row.is_closed or is_first_403:
        counted = counted.add(reply)
    delay = closing_of(reply, counted, retry_after_seconds)
    connection.execute(
        update(GateRow)
        .where(GateRow.name == name)
        .values(
            next_at=func.greatest(GateRow.next_at, func.clock_timestamp() + delay),
            closed_at=case((is_closed(), GateRow.closed_at), else_=func.clock_timestamp()),
            failure_count=counted.failure_count,
            forbidden_count=counted.forbidden_count,
            # A refusal that comes after a 403 must not hide it.
            reason=case(
                (is_closed() & literal(reply is not Reply.FORBIDDEN), GateRow.reason), else_=reason
            ),
        )
    )
