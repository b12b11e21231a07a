"""A subscriber's feedback on papers, and the topic that matched one."""

from datetime import datetime

from sqlalchemy.orm import Session

from service.papers.store.read import match_conditions
from service.platform.settings.settings import Settings
from service.subscribers.domain.saved import MOST_SAVED
from service.subscribers.domain.types import Feedback
from service.subscribers.store import feedback as store
from service.subscribers.store.models import Subscriber
from service.subscribers.store.saved import count_saved
from service.topics.domain.language import parse_query
from service.topics.edit_by_link import ChangeRefused
from service.topics.like_clauses import topic_condition
from service.topics.store.models import Topic
from service.topics.store.topics import list_topics


def rate_paper(
    session: Session, subscriber: Subscriber, paper_id: int, kind: Feedback, now: datetime
) -> store.Rating | None:
    """Set the subscriber's feedback on a stored paper; return the previous feedback.

    Raises `ChangeRefused` where it would be one saved paper too many.
    """
    previous = store.find_rating(session, subscriber.id, paper_id)
    is_new = kind is Feedback.KEPT and (previous is None or previous.kind is not kind)
    if is_new and count_saved(session, subscriber.id) >= MOST_SAVED:
        raise ChangeRefused(
            f"You have {MOST_SAVED:,} saved papers, and there can be no more. Remove some of them first."
        )
    store.record_feedback(session, subscriber.id, paper_id, kind, now)
    return previous


def take_back_feedback(
    session: Session,
    subscriber: Subscriber,
    paper_id: int,
    kind: Feedback,
    was: Feedback | None,
    at: datetime,
) -> bool:
    """Restore the previous feedback `was`, given `at`; return false if there is other meanwhile."""
    if was is None:
        is_changed = store.delete_feedback(session, subscriber.id, paper_id, kind)
    else:
        # The row stays, since tags and a note of the subscriber may be in it.
        is_changed = store.restore_feedback(session, subscriber.id, paper_id, kind, (was, at))
    return is_changed or store.find_feedback(session, subscriber.id, paper_id) is was


def find_matching_topic(
    session: Session, settings: Settings, subscriber: Subscriber, paper_id: int
) -> Topic | None:
    """Return the first of the subscriber's present topics that matches a paper."""
    topics = list_topics(session, subscriber.id)
    conditions = [topic_condition(session, settings, parse_query(each.query)) for each in topics]
    holds = match_conditions(session, paper_id, conditions)
    return next((topic for topic, is_held in zip(topics, holds, strict=True) if is_held), None)
