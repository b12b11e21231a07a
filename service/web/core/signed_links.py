"""Signed tokens in URLs and forms: verification, and the subscriber that they are about."""

from sqlalchemy.orm import Session

from service.messages.signed_links import signed_url
from service.platform.signing.tokens import (
    Purpose,
    Token,
    TokenEnded,
    TokenError,
    TokenInvalid,
    is_held_by,
    sign_token,
    verify_token,
)
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_subscriber
from service.web.core.context import AppContext
from service.web.core.errors import PageNotFound

# Links whose holder may have a mail with new links sent, to the address that got them.
_RENEWABLE = {
    "unsubscribe": Purpose.UNSUBSCRIBE,
    "confirm": Purpose.CONFIRM,
    "preferences": Purpose.PREFERENCES,
    "change": Purpose.CHANGE,
    "address": Purpose.ADDRESS,
}

# No person fills a form faster than this; some programs are as slow.
_FASTEST_SECONDS = 2


def open_link(
    context: AppContext, text: str, purpose: Purpose, *, may_be_old: bool = False
) -> Token:
    """Return the verified token. Raises `TokenInvalid` or `TokenExpired`, which have error pages."""
    keys, now = context.settings.secret_key, context.clock()
    return verify_token(text, purpose, keys, now, may_be_old=may_be_old)


def open_old_link(context: AppContext, path: str) -> Token:
    """Return the token in the path of a page, however old. Raises `TokenInvalid`."""
    folder, _, rest = path.strip("/").partition("/")
    if folder not in _RENEWABLE:
        raise TokenInvalid
    return open_link(context, rest.partition("/")[0], _RENEWABLE[folder], may_be_old=True)


def find_holder(session: Session, link: Token, *, lock: bool = False) -> Subscriber:
    """Return the subscriber of a link.

    Raises `PageNotFound` where they were erased, `TokenEnded` where the link was ended.
    """
    subscriber = get_subscriber(session, link.subject, lock=lock)
    if subscriber is None:
        raise PageNotFound(
            "We hold nothing about you",
            "This subscription was erased. You may sign up again whenever you like.",
        )
    if not is_held_by(link, subscriber):
        raise TokenEnded
    return subscriber


def preferences_url(context: AppContext, subscriber: Subscriber) -> str:
    """Return a new link to a subscriber's preferences, for the page that confirmed the address."""
    return signed_url(context.settings, Purpose.PREFERENCES, subscriber, context.clock())


def sign_form(context: AppContext) -> str:
    """Return the token of a form, which proves that the form was fetched before it was sent."""
    return sign_token(Token(Purpose.FORM, 0, context.clock()), context.settings.secret_key)


def is_from_form(context: AppContext, text: str) -> bool:
    """Whether the form was fetched at least two seconds and at most two days ago.

    It selects the rate limits that apply, never whether somebody may sign up.
    """
    try:
        token = open_link(context, text, Purpose.FORM)
    except TokenError:
        return False
    return (context.clock() - token.issued_at).total_seconds() >= _FASTEST_SECONDS
