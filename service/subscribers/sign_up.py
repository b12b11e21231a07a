"""A reader's life: sign up, confirm, change, pause, leave, come back, be erased.

Every function works in the caller's transaction and may run twice. Whoever signs up sees the same
answer whether or not the address is known; what differs is which mail, if any, goes to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from email_validator import EmailNotValidError, validate_email
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence, SubscriberState, SuppressionReason
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import count_mails, insert_mail, latest_mail_at
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import email_key
from service.platform.signing.tokens import Token, TokenExpired, TokenInvalid
from service.platform.time_zones import is_zone
from service.subscribers.queue_mails import (
    MAIL_LIFETIME,
    queue_welcome,
)
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import (
    Preferences,
    find_by_email,
    get_subscriber,
    insert_subscriber,
    record_consent,
    replace_topics,
)
from service.subscribers.store.suppressions import (
    delete_suppression,
    find_reason,
)
from service.topics.topics import read_topics

# One confirmation a day and three in all: nobody can be bombed through our form.
CONFIRMATION_GAP = timedelta(hours=24)
MOST_CONFIRMATIONS = 3


class SignUpError(ValueError):
    """What the visitor typed cannot be used; `field` names the form's field, the text says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class SignUp:
    """A sign-up as it was typed. `page` is where (for the record of consent), `locale` how the
    visitor's browser asks for dates (`de-AT`), or empty. `has_empty_digests`: a short mail also
    where nothing matched; no form asks a newcomer for it. `takes_utf8`: see `read_address`."""

    email: str
    topics: tuple[str, ...]
    cadence: str
    hour: str
    timezone: str
    page: str = "/"
    locale: str = ""
    has_empty_digests: bool = False
    takes_utf8: bool = False


