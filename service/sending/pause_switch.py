"""The switch that pauses all sending: a row in the database, which every sender reads each second.

All sending means every mail: digests, confirmations and alerts. What is on the wire is finished;
everything else stays queued, and a mail that waits past its last moment is skipped as late.
"""

from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.sending.store.models import SendingPause

# How long a sender relies on what it read; a pause is obeyed within this time and one window.
SWITCH_SECONDS = 1.0

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pause:
    """The pause of all sending that is in force: since when, and who began it."""

    since: datetime
    by: str


def find_pause(session: Session) -> Pause | None:
    """Return the pause that is in force, or None while mail is sent."""
    found = session.execute(
        select(SendingPause.began_at, SendingPause.began_by).where(SendingPause.ended_at.is_(None))
    ).one_or_none()
    return Pause(*found) if found else None


def pause_sending(sessions: sessionmaker[Session], by: str, now: datetime) -> bool:
    """Pause all sending; return false if it was paused already."""
    with transaction(sessions) as session:
        inserted = session.scalar(
            insert(SendingPause)
            .values(began_at=now, began_by=by)
            .on_conflict_do_nothing()
            .returning(SendingPause.id)
        )
    if inserted is not None:
        log.warning("sending.paused", by=by)
    return inserted is not None


def resume_sending(sessions: sessionmaker[Session], by: str, now: datetime) -> bool:
    """Resume sending; return false if it was not paused. The caller wakes `deliver`."""
    with transaction(sessions) as session:
        ended = session.scalars(
            update(SendingPause)
            .where(SendingPause.ended_at.is_(None))
            .values(ended_at=now, ended_by=by)
            .returning(SendingPause.id)
        ).all()
    if ended:
        log.warning("sending.resumed", by=by)
    return bool(ended)


@dataclass(slots=True)
class PauseWatch:
    """One sender's view of the switch, read again after `SWITCH_SECONDS`."""

    sessions: sessionmaker[Session]
    is_paused: bool = False
    next_read_at: float = 0.0

    def check(self) -> bool:
        """Return whether all sending is paused."""
        if monotonic() >= self.next_read_at:
            with transaction(self.sessions, is_lasting=False) as session:
                self.is_paused = find_pause(session) is not None
            self.next_read_at = monotonic() + SWITCH_SECONDS
        return self.is_paused
