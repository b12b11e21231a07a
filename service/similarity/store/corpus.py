"""Queries for statistics of the corpus: document frequencies, and the newest papers' scores."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Text, any_, bindparam, cast, delete, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from service.platform.database.engine import limit_time
from service.platform.database.text_formats import write_texts
from service.similarity.domain.bm25 import Corpus
from service.similarity.domain.calibration import ReferenceScores, Target
from service.similarity.store.models import LexemeCount, MeaningGeneration, PaperMeaning
from service.similarity.store.vectors import dot_columns

# Size of the reference pool, the newest papers, which calibrates scores and gives feedback.
POOL_SIZE = 20_000

# Lexemes in fewer papers are not stored, as most are; their rarity is that of a lexeme in none.
LEAST_COUNT = 3
_GENERATION_LOCK = 20592_07
_GENERATION_SECONDS = 1200
_COUNT_LEXEMES = text("""
    INSERT INTO lexeme_counts (lexeme, paper_count)
    SELECT word, ndoc FROM ts_stat('SELECT title_lexemes || abstract_lexemes FROM papers')
    WHERE ndoc >= :least
""")


def scan_pool(
    session: Session,
    model: str,
    target: Target,
    without: Sequence[int] = (),
    pool_size: int = POOL_SIZE,
) -> ReferenceScores:
    """Return the newest papers' dot products with `target`, leaving out the papers `without`."""
    known = PaperMeaning
    dense, sparse = dot_columns(target.dense, target.sparse, known)
    newest = (
        select(known.paper_id, dense.label("dense"), sparse.label("sparse"))
        .where(known.model == model, known.paper_id.not_in(without))
        .order_by(known.paper_id.desc())
        .limit(pool_size)
        .subquery()
    )
    # Three arrays in one row: sending twenty thousand rows would take longer than computing them.
    gathered = select(*(func.array_agg(column) for column in newest.columns))
    ids, dense_sums, sparse_sums = (each or () for each in session.execute(gathered).one())
    return ReferenceScores(ids, dense_sums, sparse_sums)


_NEWEST = select(MeaningGeneration).order_by(MeaningGeneration.generation.desc()).limit(1)
_generation = _NEWEST.with_only_columns(MeaningGeneration.paper_count.label("total")).subquery()
# Built once, as every page of a paper asks it.
_COUNTS = select(_generation, LexemeCount.lexeme, LexemeCount.paper_count).outerjoin(
    LexemeCount, LexemeCount.lexeme == any_(cast(bindparam("lexemes", type_=Text), ARRAY(Text)))
)


def get_corpus(session: Session, lexemes: Iterable[str]) -> Corpus | None:
    """Return the document frequencies of these lexemes; None where lexemes were never counted."""
    rows = session.execute(_COUNTS, {"lexemes": write_texts(lexemes)}).all()
    if not rows:
        return None
    return Corpus(rows[0].total, {lexeme: count for _, lexeme, count in rows if lexeme})


def get_generation(session: Session) -> MeaningGeneration | None:
    """Return the newest generation; None where lexemes were never counted."""
    return session.scalars(_NEWEST).one_or_none()


def count_meanings(session: Session, model: str) -> int:
    """Count the papers that are embedded with this model."""
    return session.scalars(select(func.count()).where(PaperMeaning.model == model)).one()


def open_generation(session: Session, model: str, paper_count: int) -> bool:
    """Recount all lexemes for the next generation; False where another process holds the lock."""
    if not session.scalar(select(func.pg_try_advisory_xact_lock(_GENERATION_LOCK))):
        return False
    # It reads the whole archive, once for each doubling: a million papers take minutes.
    limit_time(session, _GENERATION_SECONDS)
    newest = get_generation(session)
    number = newest.generation + 1 if newest else 1
    session.execute(delete(LexemeCount))
    session.execute(_COUNT_LEXEMES, {"least": LEAST_COUNT})
    session.add(MeaningGeneration(generation=number, model=model, paper_count=paper_count))
    return True
