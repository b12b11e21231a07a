"""Copies of sent mails for viewing in a browser, stored before the mail is sent."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import TypeAlias

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from service.deliveries.domain.months import SINGLE
from service.deliveries.store.models import Delivery, MailCopy, MailPart
from service.platform.database.text_formats import write_numbers, write_octets

# The month of the delivery's id, and the hash of the part.
PartKey: TypeAlias = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class CopyRow:
    """The copy of a delivery's mail."""

    delivery_id: int
    content_hash: bytes
    recipe: bytes


_INSERT_PARTS = text("""
INSERT INTO mail_parts (month, key, body, stored_at)
SELECT *, :now
FROM unnest(CAST(:months AS smallint[]), CAST(:keys AS bytea[]), CAST(:bodies AS bytea[]))
ON CONFLICT DO NOTHING
""")
# Those of no month are deleted by their time, so each use renews it.
_RENEW_PARTS = text("""
UPDATE mail_parts SET stored_at = :now
WHERE month = 0 AND key = ANY(CAST(:keys AS bytea[])) AND stored_at < :now
""")

# The recipes are passed as one byte string and cut apart here: as a text array they would be twice
# as long, and parsing that took as long as storing them.
_UPSERT_COPIES = text("""
INSERT INTO mail_copies (delivery_id, content_hash, recipe, created_at)
SELECT id, content_hash, substring(CAST(:recipes AS bytea) FROM start FOR size), :now
FROM unnest(
  CAST(:ids AS bigint[]), CAST(:hashes AS bytea[]), CAST(:starts AS int[]), CAST(:sizes AS int[])
) AS given (id, content_hash, start, size)
ON CONFLICT (delivery_id) DO UPDATE
SET content_hash = excluded.content_hash, recipe = excluded.recipe,
    created_at = excluded.created_at
""")


def insert_parts(session: Session, parts: Mapping[PartKey, bytes], now: datetime) -> None:
    """Insert the shared parts of copies; existing ones stay."""
    if parts:
        # Parts are inserted in key order, so that concurrent senders cannot deadlock.
        keys = sorted(parts)
        given = {
            "months": write_numbers(month for month, _ in keys),
            "keys": write_octets(key for _, key in keys),
            "bodies": write_octets(parts[key] for key in keys),
            "now": now,
        }
        session.execute(_INSERT_PARTS, given)
        single = [key for month, key in keys if month == SINGLE]
        if single:
            session.execute(_RENEW_PARTS, {"keys": write_octets(single), "now": now})


def upsert_copies(session: Session, rows: Sequence[CopyRow], now: datetime) -> None:
    """Upsert copies; a later attempt replaces the earlier copy, so the last sent one is stored."""
    if rows:
        sizes = [len(row.recipe) for row in rows]
        given = {
            "ids": write_numbers(row.delivery_id for row in rows),
            "hashes": write_octets(row.content_hash for row in rows),
            "recipes": b"".join(row.recipe for row in rows),
            "starts": write_numbers(accumulate(sizes[:-1], initial=1)),
            "sizes": write_numbers(sizes),
            "now": now,
        }
        session.execute(_UPSERT_COPIES, given)


def get_copy(session: Session, delivery_id: int) -> MailCopy | None:
    return session.get(MailCopy, delivery_id)


def get_parts(session: Session, month: int, keys: Collection[bytes]) -> dict[bytes, bytes]:
    rows = session.execute(
        select(MailPart.key, MailPart.body).where(MailPart.month == month, MailPart.key.in_(keys))
    )
    return dict(rows.all())


def delete_copies(session: Session, subscriber_id: int) -> None:
    """Delete the copies of a subscriber's mails; the shared parts contain no personal data."""
    own = select(Delivery.id).where(Delivery.subscriber_id == subscriber_id)
    session.execute(delete(MailCopy).where(MailCopy.delivery_id.in_(own)))
