"""Who holds the link: the token in an address, checked for what the address is about."""

from sqlalchemy.orm import Session

from service.messages.signed_links import signed_url
from service.platform.signing.tokens import Purpose, Token, TokenError, read_token, sign_token
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_subscriber
from service.web.core.context import AppContext
from service.web.core.errors import PageNotFound

# Faster than this nobody fills a form; slower are people, and patient programs.
_FASTEST_SECONDS = 2


def open_link(context: AppContext, text: str, purpose: Purpose) -> Token:
    """The token behind a link. Raises `TokenInvalid` or `TokenExpired`, which have pages."""
    return read_token(text, purpose, context.settings.secret_key, context.clock())


def find_holder(session: Session, subscriber_id: int, *, lock: bool = False) -> Subscriber:
    """The reader whom a link is about. Raises `PageNotFound` where they were erased."""
    subscriber = get_subscriber(session, subscriber_id, lock=lock)
    if subscriber is None:
        raise PageNotFound(
            "We hold nothing about you",
            "This subscription was erased. You may sign up again whenever you like.",
        )
    return subscriber


def preferences_url(context: AppContext, subscriber_id: int) -> str:
    """A fresh link to a reader's preferences, for pages that another link of theirs opened."""
    return signed_url(context.settings, Purpose.PREFERENCES, subscriber_id, context.clock())


def sign_form(context: AppContext) -> str:
    """What a form of ours carries, to show that it was fetched before it was sent."""
    return sign_token(Token(Purpose.FORM, 0, context.clock()), context.settings.secret_key)


def is_from_form(context: AppContext, text: str) -> bool:
    """Whether a form of ours was fetched some seconds and at most two days ago.

    It decides which limits count, never whether somebody may sign up.
    """
    try:
        token = open_link(context, text, Purpose.FORM)
    except TokenError:
        return False
    return (context.clock() - token.issued_at).total_seconds() >= _FASTEST_SECONDS
