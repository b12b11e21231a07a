"""A subscriber's stored preferences as a form, to be shown and changed."""

from sqlalchemy.orm import Session

from service.subscribers.domain.sign_up import SignUpForm
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_named_topics
from service.subscribers.validate import WEEKDAYS
from service.topics.domain.measure import write_measure
from service.topics.domain.names import find_chosen_name


def form_of(session: Session, subscriber: Subscriber) -> SignUpForm:
    """Return a subscriber's preferences as a form, to be changed."""
    topics = get_named_topics(session, [subscriber.id]).get(subscriber.id, [])
    return SignUpForm(
        email=subscriber.email,
        topics=tuple(topic.query for topic in topics),
        names=tuple(find_chosen_name(topic.name, topic.query) for topic in topics),
        measures=tuple(write_measure(topic.measure) for topic in topics),
        cadence=subscriber.cadence,
        hour=str(subscriber.hour),
        timezone=subscriber.timezone,
        timing=subscriber.timing,
        has_empty_digests=subscriber.has_empty_digests,
        has_ai_summaries=subscriber.has_ai_summaries,
        full_cards=str(subscriber.full_cards),
        max_papers=str(subscriber.max_papers or ""),
        weekly_topics_on=WEEKDAYS[subscriber.weekly_topics_on],
    )
