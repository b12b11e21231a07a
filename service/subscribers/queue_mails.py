"""Queue the transactional mails of a subscriber's life."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from service.deliveries.domain.digest import Digest, DigestEntry, DigestGroup
from service.deliveries.domain.digest_json import digest_to_json
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import (
    MailRow,
    count_mails,
    insert_mail,
    insert_mail_row,
    latest_mail_at,
)
from service.platform.settings.settings import Settings
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_topics
from service.topics.topics import TopicError, preview_topic

# After a day nobody remembers what a mail is about.
MAIL_LIFETIME = timedelta(hours=24)

# One confirmation a day and three in all: nobody can be bombed through our form.
CONFIRMATION_GAP = timedelta(hours=24)
MOST_CONFIRMATIONS = 3
_QUESTIONS = (DeliveryKind.CONFIRMATION, DeliveryKind.ADDRESS_CHANGE)

# Readers change a topic, look, and change it again: one mail tells of all of it.
SETTLING = timedelta(minutes=10)
_PREVIEW_DAYS = 7
_PREVIEW_PAPERS = 3


def queue_confirmation(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Ask a new subscriber to confirm, within the limits of `queue_question`."""
    queue_question(session, subscriber, DeliveryKind.CONFIRMATION, now)


def queue_question(
    session: Session, subscriber: Subscriber, kind: DeliveryKind, now: datetime
) -> None:
    """Ask an address whether it is somebody's who wants our mail; whatever the question, once a
    day and three times in all."""
    since = subscriber.unsubscribed_at or subscriber.created_at
    asked = (latest_mail_at(session, one, subscriber.id) for one in _QUESTIONS)
    is_too_soon = any(
        at is not None and at >= since and now - at < CONFIRMATION_GAP for at in asked
    )
    if is_too_soon or subscriber.confirmation_count >= MOST_CONFIRMATIONS:
        return
    number = count_mails(session, kind, subscriber.id) + 1
    subscriber.confirmation_count += 1
    insert_mail(session, kind, subscriber.id, str(number), now, now + MAIL_LIFETIME)


def queue_already_subscribed(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Tell somebody who signs up again that they are subscribed; once a day."""
    kind, day = DeliveryKind.ALREADY_SUBSCRIBED, now.date().isoformat()
    insert_mail(session, kind, subscriber.id, day, now, now + MAIL_LIFETIME)


def queue_welcome(
    session: Session, settings: Settings, subscriber: Subscriber, now: datetime
) -> None:
    """Greet a reader who confirmed, with papers that their topics found lately."""
    occasion = (subscriber.confirmed_at or now).isoformat()
    shown = _recent_papers(session, settings, subscriber, now)
    until = now + MAIL_LIFETIME
    row = MailRow(DeliveryKind.WELCOME, subscriber.id, occasion, now, now, until, digest=shown)
    insert_mail_row(session, row)


def _recent_papers(
    session: Session, settings: Settings, subscriber: Subscriber, now: datetime
) -> dict[str, Any]:
    """The newest papers of the first topics that found any, frozen like a digest."""
    groups: list[DigestGroup] = []
    shown: set[int] = set()
    for text, _ in get_topics(session, [subscriber.id]).get(subscriber.id, []):
        room = _PREVIEW_PAPERS - len(shown)
        if not room:
            break
        try:
            found = preview_topic(
                session, settings, text, now.date(), _PREVIEW_DAYS, _PREVIEW_PAPERS
            ).newest
        except TopicError:
            # The language or the dictionary changed since the topic was saved.
            continue
        ids = [paper.id for paper in found if paper.id not in shown][:room]
        if ids:
            shown.update(ids)
            entries = tuple(DigestEntry(i) for i in ids)
            groups.append(DigestGroup(text, entries))
    return digest_to_json(Digest(tuple(groups)))


def queue_topics_changed(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Say once a day what a reader gets now, when the changes have settled."""
    kind, day = DeliveryKind.TOPICS_CHANGED, now.date().isoformat()
    due = now + SETTLING
    row = MailRow(kind, subscriber.id, day, now, due, due + MAIL_LIFETIME)
    insert_mail_row(session, row)


def queue_paused(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Confirm a pause, with the way back; once for each day until which somebody pauses."""
    occasion = f"{now.date()} until {subscriber.paused_until}"
    insert_mail(session, DeliveryKind.PAUSED, subscriber.id, occasion, now, now + MAIL_LIFETIME)


def queue_resumed(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Say that digests go on; once a day."""
    day = now.date().isoformat()
    insert_mail(session, DeliveryKind.RESUMED, subscriber.id, day, now, now + MAIL_LIFETIME)


def queue_farewell(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Take leave, with the way back."""
    occasion = (subscriber.unsubscribed_at or now).isoformat()
    insert_mail(session, DeliveryKind.FAREWELL, subscriber.id, occasion, now, now + MAIL_LIFETIME)


def queue_address_notice(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Tell the old address that mails go to another one now, with the way back."""
    kind = DeliveryKind.ADDRESS_NOTICE
    insert_mail(session, kind, subscriber.id, now.isoformat(), now, now + MAIL_LIFETIME)
