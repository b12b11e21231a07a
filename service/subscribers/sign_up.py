"""Request a subscription and confirm it (double opt-in).

Every function works in the caller's transaction and is idempotent. A worker calls them, after the
page has answered: so the answer and its time are the same whether or not the address is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence, SubscriberState, SuppressionReason, Timing
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import (
    Token,
    TokenEnded,
    TokenExpired,
    TokenInvalid,
    is_held_by,
)
from service.subscribers import queue_mails
from service.subscribers.domain.choices import preferences_from_json
from service.subscribers.domain.sign_up import Preferences, ValidSignUp
from service.subscribers.store import subscribers as store
from service.subscribers.store.models import PendingSignUp, Subscriber
from service.subscribers.store.pending_sign_ups import forget_sign_ups, keep_sign_up, list_kept
from service.subscribers.store.suppressions import delete_suppression, find_reason

_UNCONFIRMED = {SubscriberState.PENDING, SubscriberState.UNSUBSCRIBED}


def request_subscription(
    session: Session,
    form: ValidSignUp,
    secrets: tuple[str, ...],
    now: datetime,
    *,
    asks: bool = True,
) -> bool:
    """Insert a pending subscriber and queue the confirmation; return whether a mail is queued.

    Without `asks` no confirmation is sent: the operator vouches for the address. Nothing of a known
    address is changed, since anybody can type it: the sign-up is kept apart until it is confirmed.
    """
    if find_reason(session, form.email_key, secrets) not in {None, SuppressionReason.ERASED}:
        return False
    delete_suppression(session, form.email_key, secrets)
    added = store.insert_subscriber(session, form, now)
    subscriber = store.find_by_email(session, form.email_key, lock=True)
    if subscriber is None or subscriber.state is SubscriberState.SUPPRESSED:
        return False
    if subscriber.state not in _UNCONFIRMED:
        return queue_mails.queue_personal_link(session, subscriber, now)
    if added is None:
        return _request_apart(session, subscriber, form, now)
    subscriber.locale = form.locale
    store.set_preferences(session, subscriber, form.preferences, now)
    store.record_consent(session, subscriber.id, "requested", form.page, now)
    return asks and queue_mails.queue_confirmation(session, subscriber, now)


def _request_apart(
    session: Session, subscriber: Subscriber, form: ValidSignUp, now: datetime
) -> bool:
    kept = keep_sign_up(session, subscriber.id, form, now)
    kept.is_mailed = queue_mails.queue_confirmation(session, subscriber, now, sign_up_id=kept.id)
    return kept.is_mailed


def list_open_sign_ups(
    session: Session, subscriber: Subscriber, link: Token, now: datetime
) -> Sequence[PendingSignUp]:
    """Return the later sign-ups that the holder of a confirmation link may choose, the oldest first.

    Raises `TokenExpired` where the link itself confirms nothing any more: an old link must not
    subscribe anybody again who left after it was made.
    """
    kept = [each for each in list_kept(session, subscriber.id, now) if _is_open(subscriber, each)]
    is_known = not link.detail or link.detail in {str(each.id) for each in kept}
    left_at = subscriber.unsubscribed_at
    is_late = left_at is not None and link.issued_at < left_at.replace(microsecond=0)
    needs_sign_up = subscriber.state is SubscriberState.UNSUBSCRIBED and not link.detail
    if subscriber.state not in _UNCONFIRMED or is_late or needs_sign_up or not is_known:
        raise TokenExpired
    return kept


@dataclass(frozen=True, slots=True)
class Choice:
    """A sign-up that a confirmation link may confirm: `name` is empty for the address's first one."""

    name: str
    requested_at: datetime
    cadence: Cadence
    hour: int
    timezone: str
    timing: Timing
    topics: tuple[str, ...]


def list_choices(
    session: Session, subscriber: Subscriber, link: Token, now: datetime
) -> list[Choice]:
    """Return the sign-ups that the holder of a link may confirm, equal ones once, the oldest first.

    Raises `TokenExpired` as `list_open_sign_ups`.
    """
    first = store.get_topics(session, [subscriber.id]).get(subscriber.id, [])
    topics = tuple(query for query, _ in first)
    own = _choice("", subscriber.created_at, subscriber, topics)
    choices = [own] if subscriber.state is SubscriberState.PENDING else []
    for kept in list_open_sign_ups(session, subscriber, link, now):
        chosen = preferences_from_json(kept.choices)
        topics = tuple(query for query, _ in chosen.topics)
        choices.append(_choice(str(kept.id), kept.created_at, chosen, topics))
    # The link's own is kept of several that are equal.
    distinct = {
        (each.cadence, each.hour, each.timezone, each.timing, each.topics): each
        for each in sorted(choices, key=lambda each: each.name == link.detail)
    }
    return sorted(distinct.values(), key=lambda each: each.requested_at)


def _choice(
    name: str, at: datetime, chosen: Subscriber | Preferences, topics: tuple[str, ...]
) -> Choice:
    return Choice(name, at, chosen.cadence, chosen.hour, chosen.timezone, chosen.timing, topics)


def _is_open(subscriber: Subscriber, kept: PendingSignUp) -> bool:
    return subscriber.unsubscribed_at is None or kept.created_at >= subscriber.unsubscribed_at


def confirm(
    session: Session, settings: Settings, token: Token, now: datetime, chosen: str | None = None
) -> Subscriber:
    """Activate the subscriber of a confirmation link with the sign-up that it names; idempotent.

    `chosen` is another of the address's open sign-ups, or empty for the first one. Raises
    `TokenInvalid` where the subscriber is gone, `TokenEnded` where its links were ended, and
    `TokenExpired` where they left after the link was made.
    """
    subscriber = store.get_subscriber(session, token.subject, lock=True)
    if subscriber is None or subscriber.state is SubscriberState.SUPPRESSED:
        raise TokenInvalid
    if not is_held_by(token, subscriber):
        raise TokenEnded
    left_at = subscriber.unsubscribed_at
    if left_at is not None and token.issued_at < left_at.replace(microsecond=0):
        raise TokenExpired
    if subscriber.state in store.SUBSCRIBED:
        return subscriber
    kept = {str(k.id): k for k in list_open_sign_ups(session, subscriber, token, now)}
    name = token.detail if chosen is None else chosen
    sign_up = kept.get(name) or (kept.get(token.detail) if name else None)
    if sign_up is not None:
        _apply(session, subscriber, sign_up, now)
    forget_sign_ups(session, subscriber.id)
    store.activate(session, subscriber, "/confirm", now)
    queue_mails.queue_welcome(session, settings, subscriber, now)
    return subscriber


def _apply(session: Session, subscriber: Subscriber, sign_up: PendingSignUp, now: datetime) -> None:
    store.set_preferences(session, subscriber, preferences_from_json(sign_up.choices), now)
    subscriber.locale = sign_up.locale or subscriber.locale
    store.record_consent(session, subscriber.id, "requested", sign_up.page, sign_up.created_at)
