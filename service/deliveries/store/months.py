"""The partitions of a month: made before the month's first edition, emptied, dropped."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def make_month(session: Session, month: int) -> None:
    """Make the partitions of a month (YYMM), unless they are there; idempotent."""
    session.execute(select(func.make_month(month)))
