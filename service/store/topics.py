"""A reader's topics one by one; all together they are set and read in subscribers.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.domain.composing import ReaderTopic
from service.store.base import is_among
from service.store.models import Topic


def list_topics(session: Session, subscriber_id: int) -> Sequence[Topic]:
    """One reader's topics as rows, read afresh, in the reader's order."""
    own = select(Topic).where(Topic.subscriber_id == subscriber_id)
    ordered = own.order_by(Topic.position, Topic.id).execution_options(populate_existing=True)
    return session.execute(ordered).scalars().all()


def get_reader_topics(
    session: Session, subscriber_ids: Iterable[int]
) -> dict[int, list[ReaderTopic]]:
    """The topics of some readers as composing needs them, in each reader's order."""
    rows = session.execute(
        select(Topic.subscriber_id, Topic.id, Topic.query, Topic.canonical)
        .where(is_among(Topic.subscriber_id, subscriber_ids))
        .order_by(Topic.position, Topic.id)
    )
    topics: dict[int, list[ReaderTopic]] = {}
    for subscriber_id, topic_id, title, canonical in rows:
        topics.setdefault(subscriber_id, []).append(ReaderTopic(topic_id, title, canonical))
    return topics


def get_topic(session: Session, subscriber_id: int, topic_id: int) -> Topic | None:
    """A reader's own topic; somebody else's is not there."""
    own = (Topic.id == topic_id, Topic.subscriber_id == subscriber_id)
    return session.execute(select(Topic).where(*own)).scalar_one_or_none()


def list_canonicals_with(session: Session, words: str) -> list[str]:
    """The distinct canonical texts of saved topics that contain `words`."""
    found = select(Topic.canonical).where(Topic.canonical.contains(words, autoescape=True))
    return list(session.execute(found.distinct().order_by(Topic.canonical)).scalars())


def append_topic(
    session: Session, subscriber_id: int, query: str, canonical: str, now: datetime
) -> Topic:
    """A new topic after the reader's others; the caller has seen that it is none of them."""
    last = select(func.coalesce(func.max(Topic.position), -1)).where(
        Topic.subscriber_id == subscriber_id
    )
    topic = Topic(
        subscriber_id=subscriber_id,
        query=query,
        canonical=canonical,
        position=session.execute(last).scalar_one() + 1,
        created_at=now,
    )
    session.add(topic)
    session.flush()
    return topic


def delete_topic(session: Session, topic: Topic) -> None:
    session.delete(topic)
    session.flush()
