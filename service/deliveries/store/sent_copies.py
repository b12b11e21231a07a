"""Copies of sent mails for viewing in a browser, stored before the mail is sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import TypeAlias

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from service.deliveries.domain.months import IDS, SINGLE
from service.deliveries.store.models import Delivery, MailCopy, MailPart
from service.platform.database.text_formats import is_among, write_numbers, write_octets

# The numbers of parts by key, of each month.
PartNumbers: TypeAlias = dict[int, dict[bytes, int]]


@dataclass(frozen=True, slots=True)
class CopyRow:
    """The copy of a delivery's mail."""

    delivery_id: int
    content_hash: bytes
    recipe: bytes


_NEXT_NUMBERS = text("SELECT nextval('mail_parts_id_seq') FROM generate_series(1, :count)")
_INSERT_PARTS = text("""
INSERT INTO mail_parts (month, id, key, body, stored_at)
SELECT :month, *, :now
FROM unnest(CAST(:ids AS bigint[]), CAST(:keys AS bytea[]), CAST(:bodies AS bytea[]))
ON CONFLICT DO NOTHING
""")
_FIND_NUMBERS = text("""
SELECT key, id FROM mail_parts WHERE month = :month AND key = ANY(CAST(:keys AS bytea[]))
""")
# Those of no month are deleted by their time, so each use renews it.
_RENEW_PARTS = text("""
UPDATE mail_parts SET stored_at = :now
WHERE month = 0 AND key = ANY(CAST(:keys AS bytea[])) AND stored_at < :now
""")

# The recipes are passed as one byte string and cut apart here: as a text array they would be twice
# as long, and parsing that took as long as storing them.
_UPSERT_COPIES = text(f"""
INSERT INTO mail_copies (delivery_id, content_hash, recipe, created_at)
SELECT id, content_hash, substring(CAST(:recipes AS bytea) FROM start FOR size),
    CASE WHEN id < {IDS} THEN CAST(:now AS timestamptz) END
FROM unnest(
  CAST(:ids AS bigint[]), CAST(:hashes AS bytea[]), CAST(:starts AS int[]), CAST(:sizes AS int[])
) AS given (id, content_hash, start, size)
ON CONFLICT (delivery_id) DO UPDATE
SET content_hash = excluded.content_hash, recipe = excluded.recipe,
    created_at = excluded.created_at
""")  # noqa: S608  # a constant


def number_parts(
    session: Session, month: int, parts: Mapping[bytes, bytes], now: datetime
) -> dict[bytes, int]:
    """Insert the parts (key -> body) that a month does not have yet; return the numbers of all, by key.

    New ones are numbered in the order of `parts`, because recipes store differences.
    """
    if not parts:
        return {}
    known = _find_numbers(session, month, parts)
    if known and month == SINGLE:
        session.execute(_RENEW_PARTS, {"keys": write_octets(sorted(known)), "now": now})
    new = [key for key in parts if key not in known]
    if not new:
        return known
    numbers = session.scalars(_NEXT_NUMBERS, {"count": len(new)})
    # Parts are inserted in key order, so that concurrent senders cannot deadlock.
    pairs = sorted(zip(new, numbers, strict=True))
    given = {
        "month": month,
        "ids": write_numbers(number for _, number in pairs),
        "keys": write_octets(key for key, _ in pairs),
        "bodies": write_octets(parts[key] for key, _ in pairs),
        "now": now,
    }
    session.execute(_INSERT_PARTS, given)
    # Again, because another sender may have inserted some of them meanwhile.
    return known | _find_numbers(session, month, new)


def _find_numbers(session: Session, month: int, keys: Iterable[bytes]) -> dict[bytes, int]:
    given = {"month": month, "keys": write_octets(keys)}
    return dict(session.execute(_FIND_NUMBERS, given).all())


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


def get_parts(session: Session, month: int, numbers: Iterable[int]) -> dict[int, bytes]:
    """Return the bodies of a month's parts by number; missing ones are left out."""
    chosen = select(MailPart.id, MailPart.body).where(
        MailPart.month == month, is_among(MailPart.id, numbers)
    )
    return dict(session.execute(chosen).all())


def delete_copies(session: Session, subscriber_id: int) -> None:
    """Delete the copies of a subscriber's mails; the shared parts contain no personal data."""
    own = select(Delivery.id).where(Delivery.subscriber_id == subscriber_id)
    session.execute(delete(MailCopy).where(MailCopy.delivery_id.in_(own)))
