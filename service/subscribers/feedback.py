"""A subscriber's feedback on papers, and the topic that matched one."""

from datetime import datetime

from sqlalchemy.orm import Session

from service.papers.domain.types import PaperView
from service.papers.store.read import get_papers, match_conditions
from service.platform.settings.settings import Settings
from service.subscribers.domain.types import Feedback
from service.subscribers.store import feedback as store
from service.subscribers.store.models import Subscriber
from service.topics.domain.language import parse_query
from service.topics.like_clauses import topic_condition
from service.topics.store.models import Topic
from service.topics.store.topics import list_topics


def rate_paper(
    session: Session, subscriber: Subscriber, paper_id: int, kind: Feedback, now: datetime
) -> store.Rating | None:
    """Set the subscriber's feedback on a stored paper; return the previous feedback."""
    previous = store.find_rating(session, subscriber.id, paper_id)
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
    if not store.delete_feedback(session, subscriber.id, paper_id, kind):
        return store.find_feedback(session, subscriber.id, paper_id) is was
    if was is not None:
        store.record_feedback(session, subscriber.id, paper_id, was, at)
    return True


def list_saved(session: Session, subscriber_id: int) -> list[PaperView]:
    """Return the papers that a subscriber saved, the last saved first."""
    rated = store.get_rated_papers(session, [subscriber_id]).get(subscriber_id)
    papers = get_papers(session, rated.kept) if rated else {}
    return [papers[i] for i in rated.kept] if rated else []


def find_matching_topic(
    session: Session, settings: Settings, subscriber: Subscriber, paper_id: int
) -> Topic | None:
    """Return the first of the subscriber's present topics that matches a paper."""
    topics = list_topics(session, subscriber.id)
    conditions = [topic_condition(session, settings, parse_query(each.query)) for each in topics]
    holds = match_conditions(session, paper_id, conditions)
    return next((topic for topic, is_held in zip(topics, holds, strict=True) if is_held), None)
