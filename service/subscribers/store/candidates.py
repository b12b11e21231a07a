"""Candidates of editions: who is active in which cadence, and whose pause has ended."""

from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import case, func, select, text, update
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence, SubscriberState, Timing
from service.subscribers.store.models import Subscriber

# One look into the index for each cadence, instead of reading all subscribers.
_READ_CADENCES = text("""
SELECT cadence FROM unnest(enum_range(NULL::cadence)) AS cadence
WHERE EXISTS (
    SELECT FROM subscribers WHERE state = 'active' AND subscribers.cadence = cadence.cadence
)
""").columns(cadence=Subscriber.cadence.type)


def read_cadences(session: Session) -> frozenset[Cadence]:
    """Return the cadences that have active subscribers."""
    return frozenset(session.scalars(_READ_CADENCES))


def resume_paused(session: Session, on: date) -> int:
    """Activate the subscribers whose pause has ended; return how many.

    Those who want a catch-up get `catch_up_since` (see `service.editions.catch_up`); for the
    others `paused_at` is cleared.
    """
    began = func.date(func.timezone("UTC", Subscriber.paused_at))
    wants = Subscriber.has_catch_up
    resumed = session.execute(
        update(Subscriber)
        .where(Subscriber.state == SubscriberState.PAUSED, Subscriber.paused_until <= on)
        .values(
            state=SubscriberState.ACTIVE,
            paused_until=None,
            catch_up_since=case((wants, began)),
            paused_at=case((wants, Subscriber.paused_at)),
        )
        .returning(Subscriber.id)
    ).all()
    return len(resumed)


class Candidate(NamedTuple):
    """A subscriber's columns for an edition: when the mail is due, and how much may be in it."""

    id: int
    hour: int
    timezone: str
    timing: Timing
    has_empty_digests: bool
    max_papers: int | None
    weekly_topics_on: int
    gap_since: datetime | None


# The columns of a candidate.
CANDIDATE = (
    Subscriber.id,
    Subscriber.hour,
    Subscriber.timezone,
    Subscriber.timing,
    Subscriber.has_empty_digests,
    Subscriber.max_papers,
    Subscriber.weekly_topics_on,
    Subscriber.gap_since,
)


def get_candidates(
    session: Session, cadence: Cadence, first_id: int, last_id: int
) -> list[Candidate]:
    """Return the active subscribers of a cadence with ids in a closed range, by id."""
    rows = session.execute(
        select(*CANDIDATE)
        .where(
            Subscriber.id.between(first_id, last_id),
            Subscriber.state == SubscriberState.ACTIVE,
            Subscriber.cadence == cadence,
        )
        .order_by(Subscriber.id)
    )
    return [Candidate(*row) for row in rows]
