"""Bulk state transitions: many rows and their events in one statement, without loading rows."""

from collections import Counter
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Text, insert, literal, select, update
from sqlalchemy.orm import Session

from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.fate_log import log_fates
from service.deliveries.store.models import Delivery, DeliveryEvent


def transition_rows(
    session: Session,
    chosen: Select[int],
    state: DeliveryState,
    detail: str,
    now: datetime,
    also: dict[str, Any] | None = None,
) -> dict[int | None, int]:
    """Move the chosen rows (a selection of ids) to a state; return how many, by edition id.

    `also` are further columns to set. Every lease on the rows ends.
    """
    values = {"state": state, "lease_owner": None, "lease_until": None, "updated_at": now}
    moved = (
        update(Delivery)
        .where(Delivery.id.in_(chosen))
        .values(values | (also or {}))
        .returning(Delivery.id, Delivery.attempt, Delivery.edition_id)
        .cte("moved")
    )
    events = (
        insert(DeliveryEvent)
        .from_select(
            ["delivery_id", "attempt", "state", "detail", "created_at"],
            select(
                moved.c.id,
                moved.c.attempt,
                literal(state, DeliveryEvent.state.type),
                literal(detail[:1000], Text),
                literal(now, DeliveryEvent.created_at.type),
            ),
        )
        .returning(DeliveryEvent.delivery_id)
        .cte("events")
    )
    rows = session.execute(
        select(moved.c.id, moved.c.edition_id).join(events, events.c.delivery_id == moved.c.id)
    ).all()
    log_fates(session, [(number, state, detail) for number, _ in rows])
    return Counter(edition_id for _, edition_id in rows)
