"""Insert rows by COPY, which takes a quarter of the time of INSERT and has no ON CONFLICT."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.orm import Session


def copy_rows(session: Session, target: str, rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows into `target`, a table with its columns: `topics (query, canonical)`."""
    driver: Any = session.connection().connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
