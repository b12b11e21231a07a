"""Probes of `like:` clauses, and the state of the corpus that they are made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Select, Text, any_, cast, delete, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on, insert
from sqlalchemy.orm import Session

from service.similarity.domain.bm25 import Corpus
from service.similarity.domain.calibration import Aim, Pool
from service.similarity.domain.vectors import Probe
from service.similarity.store.models import (
    LexemeCount,
    MeaningGeneration,
    PaperMeaningRow,
    ProbeRow,
)
from service.similarity.store.vectors import dot_columns

# The newest so many papers tell what the ordinary paper is like, and what the best ones say.
POOL_SIZE = 20_000
# A lexeme in fewer papers than this is as rare as one in none, and most lexemes are.
LEAST_COUNT = 3
_GENERATION_LOCK = 20592_07

_COUNT_LEXEMES = text("""
    INSERT INTO lexeme_counts (lexeme, paper_count)
    SELECT word, ndoc FROM ts_stat('SELECT title_lexemes || abstract_lexemes FROM papers')
    WHERE ndoc >= :least
""")


def scan_pool(session: Session, model: str, aim: Aim, without: int | None = None) -> Pool:
    """The newest papers' dot products with `aim`; `without` names a paper that does not count."""
    known = PaperMeaningRow
    dense, sparse = dot_columns(aim.dense, aim.sparse, known)
    newest = (
        select(known.paper_id.label("paper_id"), dense.label("dense"), sparse.label("sparse"))
        .where(known.model == model, known.paper_id != (without or 0))
        .order_by(known.paper_id.desc())
        .limit(POOL_SIZE)
        .subquery()
    )
    # Three arrays in one row: twenty thousand rows would take longer to send than to compute.
    ids, denses, sparses = session.execute(
        select(
            func.array_agg(newest.c.paper_id),
            func.array_agg(newest.c.dense),
            func.array_agg(newest.c.sparse),
        )
    ).one()
    return Pool(ids or (), denses or (), sparses or ())


def get_corpus(session: Session, paper_count: int, lexemes: Iterable[str]) -> Corpus:
    """How common these lexemes are, as last counted."""
    wanted = any_(cast(list(lexemes), ARRAY(Text)))
    rows = session.execute(
        select(LexemeCount.lexeme, LexemeCount.paper_count).where(LexemeCount.lexeme == wanted)
    )
    return Corpus(paper_count, dict(rows.all()))


def get_generation(session: Session) -> MeaningGeneration | None:
    """The newest state of the corpus; None where it was never counted."""
    newest = select(MeaningGeneration).order_by(MeaningGeneration.generation.desc()).limit(1)
    return session.scalars(newest).one_or_none()


def count_meanings(session: Session, model: str) -> int:
    """How many papers are learned with this model."""
    counted = select(func.count()).where(PaperMeaningRow.model == model)
    return session.execute(counted).scalar_one()


def open_generation(session: Session, model: str, paper_count: int) -> bool:
    """Count every lexeme anew and begin the next generation; false where another process is at it."""
    locked = select(func.pg_try_advisory_xact_lock(_GENERATION_LOCK))
    if not session.execute(locked).scalar_one():
        return False
    newest = get_generation(session)
    number = newest.generation + 1 if newest else 1
    session.execute(delete(LexemeCount))
    session.execute(_COUNT_LEXEMES, {"least": LEAST_COUNT})
    session.add(MeaningGeneration(generation=number, model=model, paper_count=paper_count))
    return True


def find_probes(session: Session, model: str, texts: Sequence[str]) -> dict[str, Probe]:
    """The probes that count for these clauses, by text: of each the newest generation's."""
    statement = (
        _select_probes(model)
        .where(ProbeRow.text.in_(texts))
        .order_by(ProbeRow.text, ProbeRow.generation.desc())
        .ext(distinct_on(ProbeRow.text))
    )
    return {row.text: to_probe(row) for row in session.scalars(statement)}


def find_stale_probes(session: Session, model: str, generation: int, limit: int) -> list[str]:
    """Texts that have probes, but none of this model and generation yet."""
    fresh = select(ProbeRow.text).where(ProbeRow.model == model, ProbeRow.generation >= generation)
    statement = select(ProbeRow.text).distinct().where(ProbeRow.text.not_in(fresh)).limit(limit)
    return list(session.scalars(statement))


def _select_probes(model: str) -> Select[ProbeRow]:
    return select(ProbeRow).where(ProbeRow.model == model)


def insert_probe(session: Session, probe: Probe) -> Probe:
    """Keep a probe and drop its older generations; returns the one that is kept.

    Of two that are made at the same time the first stays: both readers get the same papers.
    """
    values = {name: getattr(probe, name) for name in probe.__slots__}
    session.execute(insert(ProbeRow).values(**values).on_conflict_do_nothing())
    session.execute(
        delete(ProbeRow).where(ProbeRow.text == probe.text, ProbeRow.generation < probe.generation)
    )
    return find_probes(session, probe.model, [probe.text])[probe.text]


def delete_probes(session: Session, text: str) -> None:
    session.execute(delete(ProbeRow).where(ProbeRow.text == text))


def to_probe(row: ProbeRow) -> Probe:
    return Probe(
        text=row.text,
        model=row.model,
        generation=row.generation,
        dense=row.dense or b"",
        sparse=row.sparse,
        dense_factor=row.dense_factor,
        sparse_factor=row.sparse_factor,
        threshold=row.threshold,
    )
