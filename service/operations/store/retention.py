"""Deletion by age, in small batches by primary key, each in a transaction of its own."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from service.platform.database.engine import transaction

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Aged:
    """The rows of a table whose `column` is before a time; `keys` is the primary key."""

    table: str
    column: str
    before: datetime
    keys: str = "id"


def delete_aged(sessions: sessionmaker[Session], aged: Aged) -> int:
    """Delete all such rows; return how many. Rows that others hold stay for the next run."""
    statement = text(f"""
        DELETE FROM {aged.table} WHERE ({aged.keys}) IN (
          SELECT {aged.keys} FROM {aged.table} WHERE {aged.column} < :before
          ORDER BY {aged.keys} LIMIT {BATCH} FOR UPDATE SKIP LOCKED
        ) RETURNING 1""")  # noqa: S608  # all parts are constants
    total = 0
    while True:
        with transaction(sessions) as session:
            count = len(session.execute(statement, {"before": aged.before}).all())
        total += count
        if count < BATCH:
            return total


_DELETE_EDITION = text("""
DELETE FROM editions WHERE id = (
  SELECT id FROM editions
  WHERE opened_at < :before AND to_regclass('deliveries_' || month) IS NULL
  ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id
""")


def delete_editions(sessions: sessionmaker[Session], before: datetime) -> int:
    """Delete the old editions whose month of deliveries is dropped, one by one; return how many."""
    total = 0
    while True:
        with transaction(sessions) as session:
            if session.scalar(_DELETE_EDITION, {"before": before}) is None:
                return total
        total += 1
