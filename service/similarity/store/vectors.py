"""Store embeddings, and evaluate like queries in Postgres with pgvector.

Every dot product here is a sum of integers below 2**24, so pgvector's 32-bit floats are exact and
Postgres agrees with `scoring.like_sets` on every pair (see `domain.vectors`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Select,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy import literal_column as sql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from service.papers.domain.tsvector import Lexemes, parse_tsvector
from service.papers.store.models import Paper
from service.platform.database.text_formats import is_among, is_one_of, write_numbers
from service.similarity.domain.vectors import LikeQueryView, PaperVectors, Sparse
from service.similarity.store.models import PaperMeaning


@dataclass(frozen=True, slots=True)
class PaperText:
    """The text of a paper from which its vectors are computed."""

    paper_id: int
    title: str
    abstract: str
    title_lexemes: Lexemes
    abstract_lexemes: Lexemes
    updated_at: datetime


def find_unembedded(
    session: Session, model: str, limit: int, among: Sequence[int] | None = None
) -> list[int]:
    """Return ids of papers whose current text has no embedding by this model, newest first."""
    statement = _select_unlearned(Paper.id, model).order_by(Paper.id.desc()).limit(limit)
    if among is not None:
        statement = statement.where(is_among(Paper.id, among))
    return list(session.scalars(statement))


def count_unlearned(session: Session, model: str) -> int:
    return session.execute(_select_unlearned(func.count(), model)).scalar_one()


def _select_unlearned(column: Any, model: str) -> Select[int]:
    known = PaperMeaning
    joined = select(column).select_from(Paper).outerjoin(known, known.paper_id == Paper.id)
    return joined.where(
        or_(
            known.paper_id.is_(None),
            known.model != model,
            known.paper_updated_at < Paper.updated_at,
        )
    )


# Built once, as every page of a paper asks these two.
_TEXTS = select(
    Paper.id,
    Paper.title,
    Paper.abstract,
    cast(Paper.title_lexemes, Text),
    cast(Paper.abstract_lexemes, Text),
    Paper.updated_at,
).where(is_one_of(Paper.id, "ids"))
_MEANINGS = select(
    PaperMeaning.paper_id, PaperMeaning.model, PaperMeaning.dense, PaperMeaning.sparse
).where(is_one_of(PaperMeaning.paper_id, "ids"))


def select_texts(session: Session, ids: Sequence[int]) -> list[PaperText]:
    rows = session.execute(_TEXTS, {"ids": write_numbers(ids)})
    return [
        PaperText(i, title, abstract, parse_tsvector(in_title), parse_tsvector(in_abstract), at)
        for i, title, abstract, in_title, in_abstract, at in rows
    ]


_COUNT_AMONG = text("""
    SELECT lexeme, count(*) FROM papers, unnest(title_lexemes || abstract_lexemes)
    WHERE id = ANY(:ids) AND lexeme = ANY(:lexemes) GROUP BY lexeme
""")


def count_papers_with(
    session: Session, ids: Sequence[int], lexemes: Iterable[str]
) -> dict[str, int]:
    """Return how many of these papers contain each lexeme; one that none contains is left out."""
    rows = session.execute(_COUNT_AMONG, {"ids": list(ids), "lexemes": list(lexemes)})
    return dict(rows.all())


def upsert_meanings(
    session: Session, meanings: Sequence[PaperVectors], read_at: Mapping[int, datetime]
) -> None:
    """Upsert the vectors of papers; `read_at` is each paper's `updated_at` when its text was read.

    A paper that was deleted meanwhile is left out. Rows are locked in order of id, so concurrent
    upserts of the same papers cannot deadlock.
    """
    wanted = sorted(meanings, key=lambda meaning: meaning.paper_id)
    locked_ids = set(
        session.scalars(
            select(Paper.id)
            .where(Paper.id.in_([meaning.paper_id for meaning in wanted]))
            .order_by(Paper.id)
            .with_for_update(read=True, key_share=True)
        )
    )
    rows = [
        {
            "paper_id": meaning.paper_id,
            "model": meaning.model,
            "dense": meaning.dense,
            "sparse": meaning.sparse,
            "paper_updated_at": read_at[meaning.paper_id],
        }
        for meaning in wanted
        if meaning.paper_id in locked_ids
    ]
    if rows:
        statement = insert(PaperMeaning).values(rows)
        new = {name: getattr(statement.excluded, name) for name in rows[0] if name != "paper_id"}
        session.execute(statement.on_conflict_do_update(index_elements=["paper_id"], set_=new))


def get_meanings(session: Session, ids: Sequence[int]) -> list[PaperVectors]:
    """Return the vectors of these papers, in this order; empty for a paper not embedded yet."""
    found = {
        row.paper_id: PaperVectors(row.paper_id, row.model, row.dense or b"", row.sparse)
        for row in session.execute(_MEANINGS, {"ids": write_numbers(ids)})
    }
    return [found.get(i) or PaperVectors(i, "", b"", ()) for i in ids]


def select_packed(
    session: Session, model: str, ids: Sequence[int]
) -> list[tuple[int, bytes, bytes]]:
    """Return the vectors by `model` of the papers among `ids`, in pgvector's binary format."""
    known = PaperMeaning
    rows = session.execute(
        select(
            known.paper_id, func.halfvec_send(known.dense), func.sparsevec_send(known.sparse)
        ).where(known.model == model, is_among(known.paper_id, ids))
    )
    return [(paper_id, dense or b"", sparse) for paper_id, dense, sparse in rows]


