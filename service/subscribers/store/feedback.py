"""Subscribers' feedback on papers: one row for each subscriber and paper, the last one counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.platform.database.text_formats import is_among
from service.subscribers.domain.types import Feedback
from service.subscribers.store.models import PaperFeedback, Subscriber


@dataclass(frozen=True, slots=True)
class RatedPapers:
    """The ids of a subscriber's saved and dismissed papers, each the newest first."""

    kept: tuple[int, ...] = ()
    dismissed: tuple[int, ...] = ()


def record_feedback(
    session: Session, subscriber_id: int, paper_id: int, kind: Feedback, now: datetime
) -> None:
    """Upsert a subscriber's feedback on a paper; the same feedback keeps its time."""
    values = {"subscriber_id": subscriber_id, "paper_id": paper_id, "created_at": now}
    statement = insert(PaperFeedback).values(kind=kind, **values)
    upsert = statement.on_conflict_do_update(
        index_elements=["subscriber_id", "paper_id"],
        set_={"kind": kind, "created_at": now},
        where=PaperFeedback.kind != kind,
    )
    session.execute(upsert)


def delete_feedback(session: Session, subscriber_id: int, paper_id: int, kind: Feedback) -> bool:
    """Delete feedback of this kind; return whether there was any. Other, later feedback stays."""
    own = (PaperFeedback.subscriber_id == subscriber_id, PaperFeedback.paper_id == paper_id)
    gone = delete(PaperFeedback).where(*own, PaperFeedback.kind == kind).returning(PaperFeedback.id)
    return session.scalar(gone) is not None


def restore_feedback(
    session: Session,
    subscriber_id: int,
    paper_id: int,
    kind: Feedback,
    previous: tuple[Feedback, datetime],
) -> bool:
    """Replace feedback of this kind by previous feedback and its time; return whether there was any."""
    own = (PaperFeedback.subscriber_id == subscriber_id, PaperFeedback.paper_id == paper_id)
    was, at = previous
    changed = session.scalar(
        update(PaperFeedback)
        .where(*own, PaperFeedback.kind == kind)
        .values(kind=was, created_at=at)
        .returning(PaperFeedback.id)
    )
    return changed is not None


class Rating(NamedTuple):
    """Feedback on one paper, and when it was given."""

    kind: Feedback
    at: datetime


def find_rating(session: Session, subscriber_id: int, paper_id: int) -> Rating | None:
    own = (PaperFeedback.subscriber_id == subscriber_id, PaperFeedback.paper_id == paper_id)
    row = session.execute(select(PaperFeedback.kind, PaperFeedback.created_at).where(*own)).first()
    return Rating(*row) if row else None


def find_feedback(session: Session, subscriber_id: int, paper_id: int) -> Feedback | None:
    rating = find_rating(session, subscriber_id, paper_id)
    return rating.kind if rating else None


def get_rated_papers(session: Session, subscriber_ids: Iterable[int]) -> dict[int, RatedPapers]:
    """Return rated papers by subscriber; subscribers without feedback are left out."""
    return _select_feedback_rows(session, is_among(PaperFeedback.subscriber_id, subscriber_ids))


def get_tastes(session: Session, subscriber_ids: Iterable[int]) -> dict[int, RatedPapers]:
    """Return rated papers by subscriber, only of subscribers who want suggestions."""
    wants = select(Subscriber.id).where(
        is_among(Subscriber.id, subscriber_ids), Subscriber.has_suggestions
    )
    return _select_feedback_rows(session, PaperFeedback.subscriber_id.in_(wants))


def _select_feedback_rows(
    session: Session, condition: ColumnElement[bool]
) -> dict[int, RatedPapers]:
    rows = session.execute(
        select(PaperFeedback.subscriber_id, PaperFeedback.paper_id, PaperFeedback.kind)
        .where(condition)
        .order_by(PaperFeedback.created_at.desc(), PaperFeedback.id.desc())
    )
    rated: dict[int, dict[Feedback, list[int]]] = {}
    for subscriber_id, paper_id, kind in rows:
        rated.setdefault(subscriber_id, {}).setdefault(kind, []).append(paper_id)
    return {
        subscriber_id: RatedPapers(
            tuple(by_kind.get(Feedback.KEPT, ())), tuple(by_kind.get(Feedback.DISMISSED, ()))
        )
        for subscriber_id, by_kind in rated.items()
    }
