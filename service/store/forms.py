"""Compiled topics and clauses out: long columns instead of rows, since a morning reads them all."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.domain.topic_sets import StoredClauses, StoredTopics
from service.domain.types import ClauseKind
from service.store.base import is_among
from service.store.canonicals import form_version, save_canonicals
from service.store.topic_models import Canonical, ClauseRow


def get_stored_topics(session: Session, ids: Iterable[int]) -> list[StoredTopics]:
    """These topics by the number of their clauses; a form of another version is renewed first."""
    is_fresh = Canonical.version == form_version(session)
    rows = session.execute(
        select(
            is_fresh,
            func.array_agg(Canonical.id),
            func.array_agg(Canonical.text),
            func.array_agg(Canonical.form),
        )
        .where(is_among(Canonical.id, ids))
        .group_by(is_fresh, func.cardinality(Canonical.form))
    )
    topics: list[StoredTopics] = []
    old: dict[int, str] = {}
    for is_good, own, texts, forms in rows:
        if is_good:
            topics.append(StoredTopics(own, texts, list(zip(*forms, strict=True))))
        else:
            old.update(zip(own, texts, strict=True))
    if old:
        save_canonicals(session, old.values())
        topics += get_stored_topics(session, old)
    return topics


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
    return dict(session.execute(likes.order_by(ClauseRow.text)).all())
