"""Catch-ups: waiting subscribers, the editions they missed, and the papers that match a topic."""

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

_IS_WAITING = (Subscriber.catch_up_since.is_not(None), Subscriber.state == SubscriberState.ACTIVE)


def list_waiting(session: Session, limit: int) -> list[int]:
    """Return the ids of subscribers who are back and want what they missed."""
    waiting = (
        select(Subscriber.id)
        .where(*_IS_WAITING)
        .order_by(Subscriber.catch_up_since, Subscriber.id)
        .limit(limit)
    )
    return list(session.scalars(waiting))


def claim_waiting(session: Session, subscriber_id: int) -> Subscriber | None:
    """Lock a waiting subscriber until the commit; None where another process has claimed them."""
    return session.scalar(
        select(Subscriber)
        .where(Subscriber.id == subscriber_id, *_IS_WAITING)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )


def is_composing(session: Session, cadence: Cadence) -> bool:
    """Return whether an edition is open, which may or may not include a returning subscriber."""
    is_open = exists().where(Edition.cadence == cadence, Edition.state == EditionState.OPEN)
    return bool(session.execute(select(is_open)).scalar_one())


def list_missed(session: Session, subscriber: Subscriber, since: date) -> Sequence[Edition]:
    """Return the editions that went out without a paused subscriber, oldest first."""
    own = and_(Delivery.edition_id == Edition.id, Delivery.subscriber_id == subscriber.id)
    has_row = exists().where(own)
    was_held = exists().where(
        own,
        Delivery.state == DeliveryState.SKIPPED,
        # The digest that a merged one joined may have been held; papers that were sent are left out.
        Delivery.reason.in_([SkipReason.PAUSED, SkipReason.MERGED]),
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


def list_held_back(
    session: Session, subscriber_id: int, since: datetime, editions: Sequence[int]
) -> set[int]:
    """Return the papers of mails that were skipped because of a pause.

    Those of an earlier catch-up, and of digests of these editions, which may have more: what waited.
    """
    rows = session.execute(
        select(func.unnest(Delivery.paper_ids)).where(
            Delivery.subscriber_id == subscriber_id,
            or_(
                Delivery.kind == DeliveryKind.CATCH_UP,
                and_(Delivery.kind == DeliveryKind.DIGEST, Delivery.edition_id.in_(editions)),
            ),
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
    """Return the papers of these editions that match a topic's condition, newest first.

    Without a condition, the papers with the highest trend come first.
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
    """Return the editions' replacements that match a topic: paper id -> newest version."""
    rows = session.execute(
        select(EditionRevision.paper_id, func.max(EditionRevision.version))
        .join(Paper, Paper.id == EditionRevision.paper_id)
        .where(EditionRevision.edition_id.in_(editions), Paper.is_withdrawn.is_(False), condition)
        .group_by(EditionRevision.paper_id)
        .order_by(EditionRevision.paper_id.desc())
        .limit(limit)
    )
    return {row[0]: row[1] for row in rows}
