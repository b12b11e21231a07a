"""What an operator should hear of, as counts and times; the judging is `actions.troubles`."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery
from service.papers.store.models import Batch


def last_reads(session: Session, since: date) -> dict[str, datetime | None]:
    """When each source with a batch since a date was last read with success."""
    rows = session.execute(
        select(Batch.source, func.max(Batch.fetched_at))
        .where(Batch.announced_on >= since)
        .group_by(Batch.source)
    )
    return {source: at for source, at in rows}  # noqa: C416  # rows are not pairs to dict()


def count_old_doubts(session: Session, before: datetime) -> dict[int | None, int]:
    """Deliveries in doubt since before a moment, by edition; other mails under None."""
    rows = session.execute(
        select(Delivery.edition_id, func.count())
        .where(Delivery.state == DeliveryState.IN_DOUBT, Delivery.updated_at < before)
        .group_by(Delivery.edition_id)
    )
    return {edition: count for edition, count in rows}  # noqa: C416  # rows are not pairs to dict()