def newest_learned(session: Session, model: str, most: int) -> list[int]:
    """Return the ids of the newest papers that are embedded with `model`, newest first."""
    known = PaperMeaning
    newest = select(known.paper_id).where(known.model == model).order_by(known.paper_id.desc())
    return list(session.scalars(newest.limit(most)))


def newest_outside(session: Session, model: str, below: int, ids: Sequence[int]) -> int | None:
    """Return the largest id below `below` of a paper embedded with `model` that is not among `ids`."""
    known = PaperMeaning
    others = select(known.paper_id).where(known.model == model, known.paper_id < below)
    others = others.where(not_(is_among(known.paper_id, ids)))
    return session.scalar(others.order_by(known.paper_id.desc()).limit(1))


def like_condition(like_query: LikeQueryView, papers: type[Paper] = Paper) -> ColumnElement[bool]:
    """Return the SQL condition for papers that satisfy `like_query`, the same as `is_like`.

    `papers` is the table's class or an alias of it. OFFSET keeps Postgres from rewriting the
    subquery as a join over every stored paper where a window of days is meant; the condition is
    then evaluated only for papers that satisfy the topic's other clauses, at 2 µs each.
    """
    known = aliased(PaperMeaning)
    found = select(literal(1)).where(known.paper_id == papers.id, _is_like(like_query, known))
    return found.correlate(papers).offset(sql("0")).exists()


def _is_like(like_query: LikeQueryView, known: type[PaperMeaning]) -> ColumnElement[bool]:
    return score_column(like_query, known) >= literal(float(like_query.threshold), Double)


def score_column(like_query: LikeQueryView, known: type[PaperMeaning]) -> ColumnElement[float]:
    """Return the column of scores: integers below 2**53 in a 64-bit float, NULL for other models.

    CASE keeps Postgres from multiplying vectors of different lengths, which is an error.
    """
    dense, sparse = dot_columns(like_query.dense, like_query.sparse, known)
    score = dense * literal(float(like_query.dense_factor), Double)
    score += sparse * literal(float(like_query.sparse_factor), Double)
    return case((known.model == like_query.model, score))


def dot_columns(
    dense: bytes, sparse: Sparse, known: type[PaperMeaning]
) -> tuple[ColumnElement[float], ColumnElement[float]]:
    """Return the columns of dot products, dense and sparse; 0 where either side has no vector."""
    nothing = literal(0.0, Double)
    return (
        func.coalesce(_product(known.dense, dense), nothing) if dense else nothing,
        _product(known.sparse, sparse) if sparse else nothing,
    )


def _product(column: Any, value: object) -> ColumnElement[float]:
    """Return the inner product: pgvector's `<#>` is its negative, as a 64-bit float."""
    given = cast(bindparam(None, value, type_=column.type, unique=True), column.type)
    product: ColumnElement[float] = -column.op("<#>", return_type=Double())(given)
    return product


def find_nearest(
    session: Session, like_query: LikeQueryView, paper_id: int, limit: int, below: int | None = None
) -> list[tuple[int, int]]:
    """Return (id, score) of papers that satisfy `like_query` but `paper_id`, by score and id.

    With `below`, only papers with smaller ids.
    """
    known = PaperMeaning
    score = score_column(like_query, known)
    statement = (
        select(known.paper_id, score)
        .where(known.paper_id != paper_id, _is_like(like_query, known))
        .order_by(score.desc(), known.paper_id.desc())
        .limit(limit)
    )
    if below is not None:
        statement = statement.where(known.paper_id < below)
    return [(i, int(value)) for i, value in session.execute(statement)]
