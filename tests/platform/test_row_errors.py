"""Which errors are about one row, so that work goes on without it."""

import psycopg
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy.exc import DataError, OperationalError, ProgrammingError

from service.platform.row_errors import is_of_one_row


@pytest.mark.parametrize(
    "error",
    [
        KeyError("also"),
        ValueError("no digest"),
        DataError("INSERT", {}, psycopg.DataError()),
        psycopg.errors.UntranslatableCharacter(),
    ],
)
def test_an_error_of_values_is_of_one_row(error: Exception) -> None:
    assert is_of_one_row(error)


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("SELECT", {}, psycopg.OperationalError()),
        ProgrammingError("SELECT", {}, psycopg.errors.UndefinedColumn()),
        psycopg.errors.QueryCanceled(),
        SoftTimeLimitExceeded(),
        MemoryError(),
        ConnectionResetError(),
    ],
)
def test_an_error_of_the_machine_or_the_time_is_of_no_row(error: Exception) -> None:
    assert not is_of_one_row(error)
