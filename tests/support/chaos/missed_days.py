"""Missed days: the service is down over days with announcements, and what must come afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from service.deliveries.domain.states import DeliveryState
from service.papers.store.models import Paper
from support.chaos.lane import takes_everything
from support.web.papers import FRIDAY, THURSDAY

if TYPE_CHECKING:
    from support.chaos.promises import Aftermath

TUESDAY = FRIDAY + timedelta(days=4)


def missed_days_come_once(after: Aftermath) -> Iterator[str]:
    """Each paper that was announced meanwhile is in the first edition afterwards, in one mail."""
    back_on = after.story.back_on
    for edition in after.editions.values():
        if edition.local_date not in {THURSDAY, back_on}:
            yield f"the {edition.cadence} edition of {edition.local_date} was opened, too"
    with after.story.sessions() as session:
        announced = set(
            session.scalars(
                select(Paper.id).where(
                    Paper.first_announced_on > THURSDAY, Paper.first_announced_on <= back_on
                )
            )
        )
    for subscriber in after.subscribers.values():
        rows = [row for row in after.rows.values() if row.subscriber_id == subscriber.id]
        sent = [row for row in rows if row.state is DeliveryState.SENT]
        copies = Counter(i for row in sent for i in row.paper_ids if i in announced)
        if any(count > 1 for count in copies.values()):
            yield f"{subscriber.email} was sent a paper of the missed days twice"
        newest = after.row_of(subscriber.id, back_on)
        if newest in sent and takes_everything(subscriber.email) and set(copies) != announced:
            lost = sorted(announced - set(copies))
            yield f"{subscriber.email} never gets papers {lost} of the missed days"
