"""What readers said of papers: one word each, the last one counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.platform.database.pg_arrays import is_among
from service.subscribers.domain.types import OpinionKind
from service.subscribers.store.models import Opinion, Subscriber


@dataclass(frozen=True, slots=True)
class Opinions:
    """One reader's kept and dismissed papers, each the newest first."""

    kept: tuple[int, ...] = ()
    dismissed: tuple[int, ...] = ()


def record_opinion(
    session: Session, subscriber_id: int, paper_id: int, kind: OpinionKind, now: datetime
) -> bool:
    """Set a reader's word on a paper; true unless it was this word already."""
    values = {"subscriber_id": subscriber_id, "paper_id": paper_id, "created_at": now}
    statement = insert(Opinion).values(kind=kind, **values)
    changed = statement.on_conflict_do_update(
        index_elements=["subscriber_id", "paper_id"],
        set_={"kind": kind, "created_at": now},
        where=Opinion.kind != kind,
    ).returning(Opinion.id)
    return session.scalar(changed) is not None


def delete_opinion(session: Session, subscriber_id: int, paper_id: int, kind: OpinionKind) -> bool:
    """Take a word back; true if it was this one. Another that came later stays."""
    own = (Opinion.subscriber_id == subscriber_id, Opinion.paper_id == paper_id)
    gone = delete(Opinion).where(*own, Opinion.kind == kind).returning(Opinion.id)
    return session.scalar(gone) is not None


def find_opinion(session: Session, subscriber_id: int, paper_id: int) -> OpinionKind | None:
    own = (Opinion.subscriber_id == subscriber_id, Opinion.paper_id == paper_id)
    return session.scalar(select(Opinion.kind).where(*own))


def get_opinions(session: Session, subscriber_ids: Iterable[int]) -> dict[int, Opinions]:
    """The opinions of these readers, by subscriber; those who said nothing are left out."""
    return _read_opinions(session, is_among(Opinion.subscriber_id, subscriber_ids))


def get_tastes(session: Session, subscriber_ids: Iterable[int]) -> dict[int, Opinions]:
    """The same, of those alone who want suggestions."""
    wants = select(Subscriber.id).where(
        is_among(Subscriber.id, subscriber_ids), Subscriber.has_suggestions
    )
    return _read_opinions(session, Opinion.subscriber_id.in_(wants))


def _read_opinions(session: Session, condition: ColumnElement[bool]) -> dict[int, Opinions]:
    rows = session.execute(
        select(Opinion.subscriber_id, Opinion.paper_id, Opinion.kind)
        .where(condition)
        .order_by(Opinion.created_at.desc(), Opinion.id.desc())
    )
    said: dict[int, dict[OpinionKind, list[int]]] = {}
    for subscriber_id, paper_id, kind in rows:
        said.setdefault(subscriber_id, {}).setdefault(kind, []).append(paper_id)
    return {
        subscriber_id: Opinions(
            tuple(by_kind.get(OpinionKind.KEPT, ())), tuple(by_kind.get(OpinionKind.DISMISSED, ()))
        )
        for subscriber_id, by_kind in said.items()
    }
