"""Votes of subscribers: given, taken back, one for each mailbox and paper."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import exists, or_, select, text, update
from sqlalchemy.orm import Session

from service.papers.domain.votes import Ballot, weigh_vote
from service.papers.store.models import Paper, Vote
from service.subscribers.store.models import Consent, Subscriber

# The installation's random name makes the hash useless elsewhere.
_HASH_MAILBOX = text("""
SELECT sha256(convert_to(name || mailbox_key, 'UTF8')) FROM subscribers, installations
WHERE subscribers.id = :id
""")


class CastVote(StrEnum):
    """What became of a vote: it counts, it counted before, or the mailbox voted by another address."""

    GIVEN = "given"
    REPEATED = "repeated"
    OTHER_ADDRESS = "other address"


def cast_vote(session: Session, subscriber: Subscriber, paper_id: int, now: datetime) -> CastVote:
    """Vote for a stored paper; twice is once.

    The paper's row is locked, so that votes at once are weighed one after the other.
    """
    session.execute(select(Paper.id).where(Paper.id == paper_id).with_for_update(key_share=True))
    mailbox: bytes = session.execute(_HASH_MAILBOX, {"id": subscriber.id}).scalar_one()
    is_own = or_(Vote.subscriber_id == subscriber.id, Vote.mailbox == mailbox)
    found = session.scalars(select(Vote).where(Vote.paper_id == paper_id, is_own)).all()
    own = next((vote for vote in found if vote.subscriber_id == subscriber.id), None)
    if any(vote.withdrawn_at is None for vote in found if vote is not own):
        return CastVote.OTHER_ADDRESS
    known = own or next(iter(found), None)
    if known is None:
        session.add(_weighed(session, subscriber, paper_id, mailbox, now))
    elif known.withdrawn_at is None:
        return CastVote.REPEATED
    else:
        known.subscriber_id, known.withdrawn_at, known.changed_at = subscriber.id, None, now
    session.flush()
    return CastVote.GIVEN


def _weighed(
    session: Session, subscriber: Subscriber, paper_id: int, mailbox: bytes, now: datetime
) -> Vote:
    domain = subscriber.email_key.rpartition("@")[2]
    confirmed_at = None if _is_vouched_for(session, subscriber) else subscriber.confirmed_at
    rows = session.execute(
        select(Vote.domain, Vote.confirmed_at, Vote.created_at).where(
            Vote.paper_id == paper_id, Vote.withdrawn_at.is_(None)
        )
    )
    weight = weigh_vote(Ballot(domain, confirmed_at, now), [Ballot(*row) for row in rows])
    return Vote(
        paper_id=paper_id,
        subscriber_id=subscriber.id,
        mailbox=mailbox,
        domain=domain,
        confirmed_at=confirmed_at,
        weight=weight,
        created_at=now,
        changed_at=now,
    )


def _is_vouched_for(session: Session, subscriber: Subscriber) -> bool:
    """Return whether the operator added the subscriber: an import confirms many at one moment."""
    by_operator = exists().where(
        Consent.subscriber_id == subscriber.id,
        Consent.action == "confirmed",
        Consent.page.startswith("operator"),
        Consent.created_at == subscriber.confirmed_at,
    )
    return bool(session.scalar(select(by_operator)))


def withdraw_vote(session: Session, subscriber_id: int, paper_id: int, now: datetime) -> bool:
    """Take a vote back; return whether there was one."""
    gone = session.scalar(
        update(Vote)
        .where(
            Vote.paper_id == paper_id,
            Vote.subscriber_id == subscriber_id,
            Vote.withdrawn_at.is_(None),
        )
        .values(withdrawn_at=now, changed_at=now)
        .returning(Vote.id)
    )
    return gone is not None


def has_voted(session: Session, subscriber_id: int, paper_id: int) -> bool:
    """Return whether a vote of the subscriber for the paper counts."""
    own = exists().where(
        Vote.paper_id == paper_id, Vote.subscriber_id == subscriber_id, Vote.withdrawn_at.is_(None)
    )
    return bool(session.scalar(select(own)))
