"""Suppressed addresses as keyed hashes (HMAC); all secrets are tried, so that keys can rotate."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SuppressionReason
from service.platform.database.text_formats import write_octets
from service.platform.signing.address_hash import address_hash
from service.subscribers.store.models import Suppression


def insert_suppression(
    session: Session,
    email_key: str,
    secrets: tuple[str, ...],
    reason: SuppressionReason,
    detail: str,
    now: datetime,
) -> bool:
    """Suppress an address; return false if it was suppressed before."""
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
    return inserted is not None


def delete_suppression(session: Session, email_key: str, secrets: tuple[str, ...]) -> bool:
    """Release an address; return whether it was suppressed."""
    hashes = [address_hash(email_key, secret) for secret in secrets]
    released = session.execute(
        delete(Suppression).where(Suppression.address_hash.in_(hashes)).returning(Suppression.id)
    ).all()
    return bool(released)


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
