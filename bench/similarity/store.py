"""The judged papers in the bench's own PostgreSQL, stored and embedded as in the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session, sessionmaker

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.papers.domain.latex.readable import to_readable, to_readable_line
from service.papers.store.models import Paper
from service.platform.database.engine import make_engine, make_sessions, transaction
from service.platform.database.migrate import upgrade
from service.platform.embedded import Embedded
from service.platform.settings.settings import Settings
from service.similarity.domain.vectors import LikeQueryView
from service.similarity.embed_papers import count_lexemes, similar_query
from service.similarity.store.models import PaperMeaning
from service.similarity.store.vectors import get_meanings, score_column
from service.topics.like_queries import load_like_query
from service.topics.store.to_sql import to_sql
from service.topics.topics import validate_topic
from similarity.judged_topics import JudgedPaper

NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
AT_ONCE = 2000


class Stored:
    """The papers as stored rows, and queries on them; arrays are in the order of `identifiers`."""

    def __init__(self, sessions: sessionmaker[Session], settings: Settings) -> None:
        self.sessions = sessions
        self.settings = settings
        with sessions() as session:
            rows = session.execute(select(Paper.id, Paper.identifier).order_by(Paper.id))
            self.ids, self.identifiers = map(list, zip(*rows.tuples(), strict=True))
        self.place = {identifier: n for n, identifier in enumerate(self.identifiers)}
        self._row_of = {paper_id: n for n, paper_id in enumerate(self.ids)}

    def count(self) -> None:
        """Count lexemes, as beat does when there are papers."""
        count_lexemes(self.sessions, self.settings)
        with transaction(self.sessions) as session:
            session.execute(text("ANALYZE"))

    def like(self, clause: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return each paper's score for a `like:` clause, and whether it is found."""
        with self.sessions() as session:
            like_query = load_like_query(session, self.settings, clause)
            scores = self.score(session, like_query)
        return scores, scores >= like_query.threshold

    def similar(self, identifier: str) -> NDArray[np.float64]:
        """Return the scores by which the page of a paper orders similar ones."""
        with self.sessions() as session:
            (paper,) = get_meanings(session, [self.ids[self.place[identifier]]])
            return self.score(session, similar_query(session, paper)[0])

    def score(self, session: Session, like_query: LikeQueryView) -> NDArray[np.float64]:
        rows = session.execute(
            select(PaperMeaning.paper_id, score_column(like_query, PaperMeaning))
        )
        scores = np.zeros(len(self.ids))
        for paper_id, score in rows.tuples():
            scores[self._row_of[paper_id]] = score
        return scores

    def written(self, query: str) -> NDArray[np.bool_]:
        """Return which papers a written topic matches."""
        is_in = np.zeros(len(self.ids), dtype=bool)
        with self.sessions() as session:
            condition = to_sql(validate_topic(session, query))
            found = session.scalars(select(Paper.id).where(condition))
            is_in[[self._row_of[i] for i in found]] = True
        return is_in


@contextmanager
def stored_papers(
    home: Path, papers: dict[str, JudgedPaper], embedder: Literal["minilm", "wordllama", "none"]
) -> Iterator[Stored]:
    with Embedded(home, valkey=False, durable=False) as servers:
        upgrade(servers.database_url)
        engine = make_engine(servers.database_url)
        sessions = make_sessions(engine)
        rows = [_row(paper) for paper in papers.values()]
        with transaction(sessions) as session:
            for start in range(0, len(rows), AT_ONCE):
                session.execute(insert(Paper), rows[start : start + AT_ONCE])
        yield Stored(sessions, Settings(data_dir=home, embedder=embedder))
        engine.dispose()


def _row(paper: JudgedPaper) -> dict[str, object]:
    return {
        "key": f"arxiv:{paper.identifier}",
        "source": "arxiv",
        "identifier": paper.identifier,
        "version": 1,
        "title": to_readable_line(paper.title),
        "title_raw": paper.title,
        "abstract": to_readable(paper.abstract),
        "abstract_raw": paper.abstract,
        "authors": [],
        "author_keys": [],
        "categories": list(paper.categories),
        "first_announced_on": NOW.date(),
        "created_at": NOW,
        "updated_at": NOW,
    }
