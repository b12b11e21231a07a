"""Tokens of webhook calls, each of which is accepted for one content only."""

from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.bounces.store.models import WebhookToken

# Longer than a signed time is accepted, which may be in the future by as much as in the past.
REMEMBERED = timedelta(minutes=15)


def claim_token(session: Session, token: str, content: bytes, now: datetime) -> bool:
    """Store a token with its content; return false if it is stored with another one.

    A concurrent call with the same token waits for this transaction, and then sees its row.
    """
    session.execute(delete(WebhookToken).where(WebhookToken.created_at < now - REMEMBERED))
    key, digest = (sha256(each).hexdigest() for each in (token.encode("utf-8", "replace"), content))
    values = {"key": key, "content": digest, "created_at": now}
    session.execute(insert(WebhookToken).values(**values).on_conflict_do_nothing())
    stored = session.scalar(select(WebhookToken.content).where(WebhookToken.key == key))
    return stored == digest
