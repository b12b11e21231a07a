"""Change a subscriber's address: the new one must confirm, the old one gets a notice with an undo.

The new address waits as a pending subscriber of its own, with `moves_from_id`: so one address is
one row, suppressions and limits are those of signing up, and a bounce counts against the right row.
On confirmation the two rows swap addresses in one commit: the subscriber keeps topics and history;
the other row, unsubscribed, keeps the old address. Links in earlier mails end, since the old mailbox
may have a new owner: one to unsubscribe answers that its address gets no mail. Queued mail goes to the new address
from then on, mail in flight goes to the old one, and no mail goes to both.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState, SuppressionReason
from service.deliveries.domain.states import DeliveryKind
from service.platform.signing.address_hash import email_key, fingerprint
from service.platform.signing.tokens import Token, TokenEnded, TokenExpired, is_held_by
from service.subscribers import queue_mails
from service.subscribers.domain.sign_up import Preferences, ValidSignUp
from service.subscribers.store import subscribers as store
from service.subscribers.store.models import Subscriber
from service.subscribers.store.suppressions import delete_suppression, find_reason
from service.subscribers.validate import FormFault, SignUpError, validate_address

_MOVABLE = {SubscriberState.ACTIVE, SubscriberState.PAUSED}
_WAITING = {SubscriberState.PENDING, SubscriberState.UNSUBSCRIBED}


def request_address(
    session: Session, subscriber: Subscriber, text: str, secrets: tuple[str, ...], now: datetime
) -> None:
    """Send the new address a request to confirm the change; at most one mail is queued, to it.

    The outcome looks the same whether the address is new, known, suppressed or asked already.
    Raises `SignUpError` for an invalid address, or where the subscriber gets no mail at all.
    """
    if subscriber.state not in _MOVABLE:
        message = "You get no mail from us. Sign up with the new address instead."
        raise SignUpError(FormFault("address", message))
    address = validate_address(text, field="address")
    key = email_key(address)
    if find_reason(session, key, secrets) not in {None, SuppressionReason.ERASED}:
        return
    delete_suppression(session, key, secrets)
    chosen = Preferences(
        subscriber.cadence, subscriber.hour, subscriber.timezone, timing=subscriber.timing
    )
    store.insert_subscriber(session, ValidSignUp(address, key, chosen), now)
    other = store.find_by_email(session, key)
    if other is not None and other.state in _MOVABLE:
        queue_mails.queue_personal_link(session, other, now)
        return
    other = store.find_by_email(session, key, lock=True)
    if other is None or other.state not in _WAITING:
        return
    other.state = SubscriberState.PENDING
    other.moves_from_id = subscriber.id
    store.cancel_other_address_changes(session, subscriber.id, other.id)
    queue_mails.queue_confirmation(session, other, now, DeliveryKind.ADDRESS_CHANGE)


def confirm_address(session: Session, token: Token, now: datetime) -> Subscriber:
    """Move a subscriber to the confirmed address; idempotent.

    The same link, sent to the old address, undoes the change. Each works once, so that after an undo
    the first link does not move the subscriber again. Raises `TokenEnded` then, and `TokenExpired` where either
    side has changed: the subscriber left, requested another address, or this address subscribed.
    """
    subscriber_id, _, address_print = token.detail.partition(".")
    # Subscribers are always locked in id order, so that concurrent changes cannot deadlock.
    locked = {
        i: store.get_subscriber(session, i, lock=True)
        for i in sorted({int(subscriber_id), token.subject})
    }
    subscriber, other = locked[int(subscriber_id)], locked[token.subject]
    if subscriber is None or subscriber.state not in _MOVABLE:
        raise TokenExpired
    if fingerprint(subscriber.email_key) == address_print:
        return subscriber
    if other is not None and not is_held_by(token, other):
        raise TokenEnded
    if (
        other is None
        or other.state not in _WAITING
        or other.moves_from_id != subscriber.id
        or fingerprint(other.email_key) != address_print
    ):
        raise TokenExpired
    store.swap_addresses(session, subscriber, other)
    # Earlier bounces came from the old mailbox, so bounces count only from now on.
    subscriber.confirmed_at = now
    other.state = SubscriberState.UNSUBSCRIBED
    other.unsubscribed_at = now
    other.confirmed_at = None
    store.record_consent(session, subscriber.id, "address changed", "/address", now)
    queue_mails.queue_address_notice(session, other, now)
    return subscriber
