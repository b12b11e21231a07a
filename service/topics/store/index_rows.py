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
            cast(Paper.title_lexemes, Text),
            cast(Paper.abstract_lexemes, Text),
            func.tsvector_to_array(Paper.title_words),
            func.tsvector_to_array(Paper.abstract_words),
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
            paper_id=paper_id,
            title=parse_tsvector(title),
            abstract=parse_tsvector(abstract),
            authors=tuple(authors),
            categories=frozenset(categories),
            title_words=title_words,
            abstract_words=abstract_words,
            sources=frozenset(sources),
            primary_category=primary,
            trend=trend,
            is_first=paper_id not in revisions,
            is_cross=announced_as is AnnounceType.CROSS,
            is_replaced=paper_id in revisions,
        )
        for (
            paper_id,
            title,
            abstract,
            title_words,
            abstract_words,
            authors,
            categories,
            sources,
            primary,
            trend,
            announced_as,
        ) in rows
    ]
