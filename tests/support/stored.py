"""What a database holds, whole: for tests that promise that nothing changed, or only one thing."""

from __future__ import annotations

from sqlalchemy import Engine, text

from service.store.models import Base

Rows = tuple[str, ...]


def read_tables(engine: Engine) -> dict[str, Rows]:
    """Every row of every table as text, sorted, generated columns left out."""
    with engine.connect() as connection:
        return {
            table.name: tuple(
                sorted(
                    connection.execute(
                        text(
                            "SELECT (to_jsonb(t) - 'title_lexemes' - 'abstract_lexemes')::text"
                            f" FROM {table.name} t"  # the names of our own tables
                        )
                    ).scalars()
                )
            )
            for table in Base.metadata.sorted_tables
        }


def changed_tables(before: dict[str, Rows], after: dict[str, Rows]) -> set[str]:
    return {name for name, rows in after.items() if rows != before[name]}
