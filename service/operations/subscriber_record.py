"""One subscriber for the operator: settings, history, latest mails, and the story of one date."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session, sessionmaker

from service.operations.explain import Story, explain_date
from service.operations.store.edition_reports import SubscriberDay, list_subscriber_days
from service.platform.database.engine import transaction
from service.subscribers.directory import ChangeLine, list_history
from service.subscribers.store.subscribers import get_subscriber
from service.subscribers.validate import WEEKDAYS


@dataclass(frozen=True, slots=True)
class SubscriberRecord:
    """A subscriber; `history` and `mails` are newest first, `story` has the mails of one date."""

    id: int
    email: str
    state: str
    cadence: str
    hour: int
    timezone: str
    timing: str
    has_empty_digests: bool
    created_at: datetime
    confirmed_at: datetime | None
    paused_until: date | None
    max_papers: int | None
    weekly_topics_on: str
    topics: tuple[str, ...]
    comes: tuple[str, ...]
    suppressed: str
    history: tuple[ChangeLine, ...]
    mails: tuple[SubscriberDay, ...]
    story: Story


def find_record(
    sessions: sessionmaker[Session],
    subscriber_id: int,
    on: date,
    secrets: tuple[str, ...],
    domain: str,
) -> SubscriberRecord | None:
    """Return the subscriber with an id, with the story of a date; None where there is none."""
    with transaction(sessions) as session:
        subscriber = get_subscriber(session, subscriber_id)
        if subscriber is None:
            return None
        story = explain_date(session, subscriber, on, secrets, domain)
        return SubscriberRecord(
            id=subscriber.id,
            email=subscriber.email,
            state=subscriber.state,
            cadence=subscriber.cadence,
            hour=subscriber.hour,
            timezone=subscriber.timezone,
            timing=subscriber.timing,
            has_empty_digests=subscriber.has_empty_digests,
            created_at=subscriber.created_at,
            confirmed_at=subscriber.confirmed_at,
            paused_until=subscriber.paused_until,
            max_papers=subscriber.max_papers,
            weekly_topics_on=WEEKDAYS[subscriber.weekly_topics_on],
            topics=story.topics,
            comes=story.comes,
            suppressed=story.suppressed,
            history=tuple(list_history(session, subscriber.id)),
            mails=tuple(list_subscriber_days(session, subscriber.id)),
            story=story,
        )
