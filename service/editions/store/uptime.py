"""Since when the service has been running: it looks for editions to open every minute."""

from datetime import datetime, timedelta

from sqlalchemy import case, or_, select, update
from sqlalchemy.orm import Session

from service.deliveries.store.models import Installation

# A service that has not looked for this long was down, and not only busy.
DOWN = timedelta(minutes=15)


def note_running(session: Session, now: datetime) -> datetime | None:
    """Note that the service runs at `now`; return when it came back after it was down."""
    was_down = or_(Installation.seen_at.is_(None), Installation.seen_at < now - DOWN)
    back_at = case((was_down, now), else_=Installation.back_at)
    session.execute(update(Installation).values(seen_at=now, back_at=back_at))
    return find_back_at(session)


def find_back_at(session: Session) -> datetime | None:
    return session.execute(select(Installation.back_at)).scalar()
