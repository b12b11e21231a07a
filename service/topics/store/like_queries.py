"""Queries for the stored like queries of `like:` clauses (table `probes`)."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from service.similarity.domain.vectors import LikeQueryView
from service.similarity.store.models import LikeQuery


def find_like_queries(
    session: Session, model: str, texts: Sequence[str]
) -> dict[str, LikeQueryView]:
    """Return the like queries of these clauses by text, each in its newest generation."""
    statement = (
        select(LikeQuery)
        .where(LikeQuery.model == model, LikeQuery.text.in_(texts))
        .order_by(LikeQuery.text, LikeQuery.generation.desc())
        .ext(distinct_on(LikeQuery.text))
    )
    return {
        row.text: LikeQueryView(**{name: getattr(row, name) for name in LikeQueryView.__slots__})
        for row in session.scalars(statement)
    }


def find_stale_like_queries(session: Session, model: str, generation: int, limit: int) -> list[str]:
    """Return texts that have like queries, but none of this model and generation yet."""
    fresh = select(LikeQuery.text).where(
        LikeQuery.model == model, LikeQuery.generation >= generation
    )
    statement = select(LikeQuery.text).distinct().where(LikeQuery.text.not_in(fresh)).limit(limit)
    return list(session.scalars(statement))


def insert_like_query(session: Session, like_query: LikeQueryView) -> LikeQueryView:
    """Insert a like query, delete its older generations and return the stored one.

    In a race the first insert wins, so that all subscribers get the same papers.
    """
    values = {name: getattr(like_query, name) for name in LikeQueryView.__slots__}
    session.execute(insert(LikeQuery).values(values).on_conflict_do_nothing())
    session.execute(
        delete(LikeQuery).where(
            LikeQuery.text == like_query.text, LikeQuery.generation < like_query.generation
        )
    )
    return find_like_queries(session, like_query.model, [like_query.text])[like_query.text]


def delete_like_queries(session: Session, text: str) -> None:
    session.execute(delete(LikeQuery).where(LikeQuery.text == text))
