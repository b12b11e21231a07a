"""Suppressed addresses as keyed hashes (HMAC); all secrets are tried, so that keys can rotate."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SuppressionReason
from service.platform.database.engine import log_on_commit
from service.platform.database.text_formats import write_octets, write_texts
from service.platform.logs import get_logger, mask_addresses
from service.platform.signing.address_hash import address_hash
from service.subscribers.store.models import Subscriber, Suppression

# Of a reply; servers write a line or two.
MOST_REPLY = 1000

log = get_logger(__name__)


def insert_suppression(
    session: Session,
    email_key: str,
    secrets: tuple[str, ...],
    reason: SuppressionReason,
    detail: str,
    now: datetime,
) -> bool:
    """Suppress an address; return false if it was suppressed before. The log names the subscriber."""
    if is_suppressed(session, email_key, secrets):
        return False
    inserted = session.scalar(
        insert(Suppression)
        .values(
            address_hash=address_hash(email_key, secrets[0]),
            reason=reason,
            detail=detail,
            created_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Suppression.id)
    )
    if inserted is None:
        return False
    number = session.scalar(select(Subscriber.id).where(Subscriber.email_key == email_key))
    whose = {} if number is None else {"subscriber_id": number}
    log_on_commit(session, log, "suppressed", reason=reason, **whose)
    return True


def keep_reply(session: Session, email_key: str, secrets: tuple[str, ...], reply: str) -> None:
    """Store the receiver's reply that caused a new suppression, without the address."""
    session.execute(
        update(Suppression)
        .where(Suppression.address_hash == address_hash(email_key, secrets[0]))
        .values(reply=_without_address(reply, email_key))
    )


def _without_address(reply: str, email_key: str) -> str:
    """Return a reply without addresses, and without the local part alone, as in "no user jane"."""
    masked = mask_addresses(reply)[:MOST_REPLY]
    local = email_key.partition("@")[0]
    # A short one is also a part of words.
    start = masked.lower().find(local) if len(local) > 2 and masked.isascii() else -1
    while start >= 0:
        masked = f"{masked[:start]}***{masked[start + len(local) :]}"
        start = masked.lower().find(local, start + len("***"))
    return masked


_INSERT = text("""
INSERT INTO suppressions (address_hash, reason, detail, created_at)
SELECT hash, CAST(reason AS suppression_reason), detail, :now
FROM unnest(CAST(:hashes AS bytea[]), CAST(:reasons AS text[]), CAST(:details AS text[]))
    AS new (hash, reason, detail)
ON CONFLICT DO NOTHING
RETURNING reason
""")


class NewSuppression(NamedTuple):
    """An address to suppress, with the reason."""

    email_key: str
    reason: SuppressionReason
    detail: str


def insert_suppressions(
    session: Session, new: Sequence[NewSuppression], secret: str, now: datetime
) -> None:
    """Suppress several addresses in one statement, in the order of their hashes.

    They share a line of the log for each reason, since an import may bring a hundred thousand.
    """
    rows = sorted((address_hash(each.email_key, secret), *each[1:]) for each in new)
    columns = {
        "hashes": write_octets(row[0] for row in rows),
        "reasons": write_texts(row[1] for row in rows),
        "details": write_texts(row[2] for row in rows),
    }
    inserted = Counter(session.scalars(_INSERT, {**columns, "now": now}))
    for reason, addresses in inserted.items():
        log_on_commit(session, log, "suppressed", reason=reason, addresses=addresses)


def delete_suppression(session: Session, email_key: str, secrets: tuple[str, ...]) -> bool:
    """Release an address; return whether it was suppressed."""
    hashes = [address_hash(email_key, secret) for secret in secrets]
    released = session.execute(
        delete(Suppression).where(Suppression.address_hash.in_(hashes)).returning(Suppression.id)
    ).all()
    return bool(released)


def select_caused_by(session: Session, text: str) -> Sequence[Suppression]:
    """Return the suppressions by a bounce or refusal whose reply has a text (any case)."""
    return session.scalars(
        select(Suppression)
        .where(
            Suppression.reason == SuppressionReason.HARD_BOUNCE,
            Suppression.reply.icontains(text, autoescape=True),
        )
        .order_by(Suppression.id)
    ).all()


def is_suppressed(session: Session, email_key: str, secrets: tuple[str, ...]) -> bool:
    return bool(find_suppressed(session, [email_key], secrets))


_FIND = text("""
SELECT address_hash FROM suppressions WHERE address_hash = ANY(CAST(:hashes AS bytea[]))
""")


def find_suppressed(
    session: Session, email_keys: Iterable[str], secrets: tuple[str, ...]
) -> frozenset[str]:
    """Return those of these addresses that are suppressed."""
    by_hash = {address_hash(key, secret): key for key in email_keys for secret in secrets}
    if not by_hash:
        return frozenset()
    found = session.scalars(_FIND, {"hashes": write_octets(by_hash)}).all()
    return frozenset(by_hash[value] for value in found)


def find_reason(
    session: Session, email_key: str, secrets: tuple[str, ...]
) -> SuppressionReason | None:
    """Return why an address is suppressed, or None if it is not."""
    hashes = [address_hash(email_key, secret) for secret in secrets]
    return session.scalar(
        select(Suppression.reason).where(Suppression.address_hash.in_(hashes)).limit(1)
    )
