"""Probes of `like:` clauses, and the state of the corpus that they are made from."""

from collections.abc import Sequence

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from service.similarity.domain.vectors import LikeQueryView
from service.similarity.store.models import LikeQuery


def find_like_queries(
    session: Session, model: str, texts: Sequence[str]
) -> dict[str, LikeQueryView]:
    """The probes that count for these clauses, by text: of each the newest generation's."""
    statement = (
        _select_like_queries(model)
        .where(LikeQuery.text.in_(texts))
        .order_by(LikeQuery.text, LikeQuery.generation.desc())
        .ext(distinct_on(LikeQuery.text))
    )
    return {row.text: to_like_query(row) for row in session.scalars(statement)}


def find_stale_like_queries(session: Session, model: str, generation: int, limit: int) -> list[str]:
    """Texts that have probes, but none of this model and generation yet."""
    fresh = select(LikeQuery.text).where(
        LikeQuery.model == model, LikeQuery.generation >= generation
    )
    statement = select(LikeQuery.text).distinct().where(LikeQuery.text.not_in(fresh)).limit(limit)
    return list(session.scalars(statement))


def _select_like_queries(model: str) -> Select[LikeQuery]:
    return select(LikeQuery).where(LikeQuery.model == model)


def insert_like_query(session: Session, like_query: LikeQueryView) -> LikeQueryView:
    """Keep a probe and drop its older generations; returns the one that is kept.

    Of two that are made at the same time the first stays: both readers get the same papers.
    """
    values = {name: getattr(like_query, name) for name in like_query.__slots__}
    session.execute(insert(LikeQuery).values(**values).on_conflict_do_nothing())
    session.execute(
        delete(LikeQuery).where(
            LikeQuery.text == like_query.text, LikeQuery.generation < like_query.generation
        )
    )
    return find_like_queries(session, like_query.model, [like_query.text])[like_query.text]


def delete_like_queries(session: Session, text: str) -> None:
    session.execute(delete(LikeQuery).where(LikeQuery.text == text))


def to_like_query(row: LikeQuery) -> LikeQueryView:
    return LikeQueryView(
        text=row.text,
        model=row.model,
        generation=row.generation,
        dense=row.dense or b"",
        sparse=row.sparse,
        dense_factor=row.dense_factor,
        sparse_factor=row.sparse_factor,
        threshold=row.threshold,
    )
