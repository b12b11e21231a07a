"""Chunks: ranges of subscribers in which an edition is composed, each claimed by one process."""

from sqlalchemy import func, literal, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState
from service.editions.store.models import Edition, EditionChunk
from service.subscribers.store.models import Subscriber


def plan_chunks(session: Session, edition: Edition, size: int) -> list[int]:
    """Insert chunks of at most `size` active subscribers of the cadence; return the chunks' ids."""
    numbered = (
        select(
            Subscriber.id,
            ((func.row_number().over(order_by=Subscriber.id) - 1) // size).label("number"),
        )
        .where(Subscriber.state == SubscriberState.ACTIVE, Subscriber.cadence == edition.cadence)
        .subquery()
    )
    ranges = select(literal(edition.id), func.min(numbered.c.id), func.max(numbered.c.id)).group_by(
        numbered.c.number
    )
    planned = session.scalars(
        insert(EditionChunk)
        .from_select(["edition_id", "first_subscriber_id", "last_subscriber_id"], ranges)
        .returning(EditionChunk.id)
    )
    return sorted(planned)


def open_chunks(session: Session, edition_id: int) -> list[int]:
    """Return the ids of the chunks not yet composed."""
    return list(
        session.scalars(
            select(EditionChunk.id)
            .where(EditionChunk.edition_id == edition_id, EditionChunk.composed_at.is_(None))
            .order_by(EditionChunk.id)
        )
    )


def claim_chunk(session: Session, chunk_id: int) -> EditionChunk | None:
    """Lock and return the chunk, or None if it is composed already; wait for another composer."""
    # Composing a chunk takes longer than the usual lock timeout of ten seconds.
    session.execute(text("SET LOCAL lock_timeout = 0"))
    chunk = session.scalar(
        select(EditionChunk).where(EditionChunk.id == chunk_id).with_for_update()
    )
    return chunk if chunk is not None and chunk.composed_at is None else None
