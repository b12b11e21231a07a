"""Compiled topics and clauses out: long columns instead of rows, since a morning reads them all."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType

from service.platform.database.pg_arrays import is_among
from service.topics.domain.matching.bulk import StoredClauses, StoredTopics
from service.topics.domain.types import ClauseKind
from service.topics.store.models import Clause, CompiledTopic
from service.topics.store.save_compiled import form_version, save_compiled_topics


def _gather(column: Any) -> ColumnElement[Any]:
    """A whole column of a group as one value, which is left as the driver reads it."""
    return func.array_agg(column, type_=NullType())


def get_stored_topics(session: Session, ids: Iterable[int]) -> list[StoredTopics]:
    """These topics by the number of their clauses; a form of another version is renewed first."""
    is_fresh, length = (
        CompiledTopic.version == form_version(session),
        func.cardinality(CompiledTopic.form),
    )
    rows = session.execute(
        select(
            is_fresh,
            length,
            _gather(CompiledTopic.id),
            _gather(CompiledTopic.text),
            # All numbers in one line: an array of arrays is read far more slowly.
            func.array_to_string(_gather(CompiledTopic.form), ","),
        )
        .where(is_among(CompiledTopic.id, ids))
        .group_by(is_fresh, length)
    )
    topics: list[StoredTopics] = []
    old: dict[int, str] = {}
    for is_good, count, own, texts, line in rows:
        if is_good:
            numbers = json.loads(f"[{line}]")  # twice as fast as splitting
            columns = [numbers[at::count] for at in range(count)]
            topics.append(StoredTopics(own, texts, columns))
        else:
            old.update(zip(own, texts, strict=True))
    if old:
        save_compiled_topics(session, old.values())
        topics += get_stored_topics(session, old)
    return topics


def get_stored_clauses(session: Session, ids: Iterable[int]) -> list[StoredClauses]:
    """These clauses by kind."""
    rows = session.execute(
        select(Clause.kind, _gather(Clause.id), _gather(Clause.text), _gather(Clause.keys))
        .where(is_among(Clause.id, ids))
        .group_by(Clause.kind)
    )
    return [StoredClauses(kind, own, texts, keys) for kind, own, texts, keys in rows]


def list_likes(session: Session) -> dict[str, str]:
    """Every `like:` clause of a saved topic: canonical text -> the text or the paper's key."""
    likes = select(Clause.text, Clause.keys).where(Clause.kind == ClauseKind.LIKE)
    return dict(session.execute(likes.order_by(Clause.text)).all())
