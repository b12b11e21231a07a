"""Database connections: one engine per process, plain sessions, one transaction per unit of work."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import structlog
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker

# The key in `Session.info` of the lines to log once the transaction is committed.
_LINES = "log lines"
_ASYNCHRONOUS_COMMIT = "SET LOCAL synchronous_commit = off"


def make_engine(database_url: str, *, pool_size: int = 5) -> Engine:
    """Return an engine for `postgresql://…`, with psycopg 3 and every session in UTC.

    A statement waits for a lock for at most ten seconds (`lock_timeout`): a stuck process must show
    up as an error, not as a morning on which no mail is sent and nothing is logged.
    """
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=5,
        pool_pre_ping=True,
        connect_args={"options": "-c timezone=UTC -c lock_timeout=10000"},
    )


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


def log_on_commit(
    session: Session, log: structlog.stdlib.BoundLogger, event: str, **values: Any
) -> None:
    """Log an event when the `transaction` of this session is committed, and never if it is not.

    So the log tells of a change exactly where its row does.
    """
    session.info.setdefault(_LINES, []).append(partial(log.info, event, **values))
