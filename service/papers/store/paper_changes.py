"""Find the papers that changed since a snapshot of the database, and whether any page did."""

from typing import Any

from sqlalchemy import ColumnElement, Text, cast, delete, func, select, text
from sqlalchemy.orm import Session

from service.papers.store.models import PaperChange
from service.platform.database.engine import begin_reading

# The key in `Session.info`; a session has one transaction.
_SNAPSHOT = "snapshot"
_IS_NEWER = """
    changed_in >= CAST(CAST(pg_snapshot_xmin(CAST(:since AS pg_snapshot)) AS text) AS bigint)
    AND NOT pg_visible_in_snapshot(
        CAST(CAST(changed_in AS text) AS xid8), CAST(:since AS pg_snapshot)
    )
"""
_LIST_CHANGES = text(
    f"SELECT DISTINCT paper_id FROM paper_changes WHERE paper_id > 0 AND {_IS_NEWER}"  # noqa: S608
)
# The order makes Postgres walk the index from its end; for EXISTS it would read the table, hoping to
# find a row at once.
_LAST_CHANGE = text(
    f"SELECT changed_in FROM paper_changes WHERE {_IS_NEWER} ORDER BY changed_in DESC LIMIT 1"  # noqa: S608
)


def begin_snapshot(session: Session, *settings: ColumnElement[Any]) -> str:
    """Make this transaction REPEATABLE READ, READ ONLY; returns its `pg_snapshot` as text.

    Must be its first statement. `settings` are calls of `set_config`.
    """
    begin_reading(session)
    state: str = session.execute(select(cast(func.pg_current_snapshot(), Text), *settings)).one()[0]
    session.info[_SNAPSHOT] = state
    return state


def snapshot_of(session: Session) -> str:
    """Return the `pg_snapshot` of a session whose transaction `begin_snapshot` has begun."""
    state: str = session.info[_SNAPSHOT]
    return state


def list_changes(session: Session, since: str) -> list[int]:
    """Return the ids of papers changed or deleted since a `pg_snapshot`; see `PaperChange`."""
    return list(session.scalars(_LIST_CHANGES, {"since": since}))


def has_changed(session: Session, since: str) -> bool:
    """Return whether anything that pages of papers show changed since a `pg_snapshot`."""
    return session.scalar(_LAST_CHANGE, {"since": since}) is not None


def delete_old_changes(session: Session) -> None:
    """Delete changes older than two days by Postgres' clock, which also set their times."""
    old = func.now() - text("interval '2 days'")
    session.execute(delete(PaperChange).where(PaperChange.changed_at < old))
