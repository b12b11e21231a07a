"""The address of a subscriber's private feed: make one, replace it, end it.

The feed's link is signed, names the key of the row in `feed_keys`, and ends with it; it ends also with
all other links of the subscriber (`is_held_by`). Making one twice makes one; what replaces or ends an
address names it, so that a form sent twice changes one address once.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from service.platform.signing.tokens import Purpose, Token, is_held_by, make_token
from service.subscribers.store import feed_keys as store
from service.subscribers.store.models import Subscriber


def make_feed(session: Session, subscriber: Subscriber, now: datetime) -> None:
    """Make the feed's address, unless there is one."""
    store.insert_feed_key(session, subscriber.id, now)


def end_feed(session: Session, subscriber: Subscriber, was: str) -> bool:
    """End the address whose key is `was`, in hexadecimal; return false if it is not the present one."""
    try:
        return store.delete_feed_key(session, subscriber.id, bytes.fromhex(was))
    except ValueError:
        return False


def replace_feed(session: Session, subscriber: Subscriber, was: str, now: datetime) -> bool:
    """End the address whose key is `was` and make another; return false if it is not the present one."""
    is_ended = end_feed(session, subscriber, was)
    if is_ended:
        store.insert_feed_key(session, subscriber.id, now)
    return is_ended


def find_feed_token(session: Session, subscriber: Subscriber) -> Token | None:
    """Return the token of the feed's link, always the same for one key; None without a feed."""
    row = store.find_feed_key(session, subscriber.id)
    if row is None:
        return None
    return make_token(Purpose.FEED, subscriber, row.created_at, row.feed_key.hex())


def opens_feed(session: Session, subscriber: Subscriber, link: Token) -> bool:
    """Return whether a verified token is that of the subscriber's present feed."""
    row = store.find_feed_key(session, subscriber.id)
    return row is not None and link.detail == row.feed_key.hex() and is_held_by(link, subscriber)
