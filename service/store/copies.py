"""Copies of what was sent, written before the wire and read by the browser."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, literal, select
from sqlalchemy import values as sql_values
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session
from sqlalchemy.sql import column

from service.domain.types import DeliveryState
from service.store.copy_models import MailCopyRow, MailPart
from service.store.models import Delivery


@dataclass(frozen=True, slots=True)
class CopyRow:
    """A copy for the delivery that `attempt` holds."""

    delivery_id: int
    attempt: int
    content_hash: bytes
    recipe: bytes


def insert_parts(session: Session, parts: Mapping[bytes, bytes]) -> None:
    """Keep shared stretches; those that are there already stay."""
    # In one order everywhere, so that two senders never wait for each other crosswise.
    rows = [{"key": key, "body": parts[key]} for key in sorted(parts)]
    if rows:
        session.execute(insert(MailPart).values(rows).on_conflict_do_nothing())


def upsert_copies(session: Session, rows: Sequence[CopyRow], now: datetime) -> None:
    """Keep the copies of deliveries that are still claimed by the same attempt.

    A later attempt writes its own over it: the copy is of the message that goes on the wire.
    """
    if not rows:
        return
    given = sql_values(
        column("id", Delivery.id.type),
        column("attempt", Delivery.attempt.type),
        column("content_hash", MailCopyRow.content_hash.type),
        column("recipe", MailCopyRow.recipe.type),
        name="given",
    ).data([(row.delivery_id, row.attempt, row.content_hash, row.recipe) for row in rows])
    held = (
        select(given.c.id, given.c.content_hash, given.c.recipe, literal(now))
        .join(Delivery, (Delivery.id == given.c.id) & (Delivery.attempt == given.c.attempt))
        .where(Delivery.state == DeliveryState.CLAIMED)
    )
    statement = insert(MailCopyRow).from_select(
        ["delivery_id", "content_hash", "recipe", "created_at"], held
    )
    new = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[MailCopyRow.delivery_id],
            set_={
                "content_hash": new.content_hash,
                "recipe": new.recipe,
                "created_at": new.created_at,
            },
        )
    )


def get_copy(session: Session, delivery_id: int) -> MailCopyRow | None:
    return session.get(MailCopyRow, delivery_id)


def get_parts(session: Session, keys: Collection[bytes]) -> dict[bytes, bytes]:
    rows = session.execute(select(MailPart.key, MailPart.body).where(MailPart.key.in_(keys)))
    return dict(rows.all())


def delete_copies(session: Session, subscriber_id: int) -> None:
    """Forget what a reader was sent; the shared stretches name nobody."""
    own = select(Delivery.id).where(Delivery.subscriber_id == subscriber_id)
    session.execute(delete(MailCopyRow).where(MailCopyRow.delivery_id.in_(own)))
