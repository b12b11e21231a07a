"""Submitted papers: counted by mailbox, claimed by a worker, settled by name."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, aliased

from service.subscribers.domain.types import SubmissionState
from service.subscribers.store.models import Submission, Subscriber

# A worker that died is followed by another one after this.
LEASE = timedelta(minutes=10)
_WAITING = Submission.state == SubmissionState.WAITING


def lock_mailbox(session: Session, subscriber_id: int) -> list[int]:
    """Lock all subscribers of one mailbox, in the order of their ids, and return these."""
    own = aliased(Subscriber)
    mailbox = select(own.mailbox_key).where(own.id == subscriber_id).scalar_subquery()
    spelled = select(Subscriber.id).where(Subscriber.mailbox_key == mailbox)
    return list(session.scalars(spelled.order_by(Subscriber.id).with_for_update()))


def list_since(
    session: Session, subscriber_ids: Collection[int], since: datetime
) -> list[datetime]:
    """Return when these subscribers submitted a paper since a moment, oldest first."""
    times = select(Submission.created_at).where(
        Submission.subscriber_id.in_(subscriber_ids), Submission.created_at > since
    )
    return list(session.scalars(times.order_by(Submission.created_at)))


def find_submission(
    session: Session, subscriber_ids: Collection[int], name: str
) -> Submission | None:
    """Return the first submission of a paper by these subscribers, or None."""
    own = select(Submission).where(
        Submission.subscriber_id.in_(subscriber_ids), Submission.name == name
    )
    return session.scalar(own.order_by(Submission.id).limit(1))


def list_submissions(session: Session, subscriber_id: int, limit: int) -> Sequence[Submission]:
    """Return a subscriber's latest submissions, newest first."""
    own = select(Submission).where(Submission.subscriber_id == subscriber_id)
    return session.scalars(own.order_by(Submission.id.desc()).limit(limit)).all()


def claim_names(session: Session, now: datetime, limit: int) -> list[str]:
    """Return the names of the papers to look up now, and let no other worker do so for a while."""
    due = (
        select(Submission.id)
        .where(_WAITING, Submission.next_at <= now)
        .order_by(Submission.next_at, Submission.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claimed = session.scalars(
        update(Submission)
        .where(Submission.id.in_(session.scalars(due).all()))
        .values(next_at=now + LEASE)
        .returning(Submission.name)
    )
    return sorted({*claimed})


def settle_name(
    session: Session, name: str, state: SubmissionState, now: datetime, paper_id: int | None = None
) -> None:
    """Settle every waiting submission of a paper. Idempotent."""
    session.execute(
        update(Submission)
        .where(Submission.name == name, _WAITING)
        .values(state=state, paper_id=paper_id, settled_at=now)
    )


def give_up(session: Session, before: datetime, now: datetime) -> None:
    """Settle what waits since before a moment: its source does not answer."""
    session.execute(
        update(Submission)
        .where(_WAITING, Submission.created_at < before)
        .values(state=SubmissionState.UNREACHABLE, settled_at=now)
    )


def count_states(session: Session, since: datetime) -> dict[SubmissionState, int]:
    """Count the submissions since a moment by state."""
    rows = session.execute(
        select(Submission.state, func.count())
        .where(Submission.created_at >= since)
        .group_by(Submission.state)
    )
    return dict(rows.all())
