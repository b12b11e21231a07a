"""Queries for topic changes that subscribers made by links in mails."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.topics.domain.types import TopicChangeKind
from service.topics.store.models import Topic, TopicChange


def record_change(
    session: Session,
    kind: TopicChangeKind,
    topic: Topic,
    clause: str,
    before_query: str,
    now: datetime,
) -> TopicChange:
    """Insert the change just made to `topic`, which already has its new text.

    An equal change that is not undone was reverted by hand, so it is marked as undone here.
    """
    same = (
        TopicChange.topic_id == topic.id,
        TopicChange.kind == kind,
        TopicChange.clause == clause,
    )
    session.execute(
        update(TopicChange).where(*same, TopicChange.undone_at.is_(None)).values(undone_at=now)
    )
    change = TopicChange(
        subscriber_id=topic.subscriber_id,
        kind=kind,
        topic_id=topic.id,
        clause=clause,
        before_query=before_query,
        after_query=topic.query,
        created_at=now,
    )
    session.add(change)
    session.flush()
    return change


def find_same_change(
    session: Session, kind: TopicChangeKind, topic_id: int, clause: str
) -> TopicChange | None:
    """Return the change of this kind to a topic that was not undone, if any."""
    same = (
        TopicChange.topic_id == topic_id,
        TopicChange.kind == kind,
        TopicChange.clause == clause,
    )
    standing = select(TopicChange).where(*same, TopicChange.undone_at.is_(None))
    return session.scalar(standing)


def get_change(session: Session, subscriber_id: int, change_id: int) -> TopicChange | None:
    """Return a change of this subscriber, or None, also where another subscriber made it."""
    own = (TopicChange.id == change_id, TopicChange.subscriber_id == subscriber_id)
    return session.scalar(select(TopicChange).where(*own))


def list_changes(session: Session, subscriber_id: int, limit: int) -> Sequence[TopicChange]:
    """Return the changes that were not undone, newest first."""
    standing = select(TopicChange).where(
        TopicChange.subscriber_id == subscriber_id, TopicChange.undone_at.is_(None)
    )
    return session.scalars(standing.order_by(TopicChange.id.desc()).limit(limit)).all()
