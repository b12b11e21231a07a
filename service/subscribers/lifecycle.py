"""A subscriber's lifecycle: unsubscribe, pause, resume, change preferences, erase, suppress.

The subscriber is locked before its suppression is inserted or deleted, as for a bounce, so that the
two cannot deadlock.
"""

from datetime import UTC, date, datetime

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState, SuppressionReason
from service.deliveries.domain.states import DeliveryKind, SkipReason
from service.deliveries.store.deliveries import skip_queued_mail
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import email_key, fingerprint
from service.platform.signing.tokens import Token
from service.subscribers.domain.sign_up import Preferences
from service.subscribers.queue_mails import queue_farewell, queue_fresh_links, queue_topics_changed
from service.subscribers.store import subscribers as store
from service.subscribers.store.models import Subscriber
from service.subscribers.store.pending_sign_ups import forget_sign_ups
from service.subscribers.store.suppressions import delete_suppression, insert_suppression
from service.subscribers.validate import validate_address


def unsubscribe(session: Session, subscriber_id: int, page: str, now: datetime) -> bool:
    """Lock the row and end the subscription at once; return whether there was one to end."""
    subscriber = store.get_subscriber(session, subscriber_id, lock=True)
    return _unsubscribe(session, subscriber, page, now)


def _unsubscribe(session: Session, subscriber: Subscriber | None, page: str, now: datetime) -> bool:
    """End the subscription of a locked row at once; return whether there was one to end.

    The lock prevents a race with a send that is about to start.
    """
    ended = {*store.SUBSCRIBED, SubscriberState.PENDING}
    if subscriber is not None and subscriber.state is SubscriberState.SUPPRESSED:
        store.decline(session, subscriber.id, page, now)
    if subscriber is None or subscriber.state not in ended:
        return False
    action = "withdrew" if subscriber.state is SubscriberState.PENDING else "unsubscribed"
    if subscriber.state is SubscriberState.PENDING:
        forget_sign_ups(session, subscriber.id)
        unsubscribed, kind = SkipReason.UNSUBSCRIBED, DeliveryKind.CONFIRMATION
        skip_queued_mail(session, kind, subscriber.id, unsubscribed, now)
    subscriber.state = SubscriberState.UNSUBSCRIBED
    subscriber.unsubscribed_at = now
    store.record_consent(session, subscriber.id, action, page, now)
    return True


def leave(
    session: Session, settings: Settings, subscriber_id: int, page: str, now: datetime
) -> bool:
    """Lock the row and unsubscribe; see `leave_locked`."""
    subscriber = store.get_subscriber(session, subscriber_id, lock=True)
    return leave_locked(session, settings, subscriber, page, now)


def leave_by_link(
    session: Session, settings: Settings, link: Token, page: str, now: datetime
) -> bool:
    """Unsubscribe the holder of a verified link by one statement; True where that was all to do.

    Else the caller locks the row: the state is another one, or a farewell is to be queued.
    """
    if settings.send_farewell:
        return False
    return store.end_subscription(session, link.subject, link.key, page, now)


def leave_locked(
    session: Session, settings: Settings, subscriber: Subscriber | None, page: str, now: datetime
) -> bool:
    """Unsubscribe; where the operator wants it, queue a last mail with a link to return.

    The mail is off by default, since a subscriber who leaves should get no more mail. The caller has
    locked the row. Returns whether there was a subscription to end.
    """
    has_left = _unsubscribe(session, subscriber, page, now)
    if has_left and settings.send_farewell and subscriber and subscriber.confirmed_at:
        queue_farewell(session, subscriber, now)
    return has_left


def undo_unsubscribe(session: Session, subscriber_id: int, now: datetime) -> bool:
    """Subscribe again by the link that unsubscribed; return whether that changed anything."""
    subscriber = store.get_subscriber(session, subscriber_id, lock=True)
    if subscriber is None or subscriber.state is not SubscriberState.UNSUBSCRIBED:
        return False
    if subscriber.confirmed_at is None:
        return False
    store.activate(session, subscriber, "/unsubscribe", now)
    return True


