"""Why a reader got what they got, or did not: the whole story of one date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.domain.digest import digest_from_json
from service.domain.types import Reason
from service.store.deliveries import list_events
from service.store.models import Delivery, Edition, Subscriber
from service.store.reading import get_papers
from service.store.subscribers import get_topics


@dataclass(frozen=True, slots=True)
class PaperStory:
    key: str
    title: str
    topic: str
    reasons: tuple[str, ...]
    is_maybe_seen: bool


@dataclass(frozen=True, slots=True)
class EventStory:
    at: datetime
    attempt: int
    state: str
    detail: str


@dataclass(frozen=True, slots=True)
class DeliveryStory:
    """One delivery: what was in it, what was cut, and every step with the relay's words."""

    kind: str
    edition_id: int | None
    cadence: str
    state: str
    reason: str
    due_at: datetime
    attempt: int
    message_id: str
    papers: tuple[PaperStory, ...]
    cut: tuple[str, ...]
    events: tuple[EventStory, ...]


@dataclass(frozen=True, slots=True)
class Story:
    email: str
    on: date
    state: str
    topics: tuple[str, ...]
    deliveries: tuple[DeliveryStory, ...]


def tell_why(session: Session, reader: Subscriber, on: date) -> Story:
    """The deliveries of a reader for a date: digests of its editions, other mails queued on it."""
    rows = session.execute(
        select(Delivery, Edition)
        .outerjoin(Edition, Edition.id == Delivery.edition_id)
        .where(Delivery.subscriber_id == reader.id)
        .order_by(Delivery.id)
    )
    told = [
        _tell_delivery(session, delivery, edition)
        for delivery, edition in rows
        if (edition.local_date if edition else delivery.created_at.date()) == on
    ]
    topics = get_topics(session, [reader.id]).get(reader.id, [])
    return Story(reader.email, on, reader.state, tuple(text for text, _ in topics), tuple(told))


def _tell_delivery(session: Session, delivery: Delivery, edition: Edition | None) -> DeliveryStory:
    digest = digest_from_json(_frozen(delivery))
    papers = get_papers(session, [*digest.paper_ids, *digest.cut_ids])
    return DeliveryStory(
        kind=delivery.kind,
        edition_id=delivery.edition_id,
        cadence=edition.cadence if edition else "",
        state=delivery.state,
        reason=delivery.reason,
        due_at=delivery.due_at,
        attempt=delivery.attempt,
        message_id=delivery.message_id,
        papers=tuple(
            PaperStory(
                papers[entry.paper_id].key,
                papers[entry.paper_id].title,
                group.title,
                tuple(_say_reason(reason) for reason in entry.reasons),
                entry.is_maybe_seen,
            )
            for group in digest.groups
            for entry in group.entries
            if entry.paper_id in papers
        ),
        cut=tuple(papers[i].key for i in digest.cut_ids if i in papers),
        events=tuple(
            EventStory(event.created_at, event.attempt, event.state, event.detail)
            for event in list_events(session, delivery.id)
        ),
    )


def _frozen(delivery: Delivery) -> dict[str, Any]:
    return delivery.digest or {"groups": [], "cut": []}


def _say_reason(reason: Reason) -> str:
    guess = " (a guess)" if reason.is_guess else ""
    return f"{reason.clause} in the {reason.field}{guess}"
