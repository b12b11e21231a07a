"""Queries about editions and subscribers: failures by reply, waiting deliveries, doubts, bounces."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session

from service.bounces.store.models import BounceEvent
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery, DeliveryEvent
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition
from service.papers.store.models import Batch
from service.sending.store.models import ProviderLimit
from service.subscribers.store.models import Subscriber

# A reply's class: three digits, and the enhanced status code (RFC 3463) where one follows.
_CODE = r"^\d{3}(?:[ -]\d\.\d{1,3}\.\d{1,3})?"


@dataclass(frozen=True, slots=True)
class ReplyCount:
    """The number of deliveries that ended with one class of reply, and one reply as an example."""

    code: str
    count: int
    example: str


def count_failures(session: Session, edition_id: int, limit: int = 10) -> list[ReplyCount]:
    """Return the replies to failed deliveries of an edition, most frequent first."""
    code = func.coalesce(func.substring(Delivery.reason, _CODE), "").label("code")
    rows = session.execute(
        select(code, func.count(), func.min(Delivery.reason))
        .where(Delivery.edition_id == edition_id, Delivery.state == DeliveryState.FAILED)
        .group_by(code)
        .order_by(func.count().desc(), code)
        .limit(limit)
    )
    return [ReplyCount(code, count, example) for code, count, example in rows]


@dataclass(frozen=True, slots=True)
class Waiting:
    """The deliveries of an edition that are still to be sent. `retry_count` of them were tried
    before, and the first is tried again at `next_retry_at`; `last_due_at` is when the last becomes
    due. `limited` are the providers with deliveries held back, and how many.
    """

    due_count: int
    oldest_due_at: datetime | None
    later_count: int
    retry_count: int
    next_retry_at: datetime | None
    last_due_at: datetime | None
    limited: tuple[tuple[str, int], ...] = ()


def find_waiting(session: Session, edition_id: int, now: datetime) -> Waiting:
    is_due = Delivery.due_at <= now
    is_retry = (Delivery.attempt > 0) & (Delivery.due_at > now)
    queued = (Delivery.edition_id == edition_id, Delivery.state == DeliveryState.QUEUED)
    found = session.execute(
        select(
            func.count().filter(is_due),
            func.min(Delivery.due_at).filter(is_due),
            func.count().filter(~is_due),
            func.count().filter(is_retry),
            func.min(Delivery.due_at).filter(is_retry),
            func.max(Delivery.due_at),
        ).where(*queued)
    ).one()
    limited = session.execute(
        select(Delivery.lane, func.count())
        .where(*queued, Delivery.lane != "")
        .group_by(Delivery.lane)
        .order_by(func.count().desc(), Delivery.lane)
    )
    return Waiting(*found, limited=tuple((provider, count) for provider, count in limited))


@dataclass(frozen=True, slots=True)
class DoubtRow:
    """Deliveries in doubt with the same mail domain, relay and last reply; `since` is the oldest's."""

    domain: str
    relay: str
    detail: str
    count: int
    since: datetime


def find_doubts(session: Session, edition_id: int | None, limit: int = 200) -> list[DoubtRow]:
    """Return the doubts of an edition (None: of mails that belong to none), oldest first."""
    domain = func.coalesce(func.lower(func.split_part(Subscriber.email, "@", 2)), "")
    # The relay of the last try; empty if the sender died before recording it.
    relay = func.coalesce(
        select(DeliveryEvent.relay)
        .where(
            DeliveryEvent.delivery_id == Delivery.id,
            DeliveryEvent.attempt == Delivery.attempt,
            DeliveryEvent.relay != "",
        )
        .order_by(DeliveryEvent.id.desc())
        .limit(1)
        .scalar_subquery(),
        "",
    ).label("relay")
    rows = session.execute(
        select(domain, relay, Delivery.last_reply, func.count(), func.min(Delivery.updated_at))
        .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(
            Delivery.edition_id == edition_id
            if edition_id is not None
            else Delivery.edition_id.is_(None),
            Delivery.state == DeliveryState.IN_DOUBT,
        )
        .group_by(domain, relay, Delivery.last_reply)
        .order_by(func.min(Delivery.updated_at), domain)
        .limit(limit)
    )
    return [DoubtRow(*row) for row in rows]


