"""Find the papers that changed since a snapshot of the database."""

from sqlalchemy import delete, func, text
from sqlalchemy.orm import Session

from service.papers.store.models import PaperChange


def list_changes(session: Session, since: str) -> list[int]:
    """Return the ids of papers changed or deleted since a `pg_snapshot`; see `PaperChange`."""
    return list(session.scalars(_LIST_CHANGES, {"since": since}))


_LIST_CHANGES = text("""
    SELECT DISTINCT paper_id FROM paper_changes
    WHERE changed_in >= CAST(CAST(pg_snapshot_xmin(CAST(:since AS pg_snapshot)) AS text) AS bigint)
    AND NOT pg_visible_in_snapshot(
        CAST(CAST(changed_in AS text) AS xid8), CAST(:since AS pg_snapshot)
    )
""")


def delete_old_changes(session: Session) -> None:
    """Delete changes older than two days by Postgres' clock, which also set their times."""
    old = func.now() - text("interval '2 days'")
    session.execute(delete(PaperChange).where(PaperChange.changed_at < old))
