"""Unsubscribe, pause, resume, change preferences, be erased or suppressed."""

from datetime import UTC, date, datetime

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState, SuppressionReason
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import email_key, fingerprint
from service.platform.signing.tokens import Token
from service.subscribers.domain.sign_up import Preferences
from service.subscribers.queue_mails import queue_farewell, queue_topics_changed
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import (
    activate,
    delete_subscriber,
    find_by_email,
    get_subscriber,
    get_topics,
    record_consent,
    set_preferences,
)
from service.subscribers.store.suppressions import delete_suppression, insert_suppression
from service.subscribers.validate import validate_address


def unsubscribe(session: Session, subscriber_id: int, page: str, now: datetime) -> bool:
    """End a subscription at once; true if it was running. Unknown and left readers are fine.

    The row is locked, so that a send about to start either sees this or was first.
    """
    subscriber = get_subscriber(session, subscriber_id, lock=True)
    leaving = {SubscriberState.ACTIVE, SubscriberState.PAUSED, SubscriberState.PENDING}
    if subscriber is None or subscriber.state not in leaving:
        return False
    subscriber.state = SubscriberState.UNSUBSCRIBED
    subscriber.unsubscribed_at = now
    record_consent(session, subscriber.id, "unsubscribed", page, now)
    return True


def leave(
    session: Session, settings: Settings, subscriber_id: int, page: str, now: datetime
) -> bool:
    """Unsubscribe a reader; where the operator wants it, one last mail holds the way back.

    Off by default: who leaves should hear no more of us.
    """
    has_left = unsubscribe(session, subscriber_id, page, now)
    subscriber = get_subscriber(session, subscriber_id) if has_left else None
    if settings.send_farewell and subscriber is not None and subscriber.confirmed_at is not None:
        queue_farewell(session, subscriber, now)
    return has_left


def undo_unsubscribe(session: Session, subscriber_id: int, now: datetime) -> bool:
    """Take a change of mind back, for whoever holds the link that unsubscribed."""
    subscriber = get_subscriber(session, subscriber_id, lock=True)
    if subscriber is None or subscriber.state is not SubscriberState.UNSUBSCRIBED:
        return False
    if subscriber.confirmed_at is None:
        return False
    activate(session, subscriber, "/unsubscribe", now)
    return True


def never_mail(session: Session, link: Token, secrets: tuple[str, ...], now: datetime) -> None:
    """Suppress an address for good and forget the rest: the link in an unwanted confirmation.

    The address is the one to which the link was sent. It may stand in another row by now: the new
    address of a reader waits in one of its own.
    """
    row = get_subscriber(session, link.subject)
    moved = get_subscriber(session, (row and row.moves_from_id) or 0)
    for holder in (row, moved):
        if holder is not None and link.detail in {"", fingerprint(holder.email_key)}:
            reason = SuppressionReason.UNSUBSCRIBED_FOR_GOOD
            insert_suppression(session, holder.email_key, secrets, reason, "asked by link", now)
            delete_subscriber(session, holder.id)
            return


def update_preferences(
    session: Session, subscriber: Subscriber, chosen: Preferences, now: datetime
) -> None:
    """Set what a reader gets and when; a mail says so where their topics changed."""
    before = {
        canonical for _, canonical in get_topics(session, [subscriber.id]).get(subscriber.id, ())
    }
    set_preferences(session, subscriber, chosen, now)
    if before != {canonical for _, canonical in chosen.topics}:
        queue_topics_changed(session, subscriber, now)


def pause(
    subscriber: Subscriber, until: date | None, now: datetime, *, catches_up: bool = False
) -> bool:
    """Stop the mails until a date (or until resumed); true if they were running.

    With `catches_up` what the pause misses comes in one mail afterwards. It began when the mails
    stopped: pausing again, or before the last pause was made up for, moves only its end.
    """
    if subscriber.state not in {SubscriberState.ACTIVE, SubscriberState.PAUSED}:
        return False
    subscriber.state = SubscriberState.PAUSED
    subscriber.paused_until = until
    subscriber.paused_at = subscriber.paused_at or now
    subscriber.has_catch_up = catches_up
    return True


def resume(subscriber: Subscriber, *, catches_up: bool | None = None) -> bool:
    """Let the mails go on; `catches_up` is the reader's last word on what the pause missed."""
    if subscriber.state is not SubscriberState.PAUSED:
        return False
    subscriber.state = SubscriberState.ACTIVE
    subscriber.paused_until = None
    wants = subscriber.has_catch_up if catches_up is None else catches_up
    began = subscriber.paused_at
    subscriber.catch_up_since = began.astimezone(UTC).date() if began and wants else None
    subscriber.paused_at = began if wants else None
    return True


def erase(
    session: Session, subscriber: Subscriber, secrets: tuple[str, ...], now: datetime
) -> None:
    """Forget a reader (GDPR Art. 17): all that stays is a keyed hash, against a later import.

    Signing up again by the form is possible: it proves the address anew.
    """
    insert_suppression(session, subscriber.email_key, secrets, SuppressionReason.ERASED, "", now)
    delete_subscriber(session, subscriber.id)


def suppress_address(
    session: Session, address: str, secrets: tuple[str, ...], why: str, now: datetime
) -> bool:
    """The operator's word that an address must not be mailed; true if that is new.

    Raises `SignUpError` for what is no address.
    """
    key = email_key(validate_address(address, takes_utf8=True))
    is_new = insert_suppression(session, key, secrets, SuppressionReason.OPERATOR, why, now)
    subscriber = find_by_email(session, key, lock=True)
    if subscriber is not None:
        subscriber.state = SubscriberState.SUPPRESSED
    return is_new


def release_address(session: Session, address: str, secrets: tuple[str, ...]) -> bool:
    """Lift a suppression; true if there was one. The reader has left until they sign up anew.

    Raises `SignUpError` for what is no address.
    """
    key = email_key(validate_address(address, takes_utf8=True))
    released = delete_suppression(session, key, secrets)
    subscriber = find_by_email(session, key, lock=True)
    if subscriber is not None and subscriber.state is SubscriberState.SUPPRESSED:
        subscriber.state = SubscriberState.UNSUBSCRIBED
    return released
