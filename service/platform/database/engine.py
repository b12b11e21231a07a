"""Database connections: one engine per process, plain sessions, one transaction per unit of work."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import inf
from select import POLLIN, poll
from time import monotonic
from typing import Any

import structlog
from sqlalchemy import Engine, Function, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

# The key in a connection's `info` of when it was last used, and how old that may be before it is asked.
_USED_AT = "used at"
_PING_AFTER_SECONDS = 1.0

# The key in `Session.info` of the lines to log once the transaction is committed.
_LINES = "log lines"
_ASYNCHRONOUS_COMMIT = "SET LOCAL synchronous_commit = off"

# The most time of a statement: for visitors, of whom each is one of many; for the operator's pages,
# which count; for workers. Commands have no limit.
WEB_SECONDS = 2
OPERATOR_SECONDS = 20
WORKER_SECONDS = 60
# What a transaction allows itself whose statements may move every row of a large edition.
BULK_SECONDS = 300

# The least limit of a transaction in which nothing happens. Between two statements a page computes for
# some hundredths of a second at most, and a busy machine makes that twenty times as long.
LEAST_IDLE_SECONDS = 2

# query_canceled, and idle_in_transaction_session_timeout, which ends the connection.
OUT_OF_TIME = frozenset({"57014", "25P03"})


def make_engine(
    database_url: str, *, pool_size: int = 5, most_seconds: int = 0, is_for_many: bool = False
) -> Engine:
    """Return an engine for `postgresql://…`, with psycopg 3 and every session in UTC.

    A statement waits for a lock for at most ten seconds (`lock_timeout`): a stuck process must show
    up as an error, not as a morning on which no mail is sent and nothing is logged. PostgreSQL cancels
    a statement after `most_seconds`, and ends a transaction that is idle for as long, but at least for
    two; 0 is no limit. `is_for_many` is for the short statements of many at once: none gets further
    processes of PostgreSQL, which take up to 30 ms to start and the processors from the others.
    """
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    limits = {
        "timezone": "UTC",
        "lock_timeout": "10s",
        "statement_timeout": f"{most_seconds}s",
        "idle_in_transaction_session_timeout": f"{most_seconds and idle_seconds(most_seconds)}s",
    }
    if is_for_many:
        limits["max_parallel_workers_per_gather"] = "0"
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=5,
        connect_args={"options": " ".join(f"-c {name}={value}" for name, value in limits.items())},
    )
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", partial(_ping_idle, engine))
    return engine


def _note_use(_: object, record: ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = monotonic()


def _ping_idle(
    engine: Engine, connection: DBAPIConnection, record: ConnectionPoolEntry, _: object
) -> None:
    """Replace a connection that died while nobody used it, as one does when PostgreSQL restarts.

    As `pool_pre_ping`, which would ask PostgreSQL also where a busy process has used it just now and
    nothing has come since: a PostgreSQL that ends says so.
    """
    is_fresh = monotonic() - record.info.get(_USED_AT, inf) < _PING_AFTER_SECONDS
    try:
        if not is_fresh or _has_input(connection):
            engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError from error


def limit_time(session: Session, seconds: float) -> None:
    """Set the limits of this transaction alone: of each statement, and of the time between two."""
    session.execute(select(*limiting(seconds)))


def limiting(seconds: float) -> tuple[Function[Any], Function[Any]]:
    """Return what to select for these limits."""
    idle = idle_seconds(seconds)
    return (
        func.set_config("statement_timeout", f"{int(seconds * 1000)}ms", True),
        func.set_config("idle_in_transaction_session_timeout", f"{int(idle * 1000)}ms", True),
    )


def idle_seconds(seconds: float) -> float:
    return max(seconds, LEAST_IDLE_SECONDS)


def _has_input(connection: DBAPIConnection) -> bool:
    poller = poll()  # `select` knows no files past the first 1,024.
    poller.register(connection.fileno(), POLLIN)
    return bool(poller.poll(0))


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Return a session factory; loaded values stay after a commit, since we re-read explicitly."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def transaction(sessions: sessionmaker[Session], *, is_lasting: bool = True) -> Iterator[Session]:
    """Run a block in one transaction: commit at its end, roll back on any error, always close.

    Without `is_lasting` the commit does not wait for the disk (`synchronous_commit = off`): after a
    power cut the last half second of such work may be lost. Use it only for what can be redone.
    """
    with sessions() as session, session.begin():
        if not is_lasting:
            session.connection().exec_driver_sql(_ASYNCHRONOUS_COMMIT)
        yield session
    for write_line in session.info.pop(_LINES, ()):
        write_line()


@contextmanager
def one_statement(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """Run a block of one statement, which is its own transaction: neither BEGIN nor COMMIT is sent.

    Those would take twice the time of a short statement.
    """
    with sessions() as session:
        session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        yield session


def begin_reading(session: Session) -> None:
    """Begin a transaction, REPEATABLE READ and READ ONLY, without a statement that says so."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    session.connection(execution_options=options)


@contextmanager
def savepoint(session: Session) -> Iterator[None]:
    """Run a block that an error rolls back alone, with the lines that it would log on commit."""
    count = len(session.info.get(_LINES, ()))
    try:
        with session.begin_nested():
            yield
    except BaseException:
        del session.info.get(_LINES, [])[count:]
        raise


def log_on_commit(
    session: Session, log: structlog.stdlib.BoundLogger, name: str, **values: Any
) -> None:
    """Log an event when the `transaction` of this session is committed, and never if it is not.

    So the log tells of a change exactly where its row does.
    """
    session.info.setdefault(_LINES, []).append(partial(log.info, name, **values))
