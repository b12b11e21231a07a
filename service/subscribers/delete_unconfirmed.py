"""Delete sign-ups that nobody confirmed, and count the mails to their addresses for as long as before."""

from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.store.mailbox_counts import counting_on, unmark_mailboxes
from service.deliveries.store.models import Delivery
from service.platform.database.engine import transaction
from service.subscribers.queue_mails import CONFIRMATION_KINDS, CONFIRMATIONS_LAPSE
from service.subscribers.store.models import PendingSignUp, Subscriber
from service.subscribers.store.subscribers import delete_subscriber

_AT_ONCE = 100


def delete_unconfirmed(sessions: sessionmaker[Session], before: datetime, now: datetime) -> int:
    """Delete subscribers who never confirmed and were last asked before a time; return how many.

    A stranger who typed the address cannot have it mailed more often because of this: its mails of
    the last thirty days keep a hash of the mailbox, and are counted.
    """
    since, total = now - CONFIRMATIONS_LAPSE, 0
    with transaction(sessions) as session:
        unmark_mailboxes(session, since)
    while True:
        with transaction(sessions) as session:
            ids = _lock_unconfirmed(session, before)
            for subscriber_id in ids:
                with counting_on(session, CONFIRMATION_KINDS, subscriber_id, since):
                    delete_subscriber(session, subscriber_id)
        total += len(ids)
        if len(ids) < _AT_ONCE:
            return total


def _lock_unconfirmed(session: Session, before: datetime) -> list[int]:
    has_recent_mail = exists().where(
        Delivery.subscriber_id == Subscriber.id,
        Delivery.edition_id.is_(None),
        Delivery.created_at >= before,
    )
    has_recent_sign_up = exists().where(
        PendingSignUp.subscriber_id == Subscriber.id, PendingSignUp.created_at >= before
    )
    found = session.scalars(
        select(Subscriber.id)
        .where(
            Subscriber.state == SubscriberState.PENDING,
            Subscriber.confirmed_at.is_(None),
            Subscriber.created_at < before,
            ~has_recent_mail,
            ~has_recent_sign_up,
        )
        .order_by(Subscriber.id)
        .limit(_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    return list(found)
