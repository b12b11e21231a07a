"""Counts for a monitor, each from an index or from a bounded number of the newest rows."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, union_all
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.bounces.store.models import BounceEvent
from service.deliveries.domain.states import BounceVerdict, DeliveryState
from service.deliveries.store.models import Delivery, DeliveryEvent
from service.operations.store.day_counts import count_changes
from service.papers.store.votes import list_voted
from service.sending.store.claim import count_in_doubt
from service.subscribers.store.models import Submission, Subscriber, Suppression

# How many of the newest delivery events are read, whatever the time span.
MOST_EVENTS = 20_000

# States that follow a relay's reply, or its silence.
_ANSWERED = (DeliveryState.SENT, DeliveryState.QUEUED, DeliveryState.FAILED, DeliveryState.IN_DOUBT)


def count_queued(session: Session) -> dict[str, int]:
    """Return the number of queued deliveries, due or not, by kind of mail."""
    rows = session.execute(
        select(Delivery.kind, func.count())
        .where(Delivery.state == DeliveryState.QUEUED)
        .group_by(Delivery.kind)
    )
    return {str(kind): count for kind, count in rows}


@dataclass(frozen=True, slots=True)
class SendCount:
    """The number of tries at one mail domain with one class of reply: `2xx`, `4xx`, `5xx`, `none`."""

    domain: str
    reply: str
    count: int


def count_recent_sends(session: Session, since: datetime) -> list[SendCount]:
    """Return tries since a moment by domain and reply, out of the newest MOST_EVENTS events."""
    events = (
        select(DeliveryEvent.delivery_id, DeliveryEvent.detail, DeliveryEvent.created_at)
        .where(DeliveryEvent.state.in_(_ANSWERED))
        .order_by(DeliveryEvent.id.desc())
        .limit(MOST_EVENTS)
    )
    # A mail that a relay accepted has no event: its row says it.
    accepted = (
        select(Delivery.id, Delivery.last_reply, Delivery.sent_at)
        .where(Delivery.sent_at >= since)
        .order_by(Delivery.sent_at.desc())
        .limit(MOST_EVENTS)
    )
    tries = union_all(events, accepted).subquery()
    newest = select(tries).order_by(tries.c.created_at.desc()).limit(MOST_EVENTS).subquery()
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
    """Return the number of suppressed addresses by reason."""
    rows = session.execute(select(Suppression.reason, func.count()).group_by(Suppression.reason))
    return {str(reason): count for reason, count in rows}


@dataclass(frozen=True, slots=True)
class DayCounts:
    """The figures of a span of time; `in_doubt_count` is that of now.

    `joined_count` and `left_count` are those of the chart (`count_changes`); `bounced_count` is
    without complaints and mails to unsubscribe; `outlier_count` is of papers whose votes look like
    one person's.
    """

    sent_count: int
    failed_count: int
    in_doubt_count: int
    joined_count: int
    left_count: int
    bounced_count: int
    complaint_count: int
    vote_count: int
    outlier_count: int
    submission_count: int


def count_day(session: Session, since: datetime, until: datetime) -> DayCounts:
    """Return what happened from `since` until before `until`."""

    def is_within(column: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
        return and_(column >= since, column < until)

    def count(*conditions: ColumnElement[bool]) -> int:
        return session.scalar(select(func.count()).where(*conditions)) or 0

    def count_events(state: DeliveryState) -> int:
        return (
            session.scalar(
                select(func.count(DeliveryEvent.delivery_id.distinct())).where(
                    is_within(DeliveryEvent.created_at), DeliveryEvent.state == state
                )
            )
            or 0
        )

    is_complaint = BounceEvent.verdict == BounceVerdict.COMPLAINT
    is_leaving = BounceEvent.verdict == BounceVerdict.UNSUBSCRIBE
    voted = [one.votes for one in list_voted(session, since, until)]
    changes = sum(count_changes(session, since, until).values(), Counter())
    return DayCounts(
        # By a relay's reply, or by an operator's answer to a doubt.
        sent_count=count(is_within(Delivery.sent_at)) + count_events(DeliveryState.SENT),
        failed_count=count_events(DeliveryState.FAILED),
        in_doubt_count=count_in_doubt(session),
        joined_count=changes["joined"],
        left_count=changes["left"],
        bounced_count=count(is_within(BounceEvent.created_at), ~is_complaint, ~is_leaving),
        complaint_count=count(is_within(BounceEvent.created_at), is_complaint),
        vote_count=sum(votes.count for votes in voted),
        outlier_count=sum(votes.is_outlier for votes in voted),
        submission_count=count(is_within(Submission.created_at)),
    )
