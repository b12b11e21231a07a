"""Carry over unresolved rows in doubt: their papers return in the subscriber's next edition."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.bulk_update import transition_rows
from service.deliveries.store.deliveries import PAPER_KINDS
from service.deliveries.store.models import Delivery
from service.platform.database.text_formats import is_among

WHY_CARRIED = "still in doubt at the next edition; its papers come again there, marked"


def carry_doubts_of_editions(session: Session, edition_ids: Select[int], now: datetime) -> int:
    """Carry over every row in doubt of the selected editions; return how many.

    It does not matter whether the subscriber is composed now, in another cadence, or has left.
    """
    doubts = select(Delivery.id).where(Delivery.edition_id.in_(edition_ids))
    return _carry(session, doubts, now)


def carry_doubts_of_subscribers(
    session: Session, edition_id: int, subscriber_ids: Sequence[int], now: datetime
) -> int:
    """Carry over these subscribers' rows in doubt of other editions and catch-ups; return how many."""
    doubts = select(Delivery.id).where(
        is_among(Delivery.subscriber_id, subscriber_ids),
        Delivery.kind.in_(PAPER_KINDS),
        Delivery.edition_id.is_distinct_from(edition_id),
    )
    return _carry(session, doubts, now)


def _carry(session: Session, doubts: Select[int], now: datetime) -> int:
    """Carry rows in doubt; rows locked by a bounce or an operator are skipped, as they settle them."""
    chosen = (
        doubts.where(Delivery.state == DeliveryState.IN_DOUBT)
        .order_by(Delivery.id)
        .with_for_update(of=Delivery, skip_locked=True)
    )
    return sum(transition_rows(session, chosen, DeliveryState.CARRIED, WHY_CARRIED, now).values())
