"""Doubts that nobody answered: their papers are carried into the reader's next edition."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.bulk_update import transition_rows
from service.deliveries.store.deliveries import PAPER_KINDS
from service.deliveries.store.models import Delivery
from service.platform.database.pg_arrays import is_among

WHY_CARRIED = "nobody knew by the next edition; its papers come again in that, marked"


def carry_doubts_of_editions(session: Session, edition_ids: Select[int], now: datetime) -> int:
    """Carry every row in doubt of the selected editions; returns how many.

    Its reader may be composed now, or in another cadence, or have left: the row need not wait.
    """
    doubts = select(Delivery.id).where(Delivery.edition_id.in_(edition_ids))
    return _carry(session, doubts, now)


def carry_doubts_of_subscribers(
    session: Session, edition_id: int, subscriber_ids: Sequence[int], now: datetime
) -> int:
    """Carry what is in doubt of these readers, of editions other than this and of pauses; returns how many."""
    doubts = select(Delivery.id).where(
        is_among(Delivery.subscriber_id, subscriber_ids),
        Delivery.kind.in_(PAPER_KINDS),
        Delivery.edition_id.is_distinct_from(edition_id),
    )
    return _carry(session, doubts, now)


def _carry(session: Session, doubts: Select[int], now: datetime) -> int:
    """Move rows in doubt; one that evidence or an operator is settling meanwhile is left to them."""
    chosen = (
        doubts.where(Delivery.state == DeliveryState.IN_DOUBT)
        .order_by(Delivery.id)
        .with_for_update(of=Delivery, skip_locked=True)
    )
    return sum(transition_rows(session, chosen, DeliveryState.CARRIED, WHY_CARRIED, now).values())
