"""Rows of quarantined mails: inserted once each, counted, listed newest first."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.bounces.store.models import QuarantinedMail

# Anybody can send such mails, so the oldest rows are deleted.
MOST_ROWS = 1000


def insert_quarantined(session: Session, **values: object) -> bool:
    """Insert a row unless its key exists; return whether it is new."""
    statement = insert(QuarantinedMail).values(**values).on_conflict_do_nothing()
    number = session.scalar(statement.returning(QuarantinedMail.id))
    if number is None:
        return False
    session.execute(delete(QuarantinedMail).where(QuarantinedMail.id <= number - MOST_ROWS))
    return True


def list_quarantined(session: Session, limit: int) -> Sequence[QuarantinedMail]:
    """Return the newest rows."""
    newest = select(QuarantinedMail).order_by(QuarantinedMail.id.desc()).limit(limit)
    return session.scalars(newest).all()


def count_quarantined(session: Session, since: datetime | None = None) -> int:
    """Count the rows that are newer than a time."""
    statement = select(func.count()).select_from(QuarantinedMail)
    if since is not None:
        statement = statement.where(QuarantinedMail.created_at > since)
    return session.scalar(statement) or 0