def count_sent_since(session: Session, edition_id: int, since: datetime) -> int:
    """Return the number of deliveries of an edition that were sent since a moment."""
    return session.execute(
        select(func.count())
        .select_from(Delivery)
        .where(
            Delivery.edition_id == edition_id,
            Delivery.state == DeliveryState.SENT,
            Delivery.updated_at >= since,
        )
    ).scalar_one()


def list_limits(session: Session) -> Sequence[ProviderLimit]:
    """Return all provider limits, by provider."""
    return session.scalars(select(ProviderLimit).order_by(ProviderLimit.provider)).all()


def find_limit(session: Session, provider: str) -> ProviderLimit | None:
    return session.get(ProviderLimit, provider)


def list_subscriber_bounces(session: Session, subscriber_id: int) -> Sequence[BounceEvent]:
    """Return all bounces and complaints of a subscriber, oldest first."""
    return session.scalars(
        select(BounceEvent)
        .where(BounceEvent.subscriber_id == subscriber_id)
        .order_by(BounceEvent.occurred_at, BounceEvent.id)
    ).all()


def latest_editions(session: Session, limit: int) -> Sequence[Edition]:
    """Return the latest editions, newest first."""
    return session.scalars(
        select(Edition).order_by(Edition.local_date.desc(), Edition.id.desc()).limit(limit)
    ).all()


def last_of_each_cadence(session: Session) -> list[Edition]:
    """Return the newest edition of each cadence, and every edition that is not closed."""
    newest = select(func.max(Edition.id)).group_by(Edition.cadence)
    not_closed = select(Edition.id).where(Edition.state != EditionState.CLOSED)
    ids = union_all(newest, not_closed).subquery()
    editions = select(Edition).where(Edition.id.in_(select(ids.c[0]))).order_by(Edition.id)
    return list(session.scalars(editions))


def list_unsettled_editions(session: Session, since: date) -> Sequence[Edition]:
    """Return every edition that is not closed, and the closed ones since a date."""
    is_unsettled = (Edition.state != EditionState.CLOSED) | (Edition.local_date >= since)
    return session.scalars(select(Edition).where(is_unsettled).order_by(Edition.id)).all()


@dataclass(frozen=True, slots=True)
class SubscriberDay:
    """One mail of a subscriber: `on` is its edition's date, or the date on which it was queued."""

    on: date
    kind: str
    cadence: str
    state: str
    reason: str


def list_subscriber_days(
    session: Session, subscriber_id: int, limit: int = 30
) -> list[SubscriberDay]:
    """Return a subscriber's latest mails, newest first."""
    rows = session.execute(
        select(Delivery, Edition)
        .outerjoin(Edition, Edition.id == Delivery.edition_id)
        .where(Delivery.subscriber_id == subscriber_id)
        .order_by(Delivery.created_at.desc(), Delivery.id.desc())
        .limit(limit)
    )
    return [
        SubscriberDay(
            edition.local_date if edition else delivery.created_at.date(),
            delivery.kind,
            edition.cadence if edition else "",
            delivery.state,
            delivery.reason,
        )
        for delivery, edition in rows
    ]


def count_old_doubts(session: Session, before: datetime) -> dict[int | None, int]:
    """Return the number of deliveries in doubt since before a moment by edition (None: no edition)."""
    # This condition reads only the partial index of doubts.
    rows = session.execute(
        select(Delivery.edition_id, func.count())
        .where(Delivery.state == DeliveryState.IN_DOUBT, Delivery.updated_at <= before)
        .group_by(Delivery.edition_id)
        .order_by(Delivery.edition_id)
    )
    return {edition: count for edition, count in rows}  # noqa: C416  # rows are not pairs to dict()


def last_reads(session: Session, since: date) -> dict[str, datetime | None]:
    """Return when each source with a batch since a date was last read successfully."""
    rows = session.execute(
        select(Batch.source, func.max(Batch.fetched_at))
        .where(Batch.announced_on >= since)
        .group_by(Batch.source)
    )
    return {source: at for source, at in rows}  # noqa: C416  # rows are not pairs to dict()
