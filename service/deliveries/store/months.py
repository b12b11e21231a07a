"""The partitions of deliveries by month: made ahead, emptied of events and copies, dropped.

Each step is one transaction that gives up when it would have to wait for others, who would wait behind
it; a task tries again an hour later. A dump that is running reads all tables, so months wait for it.
"""

from collections.abc import Collection

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from service.platform.database.engine import transaction

EVENTS = ("delivery_events",)
# Together, because a copy without its parts cannot be shown.
COPIES = ("mail_copies", "mail_parts")
# Those that refer to deliveries first.
_ALL = (*EVENTS, *COPIES, "deliveries")

# How long the others may have to wait for a step that has not got its lock yet.
_PATIENCE = text("SET LOCAL lock_timeout = '200ms'")
_LIST = text("""
SELECT CAST(substring(relname FROM '_([0-9]+)$') AS int) AS month
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE inhparent = CAST('deliveries' AS regclass) AND relname ~ '_[0-9]+$'
ORDER BY month
""")


def make_month(session: Session, month: int) -> None:
    """Make the partitions of a month (YYMM), unless they are there; idempotent.

    Until the commit nobody else can write subscribers or editions, if it had to be made.
    """
    session.execute(select(func.make_month(month)))


def make_month_ahead(sessions: sessionmaker[Session], month: int) -> bool:
    """Make the partitions of a month that nobody needs yet; return false where others are in the way."""
    return _try(sessions, f"SELECT make_month({month})")


def list_months(session: Session) -> list[int]:
    """Return the months that have partitions, oldest first."""
    return list(session.scalars(_LIST))


def empty_month(sessions: sessionmaker[Session], tables: Collection[str], month: int) -> bool:
    """Empty these tables' partitions of a month; return false where others are in the way.

    The partitions stay, because a late bounce or an operator may still add an event.
    """
    names = [f"{table}_{month}" for table in tables]
    with transaction(sessions) as session:
        has_rows = " OR ".join(f"EXISTS (SELECT FROM {name})" for name in names)
        if not session.scalar(text(f"SELECT {has_rows}")):
            return True
    return _try(sessions, f"TRUNCATE {', '.join(names)}")


def drop_month(sessions: sessionmaker[Session], month: int) -> bool:
    """Drop a month with all its rows; return false where others are in the way.

    One statement, which takes milliseconds whatever the size: files are removed after the commit, which
    blocks nothing. Idempotent.
    """
    return _try(sessions, f"DROP TABLE IF EXISTS {', '.join(f'{table}_{month}' for table in _ALL)}")


def _try(sessions: sessionmaker[Session], statement: str) -> bool:
    try:
        with transaction(sessions) as session:
            session.execute(_PATIENCE)
            session.execute(text(statement))
    except OperationalError as error:
        if isinstance(error.orig, LockNotAvailable | DeadlockDetected):
            return False
        raise
    return True
