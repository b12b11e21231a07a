"""Load papers into the form that matching needs."""

from collections.abc import Collection, Sequence

from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import Session

from service.papers.domain.tsvector import parse_tsvector
from service.papers.domain.types import AnnounceType
from service.papers.store.models import Paper
from service.platform.database.text_formats import is_among
from service.topics.domain.matching.clause_index import IndexedPaper


def index_papers(
    session: Session, ids: Sequence[int], revisions: Collection[int] = ()
) -> list[IndexedPaper]:
    """Return the papers with the lexemes and positions that Postgres computed, in order of id.

    Papers among `revisions` were announced with a newer version, so they do not count as new.
    """
    rows = session.execute(
        select(
            Paper.id,
            cast(Paper.title_lexemes, Text).label("title"),
            cast(Paper.abstract_lexemes, Text).label("abstract"),
            func.tsvector_to_array(Paper.title_words).label("title_words"),
            func.tsvector_to_array(Paper.abstract_words).label("abstract_words"),
            Paper.authors,
            Paper.categories,
            Paper.sources,
            Paper.primary_category,
            Paper.trend,
            Paper.announced_as,
        )
        .where(is_among(Paper.id, ids))
        .order_by(Paper.id)
    )
    return [
        IndexedPaper(
            paper_id=row.id,
            title=parse_tsvector(row.title),
            abstract=parse_tsvector(row.abstract),
            authors=tuple(row.authors),
            categories=frozenset(row.categories),
            title_words=row.title_words,
            abstract_words=row.abstract_words,
            sources=frozenset(row.sources),
            primary_category=row.primary_category,
            trend=row.trend,
            is_first=row.id not in revisions,
            is_cross=row.announced_as is AnnounceType.CROSS,
            is_replaced=row.id in revisions,
        )
        for row in rows
    ]
