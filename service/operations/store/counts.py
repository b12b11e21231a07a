"""Counts for a monitor, each over an index or over a bounded number of the newest rows."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery, DeliveryEvent
from service.subscribers.store.models import Subscriber, Suppression

# The newest steps of deliveries that are looked at, whatever the span.
MOST_EVENTS = 20_000

# Steps that a relay's reply, or its silence, brought about.
_ANSWERED = (DeliveryState.SENT, DeliveryState.QUEUED, DeliveryState.FAILED, DeliveryState.IN_DOUBT)


def limit_time(session: Session, seconds: int) -> None:
    """No statement of this transaction takes longer; it fails instead."""
    session.execute(text(f"SET LOCAL statement_timeout = '{int(seconds)}s'"))


def count_queued(session: Session) -> dict[str, int]:
    """Rows that wait, due or not, by kind of mail."""
    rows = session.execute(
        select(Delivery.kind, func.count())
        .where(Delivery.state == DeliveryState.QUEUED)
        .group_by(Delivery.kind)
    )
    return {str(kind): count for kind, count in rows}


@dataclass(frozen=True, slots=True)
class SendCount:
    """Tries at one mail domain that got one class of reply: `2xx`, `4xx`, `5xx` or `none`."""

    domain: str
    reply: str
    count: int


def count_recent_sends(session: Session, since: datetime) -> list[SendCount]:
    """Tries since a moment by domain and reply, of the newest MOST_EVENTS steps at the most."""
    newest = (
        select(DeliveryEvent.delivery_id, DeliveryEvent.detail, DeliveryEvent.created_at)
        .where(DeliveryEvent.state.in_(_ANSWERED))
        .order_by(DeliveryEvent.id.desc())
        .limit(MOST_EVENTS)
        .subquery()
    )
    digit = func.substring(newest.c.detail, "^([245])[0-9][0-9]")
    reply = func.coalesce(digit.concat("xx"), "none")
    domain = func.coalesce(func.lower(func.split_part(Subscriber.email, "@", 2)), "")
    rows = session.execute(
        select(domain, reply, func.count())
        .select_from(newest)
        .join(Delivery, Delivery.id == newest.c.delivery_id)
        .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(newest.c.created_at >= since)
        .group_by(domain, reply)
    )
    return [SendCount(*row) for row in rows]


def count_suppressed(session: Session) -> dict[str, int]:
    """Suppressed addresses by reason."""
    rows = session.execute(select(Suppression.reason, func.count()).group_by(Suppression.reason))
    return {str(reason): count for reason, count in rows}
