"""Request a subscription and confirm it (double opt-in).

Every function works in the caller's transaction and is idempotent. The page's answer is the same
whether or not the address is known; only the mail to that address, if any, differs.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState, SuppressionReason
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Token, TokenExpired, TokenInvalid
from service.subscribers import queue_mails
from service.subscribers.domain.sign_up import ValidSignUp
from service.subscribers.store import subscribers as store
from service.subscribers.store.models import Subscriber
from service.subscribers.store.suppressions import delete_suppression, find_reason


def request_subscription(
    session: Session,
    form: ValidSignUp,
    secrets: tuple[str, ...],
    now: datetime,
    *,
    asks: bool = True,
) -> None:
    """Insert a pending subscriber and queue the confirmation; at most one mail is queued.

    Without `asks` no confirmation is sent: the operator vouches for the address. A known,
    suppressed or pending address raises no error: it gets no mail, or one that fits its state.
    """
    if find_reason(session, form.email_key, secrets) not in {None, SuppressionReason.ERASED}:
        return
    delete_suppression(session, form.email_key, secrets)
    store.insert_subscriber(session, form, now)
    subscriber = store.find_by_email(session, form.email_key, lock=True)
    if subscriber is None or subscriber.state is SubscriberState.SUPPRESSED:
        return
    if subscriber.state in {SubscriberState.ACTIVE, SubscriberState.PAUSED}:
        queue_mails.queue_personal_link(session, subscriber, now)
        return
    subscriber.state = SubscriberState.PENDING
    subscriber.locale = form.locale or subscriber.locale
    store.set_preferences(session, subscriber, form.preferences, now)
    store.record_consent(session, subscriber.id, "requested", form.page, now)
    if asks:
        queue_mails.queue_confirmation(session, subscriber, now)


def confirm(session: Session, settings: Settings, token: Token, now: datetime) -> Subscriber:
    """Activate the subscriber of a confirmation link; idempotent.

    Raises `TokenInvalid` where the subscriber is gone, `TokenExpired` where they left after the
    link was made, since an old link must not subscribe anybody again.
    """
    subscriber = store.get_subscriber(session, token.subject, lock=True)
    if subscriber is None or subscriber.state is SubscriberState.SUPPRESSED:
        raise TokenInvalid
    left_at = subscriber.unsubscribed_at
    if left_at is not None and token.issued_at < left_at.replace(microsecond=0):
        raise TokenExpired
    if subscriber.state is SubscriberState.PENDING:
        store.activate(session, subscriber, "/confirm", now)
        queue_mails.queue_welcome(session, settings, subscriber, now)
    elif subscriber.state is SubscriberState.UNSUBSCRIBED:
        raise TokenExpired
    return subscriber
