"""What readers changed of their topics by links in mails, each with the way back."""

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
    asked: str,
    before_query: str,
    now: datetime,
) -> TopicChange:
    """Note what was just done to `topic`, which has its new text already.

    The same thing asked again, although it stands as done, was taken back by hand: it ends here.
    """
    same = (TopicChange.topic_id == topic.id, TopicChange.kind == kind, TopicChange.asked == asked)
    session.execute(
        update(TopicChange).where(*same, TopicChange.undone_at.is_(None)).values(undone_at=now)
    )
    change = TopicChange(
        subscriber_id=topic.subscriber_id,
        kind=kind,
        topic_id=topic.id,
        asked=asked,
        before_query=before_query,
        after_query=topic.query,
        created_at=now,
    )
    session.add(change)
    session.flush()
    return change


def find_score_change(
    session: Session, kind: TopicChangeKind, topic_id: int, asked: str
) -> TopicChange | None:
    """The change that did this to a topic and was not undone."""
    same = (TopicChange.topic_id == topic_id, TopicChange.kind == kind, TopicChange.asked == asked)
    standing = select(TopicChange).where(*same, TopicChange.undone_at.is_(None))
    return session.scalar(standing)


def get_change(session: Session, subscriber_id: int, change_id: int) -> TopicChange | None:
    """A reader's own change; somebody else's is not there."""
    own = (TopicChange.id == change_id, TopicChange.subscriber_id == subscriber_id)
    return session.scalar(select(TopicChange).where(*own))


def list_changes(session: Session, subscriber_id: int, limit: int) -> Sequence[TopicChange]:
    """The changes that stand, the newest first."""
    standing = select(TopicChange).where(
        TopicChange.subscriber_id == subscriber_id, TopicChange.undone_at.is_(None)
    )
    return session.scalars(standing.order_by(TopicChange.id.desc()).limit(limit)).all()
