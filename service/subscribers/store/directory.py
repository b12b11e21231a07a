"""Subscribers as a list: by state, by a part of the address or of a topic, page by page.

Pages follow ids, so that each page is one short walk of an index however long the list is. A search
reads addresses and topics once (100,000 subscribers: some tens of milliseconds).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select, union
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState
from service.subscribers.store.models import Consent, Subscriber
from service.topics.store.models import Topic

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class SubscriberFilter:
    """Which subscribers to list: with `text` in the address or a topic, in one state; or all."""

    text: str = ""
    state: SubscriberState | None = None


@dataclass(frozen=True, slots=True)
class DirectoryPage:
    """One page, newest first. `older` and `newer` are the ids from which its neighbours start."""

    subscribers: Sequence[Subscriber]
    older: int | None = None
    newer: int | None = None


def list_page(
    session: Session,
    chosen: SubscriberFilter,
    *,
    before: int | None = None,
    after: int | None = None,
    limit: int = PAGE_SIZE,
) -> DirectoryPage:
    """Return the newest subscribers, or those before (or just after) the one with an id."""
    if after is not None:
        rows = list_after(session, chosen, after, limit + 1)
        shown = rows[:limit][::-1]
        newer = shown[0].id if len(rows) > limit else None
        return DirectoryPage(shown, shown[-1].id if shown else None, newer)
    statement = _filtered(chosen)
    if before is not None:
        statement = statement.where(Subscriber.id < before)
    rows = session.scalars(statement.order_by(Subscriber.id.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    older = shown[-1].id if len(rows) > limit else None
    return DirectoryPage(shown, older, shown[0].id if before is not None and shown else None)


def list_after(
    session: Session, chosen: SubscriberFilter, last_id: int, limit: int
) -> Sequence[Subscriber]:
    """Return the next subscribers after an id, oldest first."""
    statement = _filtered(chosen).where(Subscriber.id > last_id)
    return session.scalars(statement.order_by(Subscriber.id).limit(limit)).all()


def _filtered(chosen: SubscriberFilter) -> Select[Subscriber]:
    statement = select(Subscriber)
    if chosen.state is not None:
        statement = statement.where(Subscriber.state == chosen.state)
    if chosen.text:
        part = chosen.text.lower()
        found = union(
            select(Subscriber.id).where(
                func.lower(Subscriber.email).contains(part, autoescape=True)
            ),
            select(Topic.subscriber_id).where(
                func.lower(Topic.query).contains(part, autoescape=True)
                | func.lower(Topic.name).contains(part, autoescape=True)
            ),
        )
        statement = statement.where(Subscriber.id.in_(found))
    return statement


def count_topic_columns(session: Session) -> int:
    """Return the greatest number of topics that any subscriber has."""
    counts = select(func.count(Topic.id).label("count")).group_by(Topic.subscriber_id).subquery()
    return session.scalar(select(func.max(counts.c.count))) or 0


def list_changes(session: Session, subscriber_id: int) -> Iterator[Consent]:
    """Yield what began, changed and ended a subscription, oldest first."""
    rows = select(Consent).where(Consent.subscriber_id == subscriber_id).order_by(Consent.id)
    yield from session.scalars(rows)
