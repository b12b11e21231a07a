"""The mark of a demo's database: nothing in it is for real people, and its papers may be invented."""

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from service.deliveries.store.models import Delivery, Installation


def mark_demo(session: Session, *, has_sample_papers: bool) -> bool:
    """Mark this database as a demo's for good; return False, and mark nothing, if it is in use."""
    if is_demo(session):
        return True
    if session.scalar(select(exists().where(Delivery.id.is_not(None)))):
        return False
    session.execute(update(Installation).values(is_demo=True, has_sample_papers=has_sample_papers))
    return True


def is_demo(session: Session) -> bool:
    return bool(session.scalar(select(Installation.is_demo)))


def has_sample_papers(session: Session) -> bool:
    """Return whether the papers are those of the built-in sample, which are invented."""
    return bool(session.scalar(select(Installation.has_sample_papers)))
