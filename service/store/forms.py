"""Compiled topics and clauses out: long columns instead of rows, since a morning reads them all."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.domain.topic_forms import ClauseKind
from service.domain.topic_sets import StoredClauses, StoredTopics
from service.store.base import is_among
from service.store.topic_models import Canonical, ClauseRow


def get_stored_topics(session: Session, ids: Iterable[int]) -> list[StoredTopics]:
    """These topics by the number of their clauses."""
    length = func.cardinality(Canonical.form)
    rows = session.execute(
        select(
            func.array_agg(Canonical.id),
            func.array_agg(Canonical.text),
            func.array_agg(Canonical.form),
        )
        .where(is_among(Canonical.id, ids))
        .group_by(length)
    )
    return [StoredTopics(own, texts, list(zip(*forms, strict=True))) for own, texts, forms in rows]


def get_stored_clauses(session: Session, ids: Iterable[int]) -> list[StoredClauses]:
    """These clauses by kind."""
    rows = session.execute(
        select(
            ClauseRow.kind,
            func.array_agg(ClauseRow.id),
            func.array_agg(ClauseRow.text),
            func.array_agg(ClauseRow.keys),
        )
        .where(is_among(ClauseRow.id, ids))
        .group_by(ClauseRow.kind)
    )
    return [StoredClauses(kind, own, texts, keys) for kind, own, texts, keys in rows]


def list_likes(session: Session) -> dict[str, str]:
    """Every `like:` clause of a saved topic: canonical text -> the text or the paper's key."""
    likes = select(ClauseRow.text, ClauseRow.keys).where(ClauseRow.kind == ClauseKind.LIKE)
    return {clause: keys for clause, keys in session.execute(likes.order_by(ClauseRow.text))}
