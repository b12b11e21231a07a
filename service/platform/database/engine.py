"""The connection to Postgres: one engine per process, plain sessions, commits at the edge."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker

_NOT_LASTING = "SET LOCAL synchronous_commit = off"


def make_engine(database_url: str, *, pool_size: int = 5) -> Engine:
    """An engine for `postgresql://…`, with psycopg 3 and every session in UTC.

    A statement may wait for a lock for ten seconds at the most: a stuck neighbour must show up as
    an error with a name, not as a silent morning without mail.
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
    """Sessions that keep loaded values after a commit, since rows are read again on purpose."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def transaction(sessions: sessionmaker[Session], *, is_lasting: bool = True) -> Iterator[Session]:
    """One unit of work: commits at the end, rolls back on any error, closes always.

    Without `is_lasting` the commit does not wait for the disk: a server that loses its power may
    lose the last half second of such work, and with it nothing that a promise stands on.
    """
    with sessions() as session, session.begin():
        if not is_lasting:
            session.connection().exec_driver_sql(_NOT_LASTING)
        yield session
