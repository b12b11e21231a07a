"""Tell an error of one row, which may be left out, from one of the machine or the program."""

import psycopg
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError


def is_of_one_row(error: Exception) -> bool:
    """Return whether work may go on without the row that raised this.

    It may not where the database is away, slow or without a column, where memory is short, or where
    the task's time is over: then all rows would fail, whatever they hold.
    """
    if isinstance(error, DBAPIError | psycopg.Error):
        return isinstance(
            error, DataError | IntegrityError | psycopg.DataError | psycopg.IntegrityError
        )
    return not isinstance(error, OSError | MemoryError | SoftTimeLimitExceeded)
