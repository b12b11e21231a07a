"""Another address for a reader: the new one must say yes, the old one is told and may take it back.

The new address waits as a subscriber of its own, pending, with `moves_from_id`: so one address is
one row, suppressions and limits are those of signing up, and a bounce blames the right row. When it
says yes, the two rows change addresses in one commit: the reader keeps topics, links and history;
the other row, unsubscribed, keeps the old address. What is queued for the reader goes to the new
address from that moment on, what was on the wire already goes to the old one, nothing to both.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState, SuppressionReason
from service.deliveries.domain.states import DeliveryKind
from service.platform.signing.address_hash import email_key, fingerprint
from service.platform.signing.tokens import Token, TokenExpired
from service.subscribers.domain.sign_up import Preferences
from service.subscribers.queue_mails import (
    queue_address_notice,
    queue_already_subscribed,
    queue_question,
)
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import (
    find_by_email,
    forget_other_moves,
    get_subscriber,
    insert_subscriber,
    record_consent,
    swap_addresses,
)
from service.subscribers.store.suppressions import delete_suppression, find_reason
from service.subscribers.validate import FormFault, SignUpError, validate_address

_MOVABLE = {SubscriberState.ACTIVE, SubscriberState.PAUSED}
_WAITING = {SubscriberState.PENDING, SubscriberState.UNSUBSCRIBED}


def request_address(
    session: Session, subscriber: Subscriber, text: str, secrets: tuple[str, ...], now: datetime
) -> None:
    """Ask a new address whether it is the reader's; at most one mail goes out, to that address.

    Nothing tells whether the address is known, suppressed or asked already: the answer is the
    same. Raises `SignUpError` for what is no address, or where the reader gets no mail at all.
    """
    if subscriber.state not in _MOVABLE:
        message = "You get no mail from us: sign up with the other address."
        raise SignUpError(FormFault("address", message))
    address = validate_address(text, field="address")
    key = email_key(address)
    if find_reason(session, key, secrets) not in {None, SuppressionReason.ERASED}:
        return
    delete_suppression(session, key, secrets)
    chosen = Preferences(subscriber.cadence, subscriber.hour, subscriber.timezone)
    insert_subscriber(session, address, key, chosen, now)
    other = find_by_email(session, key)
    if other is not None and other.state in _MOVABLE:
        queue_already_subscribed(session, other, now)
        return
    other = find_by_email(session, key, lock=True)
    if other is None or other.state not in _WAITING:
        return
    other.state = SubscriberState.PENDING
    other.moves_from_id = subscriber.id
    forget_other_moves(session, subscriber.id, other.id)
    queue_question(session, other, DeliveryKind.ADDRESS_CHANGE, now)


def confirm_address(session: Session, token: Token, now: datetime) -> Subscriber:
    """Let a reader's digests go to the address that said yes; again changes nothing.

    The same link, sent to the old address, takes the move back. Raises `TokenExpired` where either
    side has changed since: the reader left, another address was asked for, or this one subscribed.
    """
    subscriber_id, _, mark = token.detail.partition(".")
    # In the order of ids, as everybody locks subscribers.
    held = {
        i: get_subscriber(session, i, lock=True)
        for i in sorted({int(subscriber_id), token.subject})
    }
    subscriber, other = held[int(subscriber_id)], held[token.subject]
    if subscriber is None or subscriber.state not in _MOVABLE:
        raise TokenExpired
    if fingerprint(subscriber.email_key) == mark:
        return subscriber
    if (
        other is None
        or other.state not in _WAITING
        or other.moves_from_id != subscriber.id
        or fingerprint(other.email_key) != mark
    ):
        raise TokenExpired
    swap_addresses(session, subscriber, other)
    # What bounced before was another mailbox: bounces count from here on.
    subscriber.confirmed_at = now
    other.state = SubscriberState.UNSUBSCRIBED
    other.unsubscribed_at = now
    other.confirmed_at = None
    other.confirmation_count = 0
    record_consent(session, subscriber.id, "address changed", "/address", now)
    queue_address_notice(session, other, now)
    return subscriber
