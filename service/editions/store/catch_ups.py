"""What a pause missed: whose turn it is, which editions, and which of their papers a topic wants."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.deliveries.domain.states import DeliveryKind, DeliveryState, SkipReason
from service.deliveries.store.models import Delivery
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition, EditionPaper, EditionRevision
from service.papers.store.models import Paper
from service.subscribers.store.models import Subscriber


def list_waiting(session: Session, limit: int) -> list[int]:
    """Readers who are back and want what they missed."""
    waiting = (
        select(Subscriber.id)
        .where(Subscriber.catch_up_since.is_not(None), Subscriber.state == SubscriberState.ACTIVE)
        .order_by(Subscriber.catch_up_since, Subscriber.id)
        .limit(limit)
    )
    return list(session.scalars(waiting))


def claim_waiting(session: Session, subscriber_id: int) -> Subscriber | None:
    """Such a reader, locked until the commit; None where another process has them, or had them."""
    return session.scalar(
        select(Subscriber)
        .where(
            Subscriber.id == subscriber_id,
            Subscriber.catch_up_since.is_not(None),
            Subscriber.state == SubscriberState.ACTIVE,
        )
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )


def is_composing(session: Session, cadence: Cadence) -> bool:
    """Whether an edition is open: who just came back may stand in it or not."""
    is_open = exists().where(Edition.cadence == cadence, Edition.state == EditionState.OPEN)
    return bool(session.execute(select(is_open)).scalar_one())


def list_missed(session: Session, subscriber: Subscriber, since: date) -> Sequence[Edition]:
    """The editions that went out without a reader who was paused, oldest first."""
    own = and_(Delivery.edition_id == Edition.id, Delivery.subscriber_id == subscriber.id)
    has_row = exists().where(own)
    was_held = exists().where(
        own, Delivery.state == DeliveryState.SKIPPED, Delivery.reason == SkipReason.PAUSED
    )
    missed = (
        select(Edition)
        .where(
            Edition.cadence == subscriber.cadence,
            Edition.state != EditionState.OPEN,
            Edition.local_date >= since,
            or_(and_(Edition.opened_at > subscriber.paused_at, ~has_row), was_held),
        )
        .order_by(Edition.local_date)
    )
    return session.scalars(missed).all()


def list_held_back(session: Session, subscriber_id: int, since: datetime) -> set[int]:
    """Papers of an earlier catch-up that another pause kept from going out."""
    rows = session.execute(
        select(func.unnest(Delivery.paper_ids)).where(
            Delivery.subscriber_id == subscriber_id,
            Delivery.kind == DeliveryKind.CATCH_UP,
            Delivery.state == DeliveryState.SKIPPED,
            Delivery.reason == SkipReason.PAUSED,
            Delivery.created_at >= since,
        )
    )
    return set(rows.scalars())


def find_missed_papers(
    session: Session,
    editions: Sequence[int],
    held_back: set[int],
    condition: ColumnElement[bool] | None,
    limit: int,
) -> list[int]:
    """The papers of these editions that a compiled topic wants, the newest first.

    Without a topic those that were noticed most in their field and day.
    """
    of_editions = select(EditionPaper.paper_id).where(EditionPaper.edition_id.in_(editions))
    is_missed = or_(Paper.id.in_(of_editions), Paper.id.in_(held_back))
    found = select(Paper.id).where(is_missed, Paper.is_withdrawn.is_(False))
    if condition is None:
        found = found.order_by(Paper.trend.desc(), Paper.id.desc())
    else:
        found = found.where(condition)
        found = found.order_by(Paper.first_announced_on.desc(), Paper.id.desc())
    return list(session.scalars(found.limit(limit)))


def find_missed_revisions(
    session: Session, editions: Sequence[int], condition: ColumnElement[bool], limit: int
) -> dict[int, int]:
    """The replacements these editions told of that a topic wants: paper id -> newest version."""
    rows = session.execute(
        select(EditionRevision.paper_id, func.max(EditionRevision.version))
        .join(Paper, Paper.id == EditionRevision.paper_id)
        .where(EditionRevision.edition_id.in_(editions), Paper.is_withdrawn.is_(False), condition)
        .group_by(EditionRevision.paper_id)
        .order_by(EditionRevision.paper_id.desc())
        .limit(limit)
    )
    return {row[0]: row[1] for row in rows}