def suppress_for_good(
    session: Session, link: Token, secrets: tuple[str, ...], now: datetime
) -> None:
    """Suppress an address for good and erase the rest: the link in an unwanted confirmation.

    The address is the one to which the link was sent. It may be in another row by now, because
    the new address of a subscriber waits in a row of its own.
    """
    row = store.get_subscriber(session, link.subject, lock=True)
    moved = store.get_subscriber(session, (row and row.moves_from_id) or 0, lock=True)
    for holder in (row, moved):
        if holder is not None and link.detail == fingerprint(holder.email_key):
            reason = SuppressionReason.UNSUBSCRIBED_FOR_GOOD
            insert_suppression(session, holder.email_key, secrets, reason, "asked by link", now)
            store.delete_subscriber(session, holder.id)
            return


def update_preferences(
    session: Session, subscriber: Subscriber, chosen: Preferences, now: datetime
) -> None:
    """Set a subscriber's preferences; queue a mail about it where the topics changed."""
    before = store.get_topics(session, [subscriber.id]).get(subscriber.id, ())
    store.set_preferences(session, subscriber, chosen, now)
    if {canonical for _, canonical in before} != {canonical for _, canonical in chosen.topics}:
        queue_topics_changed(session, subscriber, now)


def pause(
    subscriber: Subscriber, until: date | None, now: datetime, *, catches_up: bool = False
) -> bool:
    """Pause a subscription until a date (or until resumed); return false if it is not running.

    With `catches_up` the missed papers come in one mail afterwards. Pausing again, or before the
    last pause was caught up with, moves only the end of the pause, not its beginning.
    """
    if subscriber.state not in {SubscriberState.ACTIVE, SubscriberState.PAUSED}:
        return False
    subscriber.state = SubscriberState.PAUSED
    subscriber.paused_until = until
    subscriber.paused_at = subscriber.paused_at or now
    subscriber.has_catch_up = catches_up
    return True


def resume(subscriber: Subscriber, *, catches_up: bool | None = None) -> bool:
    """Resume a paused subscription; `catches_up` overrides the choice made when pausing."""
    if subscriber.state is not SubscriberState.PAUSED:
        return False
    subscriber.state = SubscriberState.ACTIVE
    subscriber.paused_until = None
    wants = subscriber.has_catch_up if catches_up is None else catches_up
    began = subscriber.paused_at
    subscriber.catch_up_since = began.astimezone(UTC).date() if began and wants else None
    subscriber.paused_at = began if wants else None
    return True


def end_links(session: Session, subscriber: Subscriber, by: str, now: datetime) -> None:
    """End all links of a subscriber but those to leave, and queue a mail with new ones.

    Mails that are queued get new links; those sent already have only the link to unsubscribe left.
    """
    subscriber.link_epoch += 1
    store.record_consent(session, subscriber.id, "ended all links", by, now)
    if subscriber.state in store.SUBSCRIBED:
        queue_fresh_links(session, subscriber, now)


def erase(
    session: Session, subscriber: Subscriber, secrets: tuple[str, ...], now: datetime
) -> None:
    """Erase a subscriber (GDPR Art. 17); a keyed hash stays, so that no import adds them again.

    Signing up again by the form is possible, since that confirms the address again.
    """
    store.get_subscriber(session, subscriber.id, lock=True)
    insert_suppression(session, subscriber.email_key, secrets, SuppressionReason.ERASED, "", now)
    store.delete_subscriber(session, subscriber.id)


def suppress_address(
    session: Session, address: str, secrets: tuple[str, ...], why: str, now: datetime
) -> bool:
    """Suppress an address for the operator; return false if it was suppressed before.

    Raises `SignUpError` for an invalid address.
    """
    key = email_key(validate_address(address, takes_utf8=True))
    subscriber = store.find_by_email(session, key, lock=True)
    is_new = insert_suppression(session, key, secrets, SuppressionReason.OPERATOR, why, now)
    if subscriber is not None:
        store.end_by_suppression(session, subscriber, "operator", now)
    return is_new


def release_address(session: Session, address: str, secrets: tuple[str, ...]) -> bool:
    """Lift a suppression; return whether there was one. The subscriber is then unsubscribed.

    Raises `SignUpError` for an invalid address.
    """
    key = email_key(validate_address(address, takes_utf8=True))
    subscriber = store.find_by_email(session, key, lock=True)
    released = delete_suppression(session, key, secrets)
    if subscriber is not None and subscriber.state is SubscriberState.SUPPRESSED:
        subscriber.state = SubscriberState.UNSUBSCRIBED
    return released
