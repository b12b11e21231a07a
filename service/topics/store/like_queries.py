"""Probes of `like:` clauses, and the state of the corpus that they are made from."""

from collections.abc import Sequence

from sqlalchemy import Select, delete, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from service.similarity.domain.vectors import LikeQueryView
from service.similarity.store.models import LikeQuery


def find_probes(session: Session, model: str, texts: Sequence[str]) -> dict[str, LikeQueryView]:
    """The probes that count for these clauses, by text: of each the newest generation's."""
    statement = (
        _select_probes(model)
        .where(LikeQuery.text.in_(texts))
        .order_by(LikeQuery.text, LikeQuery.generation.desc())
        .ext(distinct_on(LikeQuery.text))
    )
    return {row.text: to_probe(row) for row in session.scalars(statement)}


def find_stale_probes(session: Session, model: str, generation: int, limit: int) -> list[str]:
    """Texts that have probes, but none of this model and generation yet."""
    fresh = select(LikeQuery.text).where(
        LikeQuery.model == model, LikeQuery.generation >= generation
    )
    statement = select(LikeQuery.text).distinct().where(LikeQuery.text.not_in(fresh)).limit(limit)
    return list(session.scalars(statement))


def _select_probes(model: str) -> Select[LikeQuery]:
    return select(LikeQuery).where(LikeQuery.model == model)


def insert_probe(session: Session, probe: LikeQueryView) -> LikeQueryView:
    """Keep a probe and drop its older generations; returns the one that is kept.

    Of two that are made at the same time the first stays: both readers get the same papers.
    """
    values = {name: getattr(probe, name) for name in probe.__slots__}
    session.execute(insert(LikeQuery).values(**values).on_conflict_do_nothing())
    session.execute(
        delete(LikeQuery).where(
            LikeQuery.text == probe.text, LikeQuery.generation < probe.generation
        )
    )
    return find_probes(session, probe.model, [probe.text])[probe.text]


def delete_probes(session: Session, text: str) -> None:
    session.execute(delete(LikeQuery).where(LikeQuery.text == text))


def to_probe(row: LikeQuery) -> LikeQueryView:
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
