"""Load compiled topics and clauses, as columns instead of rows, since an edition loads them all."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session
from sqlalchemy.types import NullType

from service.platform.database.text_formats import is_among
from service.topics.domain.matching.bulk import StoredClauses, StoredTopics
from service.topics.domain.types import ClauseKind
from service.topics.store.models import Clause, CompiledTopic
from service.topics.store.save_compiled import form_version, save_compiled_topics


def _gather(column: Any) -> ColumnElement[Any]:
    """Aggregate a column into one array that SQLAlchemy returns as the driver parsed it."""
    return func.array_agg(column, type_=NullType())


def get_stored_topics(session: Session, ids: Iterable[int]) -> list[StoredTopics]:
    """Return these topics grouped by number of clauses; outdated ones are recompiled first."""
    is_fresh = CompiledTopic.version == form_version(session)
    length = func.cardinality(CompiledTopic.form)
    rows = session.execute(
        select(
            is_fresh,
            length,
            _gather(CompiledTopic.id),
            _gather(CompiledTopic.text),
            # All numbers in one string: an array of arrays is parsed far more slowly.
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
    """Return these clauses grouped by kind."""
    rows = session.execute(
        select(Clause.kind, _gather(Clause.id), _gather(Clause.text), _gather(Clause.keys))
        .where(is_among(Clause.id, ids))
        .group_by(Clause.kind)
    )
    return [StoredClauses(kind, own, texts, keys) for kind, own, texts, keys in rows]


def list_likes(session: Session) -> dict[str, str]:
    """Return every stored `like:` clause: canonical text -> its text or its paper's key."""
    likes = select(Clause.text, Clause.keys).where(Clause.kind == ClauseKind.LIKE)
    return dict(session.execute(likes.order_by(Clause.text)).all())
