"""The keys of private feeds: at most one for each subscriber."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.subscribers.store.models import FeedKey


def find_feed_key(session: Session, subscriber_id: int) -> FeedKey | None:
    return session.get(FeedKey, subscriber_id, populate_existing=True)


def insert_feed_key(session: Session, subscriber_id: int, now: datetime) -> None:
    """Insert a random key; one that is there stays."""
    values = {"subscriber_id": subscriber_id, "created_at": now}
    session.execute(insert(FeedKey).values(values).on_conflict_do_nothing())


def delete_feed_key(session: Session, subscriber_id: int, key: bytes) -> bool:
    """Delete this key; return whether it was there. A later key stays."""
    own = FeedKey.subscriber_id == subscriber_id
    gone = delete(FeedKey).where(own, FeedKey.feed_key == key).returning(FeedKey.subscriber_id)
    return session.scalar(gone) is not None
