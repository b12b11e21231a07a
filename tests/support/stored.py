"""What a database holds, whole: for tests that promise that nothing changed, or only one thing."""

from __future__ import annotations

from sqlalchemy import Engine, Text, cast, func, select

from service.store.models import Base

Rows = tuple[str, ...]


def read_tables(engine: Engine) -> dict[str, Rows]:
    """Every row of every table as JSON text, sorted; what Postgres computes itself is left out."""
    with engine.connect() as connection:
        return {
            table.name: tuple(
                sorted(
                    connection.execute(
                        select(
                            cast(
                                func.to_jsonb(table.table_valued())
                                .op("-")("title_lexemes")
                                .op("-")("abstract_lexemes"),
                                Text,
                            )
                        ).select_from(table)
                    ).scalars()
                )
            )
            for table in Base.metadata.sorted_tables
        }


def changed_tables(before: dict[str, Rows], after: dict[str, Rows]) -> set[str]:
    """The names of the tables that differ."""
    return {name for name, rows in after.items() if rows != before[name]}
