"""Queries on harvests: how far each category's changes were read by OAI-PMH."""

from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.papers.store.models import Harvest


def list_harvests(session: Session) -> dict[str, Harvest]:
    """Return the harvests by category."""
    return {row.category: row for row in session.scalars(select(Harvest))}


def record_harvest(
    session: Session, category: str, responded_at: datetime | None, reread_on: date
) -> None:
    """Record a harvest that ended; without the server's time, the earlier one still holds."""
    added = insert(Harvest).values(
        category=category, responded_at=responded_at, reread_on=reread_on
    )
    session.execute(
        added.on_conflict_do_update(
            index_elements=[Harvest.category],
            set_={
                "responded_at": func.coalesce(added.excluded.responded_at, Harvest.responded_at),
                "reread_on": added.excluded.reread_on,
            },
        )
    )