def read_address(text: str, *, takes_utf8: bool = False) -> str:
    """The address with its domain as A-labels. Raises `SignUpError` with a hint.

    With `takes_utf8` the relay carries letters outside ASCII before the @, too (RFC 6531).
    """
    try:
        # Strict: RFC 5321 §4.5.3.1.1 ends a local part at 64 octets, and relays refuse more.
        checked = validate_email(text.strip(), check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise SignUpError("email", f"This is not an email address: {error}") from error
    if checked.ascii_email:
        return checked.ascii_email
    if not takes_utf8:
        message = "We cannot mail an address with letters outside ASCII before the @."
        raise SignUpError("email", message)
    return f"{checked.local_part}@{checked.ascii_domain}"


def read_preferences(cadence: str, hour: str, timezone: str) -> Preferences:
    """Cadence, hour and zone as chosen. Raises `SignUpError` naming the field."""
    if cadence not in set(Cadence):
        raise SignUpError("cadence", f"Choose {', '.join(Cadence)}.")
    if not (hour.isascii() and hour.isdigit() and len(hour) <= 2 and int(hour) < 24):
        raise SignUpError("hour", "The hour is a whole number from 0 to 23.")
    if not is_zone(timezone):
        raise SignUpError("timezone", f"No time zone is called {timezone!r}; try Europe/Berlin.")
    return Preferences(Cadence(cadence), int(hour), timezone)


def read_form_preferences(form: SignUp) -> Preferences:
    """The same of a sign-up."""
    chosen = read_preferences(form.cadence, form.hour, form.timezone)
    return replace(chosen, has_empty_digests=form.has_empty_digests)


def request_subscription(
    session: Session,
    form: SignUp,
    secrets: tuple[str, ...],
    now: datetime,
    *,
    asks: bool = True,
) -> None:
    """Take a sign-up: at most one mail goes out, to the address, saying how to go on.

    Without `asks` no confirmation is sent: the operator vouches for the address.

    Raises `SignUpError` or `TopicError` for input that cannot be used, never for an address that
    is known, suppressed or pending: those get the same silence or their own mail.
    """
    address = read_address(form.email, takes_utf8=form.takes_utf8)
    preferences = read_form_preferences(form)
    topics = read_topics(session, form.topics)
    key = email_key(address)
    suppressed_for = find_reason(session, key, secrets)
    if suppressed_for not in {None, SuppressionReason.ERASED}:
        return
    delete_suppression(session, key, secrets)
    insert_subscriber(session, address, key, preferences, now)
    reader = find_by_email(session, key, lock=True)
    if reader is None or reader.state is SubscriberState.SUPPRESSED:
        return
    if reader.state in {SubscriberState.ACTIVE, SubscriberState.PAUSED}:
        remind(session, reader, now)
        return
    reader.state = SubscriberState.PENDING
    set_preferences(reader, preferences)
    reader.locale = form.locale or reader.locale
    replace_topics(session, reader.id, topics, now)
    record_consent(session, reader.id, "requested", form.page, now)
    if asks:
        ask_for_confirmation(session, reader, now)


def remind(session: Session, reader: Subscriber, now: datetime) -> None:
    """Tell somebody who signs up again that they are subscribed; once a day."""
    insert_mail(
        session,
        DeliveryKind.ALREADY_SUBSCRIBED,
        reader.id,
        now.date().isoformat(),
        now,
        now + MAIL_LIFETIME,
    )


def ask_for_confirmation(session: Session, reader: Subscriber, now: datetime) -> None:
    """Queue the confirmation mail, unless the address was asked today or had enough of it."""
    ask_by_mail(session, reader, DeliveryKind.CONFIRMATION, now)


def ask_by_mail(session: Session, reader: Subscriber, kind: DeliveryKind, now: datetime) -> None:
    """Ask an address whether it is somebody's who wants our mail; whatever the question, once a
    day and three times in all."""
    since = reader.unsubscribed_at or reader.created_at
    asked = (latest_mail_at(session, one, reader.id) for one in _QUESTIONS)
    is_too_soon = any(
        at is not None and at >= since and now - at < CONFIRMATION_GAP for at in asked
    )
    if is_too_soon or reader.confirmation_count >= MOST_CONFIRMATIONS:
        return
    number = count_mails(session, kind, reader.id) + 1
    reader.confirmation_count += 1
    insert_mail(session, kind, reader.id, str(number), now, now + MAIL_LIFETIME)


_QUESTIONS = (DeliveryKind.CONFIRMATION, DeliveryKind.ADDRESS_CHANGE)


def confirm(session: Session, settings: Settings, token: Token, now: datetime) -> Subscriber:
    """Confirm the address behind a link; again changes nothing.

    Raises `TokenInvalid` where the subscriber is gone, `TokenExpired` where they left after the
    link was made: an old link must not subscribe anybody again.
    """
    reader = get_subscriber(session, token.subject, lock=True)
    if reader is None or reader.state is SubscriberState.SUPPRESSED:
        raise TokenInvalid
    if reader.unsubscribed_at is not None and token.issued_at < reader.unsubscribed_at.replace(
        microsecond=0
    ):
        raise TokenExpired
    if reader.state is SubscriberState.PENDING:
        activate(session, reader, "/confirm", now)
        queue_welcome(session, settings, reader, now)
    elif reader.state is SubscriberState.UNSUBSCRIBED:
        raise TokenExpired
    return reader


def activate(session: Session, reader: Subscriber, page: str, now: datetime) -> None:
    """Make a subscriber active, with the record of how."""
    reader.state = SubscriberState.ACTIVE
    reader.confirmed_at = now
    reader.unsubscribed_at = None
    reader.paused_until = None
    reader.paused_at = None
    reader.catch_up_since = None
    reader.moves_from_id = None
    reader.confirmation_count = 0
    record_consent(session, reader.id, "confirmed", page, now)


def set_preferences(reader: Subscriber, preferences: Preferences) -> None:
    reader.cadence = preferences.cadence
    reader.hour = preferences.hour
    reader.timezone = preferences.timezone
    reader.has_empty_digests = preferences.has_empty_digests
