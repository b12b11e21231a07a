"""Take a sign-up, and the answer to its confirmation.

Every function works in the caller's transaction and may run twice. Whoever signs up sees the same
answer whether or not the address is known; what differs is which mail, if any, goes to it.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState, SuppressionReason
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Token, TokenExpired, TokenInvalid
from service.subscribers.domain.sign_up import ValidSignUp
from service.subscribers.queue_mails import (
    queue_already_subscribed,
    queue_confirmation,
    queue_welcome,
)
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import (
    activate,
    find_by_email,
    get_subscriber,
    insert_subscriber,
    record_consent,
    set_preferences,
)
from service.subscribers.store.suppressions import delete_suppression, find_reason


def request_subscription(
    session: Session,
    form: ValidSignUp,
    secrets: tuple[str, ...],
    now: datetime,
    *,
    asks: bool = True,
) -> None:
    """Take a sign-up: at most one mail goes out, to the address, saying how to go on.

    Without `asks` no confirmation is sent: the operator vouches for the address. An address that
    is known, suppressed or pending gets the same silence or its own mail, never an error.
    """
    suppressed_for = find_reason(session, form.email_key, secrets)
    if suppressed_for not in {None, SuppressionReason.ERASED}:
        return
    delete_suppression(session, form.email_key, secrets)
    insert_subscriber(session, form.email, form.email_key, form.preferences, now)
    subscriber = find_by_email(session, form.email_key, lock=True)
    if subscriber is None or subscriber.state is SubscriberState.SUPPRESSED:
        return
    if subscriber.state in {SubscriberState.ACTIVE, SubscriberState.PAUSED}:
        queue_already_subscribed(session, subscriber, now)
        return
    subscriber.state = SubscriberState.PENDING
    subscriber.locale = form.locale or subscriber.locale
    set_preferences(session, subscriber, form.preferences, now)
    record_consent(session, subscriber.id, "requested", form.page, now)
    if asks:
        queue_confirmation(session, subscriber, now)


def confirm(session: Session, settings: Settings, token: Token, now: datetime) -> Subscriber:
    """Confirm the address behind a link; again changes nothing.

    Raises `TokenInvalid` where the subscriber is gone, `TokenExpired` where they left after the
    link was made: an old link must not subscribe anybody again.
    """
    subscriber = get_subscriber(session, token.subject, lock=True)
    if subscriber is None or subscriber.state is SubscriberState.SUPPRESSED:
        raise TokenInvalid
    if (
        subscriber.unsubscribed_at is not None
        and token.issued_at < subscriber.unsubscribed_at.replace(microsecond=0)
    ):
        raise TokenExpired
    if subscriber.state is SubscriberState.PENDING:
        activate(session, subscriber, "/confirm", now)
        queue_welcome(session, settings, subscriber, now)
    elif subscriber.state is SubscriberState.UNSUBSCRIBED:
        raise TokenExpired
    return subscriber
