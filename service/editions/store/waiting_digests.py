"""Digests of earlier editions that still wait for their hour, and may join a newer edition's."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.deliveries.domain.states import DeliveryState, SkipReason
from service.deliveries.store.bulk_update import transition_rows
from service.deliveries.store.deliveries import mark_carried
from service.deliveries.store.models import Delivery
from service.editions.domain.schedule import falls_together
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition
from service.platform.database.text_formats import is_among

WHY_MERGED = "due at the hour of a newer digest, which has its papers"


class WaitingDigest(NamedTuple):
    """A queued digest of an earlier edition; `digest` is its JSON."""

    delivery: Delivery
    edition: Edition
    digest: Mapping[str, Any]


def lock_waiting_digests(
    session: Session, edition: Edition, due_times: Mapping[int, datetime]
) -> dict[int, list[WaitingDigest]]:
    """Return the digests that fall together with the edition's, newest first, by subscriber.

    `due_times`: subscriber id -> when the edition's digest is due. The rows are locked until the
    commit, so that no sender claims them meanwhile. A row that a sender holds is not returned: it
    goes out by itself, as does one that waits for a provider's limit.
    """
    earlier = {
        one.id: one
        for one in session.scalars(
            select(Edition).where(
                Edition.cadence == edition.cadence,
                Edition.state == EditionState.FROZEN,
                Edition.local_date < edition.local_date,
            )
        )
    }
    if not earlier:
        return {}
    is_waiting = (Delivery.state == DeliveryState.QUEUED, Delivery.lane == "")
    waiting = session.execute(
        select(Delivery.id, Delivery.subscriber_id, Delivery.due_at).where(
            # The unique key leads to these rows, not through all that a subscriber ever got.
            Delivery.edition_id.in_(earlier),
            is_among(Delivery.subscriber_id, due_times),
            *is_waiting,
        )
    )
    together = [i for i, one, due in waiting if falls_together(due, due_times[one or 0])]
    if not together:
        return {}
    locked = session.scalars(
        select(Delivery)
        .where(Delivery.id.in_(together), *is_waiting)
        .order_by(Delivery.id)
        .with_for_update(skip_locked=True)
    )
    found: dict[int, list[WaitingDigest]] = {}
    for row in sorted(
        locked, key=lambda row: earlier[row.edition_id or 0].local_date, reverse=True
    ):
        one = WaitingDigest(row, earlier[row.edition_id or 0], row.digest or {})
        found.setdefault(row.subscriber_id or 0, []).append(one)
    return found


def end_merged(
    session: Session, edition_id: int, merged: Mapping[int, Sequence[WaitingDigest]], now: datetime
) -> None:
    """Skip the locked digests that the edition's have taken in, by subscriber."""
    if not merged:
        return
    rows = {i: [one.delivery for one in waiting] for i, waiting in merged.items()}
    chosen = select(Delivery.id).where(
        Delivery.id.in_([row.id for several in rows.values() for row in several]),
        Delivery.state == DeliveryState.QUEUED,
    )
    also = {"reason": SkipReason.MERGED}
    transition_rows(session, chosen, DeliveryState.SKIPPED, WHY_MERGED, now, also)
    mark_carried(session, edition_id, rows)
