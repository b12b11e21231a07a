"""What the rows of an edition tell: failures by what was said, what waits and until when, doubts."""

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

# A reply's class: three digits and the enhanced code, where one follows.
_CODE = r"^\d{3}(?:[ -]\d\.\d{1,3}\.\d{1,3})?"


@dataclass(frozen=True, slots=True)
class ReplyCount:
    """How many rows ended with one kind of reply, and the words of one of them."""

    code: str
    count: int
    example: str


def count_failures(session: Session, edition_id: int, limit: int = 10) -> list[ReplyCount]:
    """What the failed rows of an edition were told, the commonest first."""
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
    """What of an edition is still to be sent. `retry_count` were tried before, at the earliest at
    `next_retry_at`; `last_due_at` is when the last of all becomes due. `lanes` are providers that
    have rows held back, with how many."""

    due_count: int
    oldest_due_at: datetime | None
    later_count: int
    retry_count: int
    next_retry_at: datetime | None
    last_due_at: datetime | None
    lanes: tuple[tuple[str, int], ...] = ()


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
    lanes = session.execute(
        select(Delivery.lane, func.count())
        .where(*queued, Delivery.lane != "")
        .group_by(Delivery.lane)
        .order_by(func.count().desc(), Delivery.lane)
    )
    return Waiting(*found, lanes=tuple((lane, count) for lane, count in lanes))


@dataclass(frozen=True, slots=True)
class DoubtRow:
    """Rows in doubt that share a mail domain, relay and what is known. `since` is the oldest's."""

    domain: str
    relay: str
    detail: str
    count: int
    since: datetime


def find_doubts(session: Session, edition_id: int | None, limit: int = 200) -> list[DoubtRow]:
    """What is in doubt of an edition (None: of mails that belong to none), the oldest first."""
    domain = func.coalesce(func.lower(func.split_part(Subscriber.email, "@", 2)), "")
    # The relay of the try; a sender that died on the wire left no word of it.
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
    """How many rows of an edition were sent since a moment."""
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
    """The providers that take our mail slowly, or not at all."""
    return session.scalars(select(ProviderLimit).order_by(ProviderLimit.provider)).all()


def find_limit(session: Session, provider: str) -> ProviderLimit | None:
    return session.get(ProviderLimit, provider)


def list_subscriber_bounces(session: Session, subscriber_id: int) -> Sequence[BounceEvent]:
    """All that came back for a reader, oldest first."""
    return session.scalars(
        select(BounceEvent)
        .where(BounceEvent.subscriber_id == subscriber_id)
        .order_by(BounceEvent.occurred_at, BounceEvent.id)
    ).all()


def latest_editions(session: Session, limit: int) -> Sequence[Edition]:
    """The newest editions, newest first."""
    return session.scalars(
        select(Edition).order_by(Edition.local_date.desc(), Edition.id.desc()).limit(limit)
    ).all()


def last_of_each_cadence(session: Session) -> list[Edition]:
    """Every edition that is not closed, and the newest closed one of each cadence."""
    newest = select(func.max(Edition.id)).group_by(Edition.cadence)
    not_closed = select(Edition.id).where(Edition.state != EditionState.CLOSED)
    wanted = union_all(newest, not_closed).subquery()
    chosen = select(Edition).where(Edition.id.in_(select(wanted.c[0]))).order_by(Edition.id)
    return list(session.scalars(chosen))


def list_unsettled_editions(session: Session, since: date) -> Sequence[Edition]:
    """List every edition that is not closed, and the closed ones since a date."""
    is_wanted = (Edition.state != EditionState.CLOSED) | (Edition.local_date >= since)
    return session.scalars(select(Edition).where(is_wanted).order_by(Edition.id)).all()


@dataclass(frozen=True, slots=True)
class SubscriberDay:
    """One mail of a reader: `on` is its edition's date, or the day on which it was queued."""

    on: date
    kind: str
    cadence: str
    state: str
    reason: str


def list_subscriber_days(
    session: Session, subscriber_id: int, limit: int = 30
) -> list[SubscriberDay]:
    """A reader's newest mails, newest first."""
    rows = session.execute(
        select(Delivery, Edition)
        .outerjoin(Edition, Edition.id == Delivery.edition_id)
        .where(Delivery.subscriber_id == subscriber_id)
        .order_by(Delivery.id.desc())
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
    """Count the rows in doubt since before a moment, by edition; mails of none under None."""
    # Only the partial index of doubts is read.
    rows = session.execute(
        select(Delivery.edition_id, func.count())
        .where(Delivery.state == DeliveryState.IN_DOUBT, Delivery.updated_at <= before)
        .group_by(Delivery.edition_id)
        .order_by(Delivery.edition_id)
    )
    return {edition: count for edition, count in rows}  # noqa: C416  # rows are not pairs to dict()


def last_reads(session: Session, since: date) -> dict[str, datetime | None]:
    """When each source with a batch since a date was last read with success."""
    rows = session.execute(
        select(Batch.source, func.max(Batch.fetched_at))
        .where(Batch.announced_on >= since)
        .group_by(Batch.source)
    )
    return {source: at for source, at in rows}  # noqa: C416  # rows are not pairs to dict()
