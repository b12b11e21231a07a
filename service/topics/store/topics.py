"""Queries for single topics; `service/subscribers/` sets all topics of a subscriber at once."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType

from service.platform.database.text_formats import is_among
from service.topics.domain.names import name_topics
from service.topics.store.models import Topic
from service.topics.store.save_compiled import save_compiled_topics


def list_topics(session: Session, subscriber_id: int) -> Sequence[Topic]:
    """Return the topics of a subscriber in that person's order, refreshed from the database."""
    own = select(Topic).where(Topic.subscriber_id == subscriber_id)
    ordered = own.order_by(Topic.position, Topic.id).execution_options(populate_existing=True)
    return session.scalars(ordered).all()


class TopicColumns(NamedTuple):
    """Topics as columns, each subscriber's in order; a canonical id is None until compiled."""

    subscriber_ids: list[int]
    topic_ids: list[int]
    names: list[str]
    canonical_ids: list[int | None]


def get_subscriber_topics(session: Session, subscriber_ids: Iterable[int]) -> TopicColumns:
    """Return the topics of some subscribers, as columns since an edition loads a million."""
    own = (
        select(Topic.subscriber_id, Topic.id, Topic.name, Topic.canonical_id)
        .where(is_among(Topic.subscriber_id, subscriber_ids))
        .order_by(Topic.position, Topic.id)
        .subquery()
    )
    gathered = (func.array_agg(column, type_=NullType()) for column in own.columns)
    columns = session.execute(select(*gathered)).one()
    return TopicColumns._make(column or [] for column in columns)


def get_topic(session: Session, subscriber_id: int, topic_id: int) -> Topic | None:
    """Return a topic of this subscriber, or None, also where another subscriber owns it."""
    own = (Topic.id == topic_id, Topic.subscriber_id == subscriber_id)
    return session.scalar(select(Topic).where(*own))


def append_topic(
    session: Session, subscriber_id: int, query: str, canonical: str, now: datetime
) -> Topic:
    """Insert a topic after the subscriber's others; the caller has checked that it is a new one."""
    others = list_topics(session, subscriber_id)
    topic = Topic(
        subscriber_id=subscriber_id,
        name=name_topics([*((each.query, each.name) for each in others), (query, "")])[-1],
        query=query,
        canonical=canonical,
        canonical_id=save_compiled_topics(session, [canonical])[canonical],
        position=max((each.position for each in others), default=-1) + 1,
        created_at=now,
    )
    session.add(topic)
    session.flush()
    return topic


def change_topic(session: Session, topic: Topic, query: str, canonical: str) -> None:
    """Change the text of a topic; it keeps its name, and its id, to which links in mails point."""
    topic.canonical_id = save_compiled_topics(session, [canonical])[canonical]
    topic.query, topic.canonical = query, canonical
    session.flush()


def delete_topic(session: Session, topic: Topic) -> None:
    session.delete(topic)
    session.flush()
