"""The latest digests that a subscriber was sent, for the subscriber's own feed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.models import Delivery


class SentDigest(NamedTuple):
    """A digest or catch-up that a relay accepted; `created_at` is in the link to its browser copy."""

    id: int
    edition_id: int | None
    digest: Mapping[str, Any]
    created_at: datetime
    sent_at: datetime


def list_sent_digests(session: Session, subscriber_id: int, limit: int) -> list[SentDigest]:
    """Return the digests sent last, the newest first."""
    rows = session.execute(
        select(
            Delivery.id, Delivery.edition_id, Delivery.digest, Delivery.created_at, Delivery.sent_at
        )
        .where(
            Delivery.subscriber_id == subscriber_id,
            Delivery.kind.in_([DeliveryKind.DIGEST, DeliveryKind.CATCH_UP]),
            Delivery.sent_at.is_not(None),
            Delivery.digest.is_not(None),
        )
        .order_by(Delivery.sent_at.desc(), Delivery.id.desc())
        .limit(limit)
    )
    return [SentDigest(*row) for row in rows]
