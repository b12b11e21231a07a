"""One set of papers matched twice: by Postgres, and in memory as in the service."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session

from service.papers.domain.author_keys import author_index_keys
from service.papers.domain.categories import canonical_category
from service.papers.domain.tsvector import Lexemes
from service.papers.domain.types import AnnounceType
from service.papers.store.models import Paper
from service.topics.domain.language import Query, canonical, leaf_texts
from service.topics.domain.matching.bitsets import PaperSet, list_bits
from service.topics.domain.matching.bulk import TopicSets
from service.topics.domain.matching.clause_index import IndexedPaper
from service.topics.domain.matching.paper_index import PaperIndex
from service.topics.store.index_rows import index_papers
from service.topics.store.read_compiled import get_stored_clauses, get_stored_topics
from service.topics.store.save_compiled import save_compiled_topics
from service.topics.store.to_sql import fetch_lexemes, to_sql

NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The properties of a paper's announcement, which are not in its text."""

    sources: tuple[str, ...] = ("test",)
    trend: float = 50.0
    primary_category: str = ""
    announced_as: AnnounceType | None = AnnounceType.NEW
    is_replaced: bool = False


Draft = tuple[str, str, Sequence[str], Sequence[str], Circumstances]


# Every third and every fourth paper, by its id: what really decides is tested with the meanings.
LIKES = {'like:"soft prompts"': (3, 1), "like:arxiv:2507.17189": (4, 1)}


def store_papers(session: Session, drafts: Iterable[Draft]) -> list[IndexedPaper]:
    """Store only these papers, and read them back as the edition index does."""
    session.execute(text("TRUNCATE papers CASCADE"))
    rows = [_row(number, draft) for number, draft in enumerate(drafts)]
    ids = session.scalars(insert(Paper).returning(Paper.id), rows).all()
    return [
        replace(
            paper,
            is_first=row["first_announced_on"] is not None,
            is_replaced=row["replaced_on"] is not None,
        )
        for paper, row in zip(index_papers(session, ids), rows, strict=True)
    ]


def _row(number: int, draft: Draft) -> dict[str, Any]:
    title, abstract, authors, categories, came = draft
    keys = {key for name in authors for key in author_index_keys(name)}
    return {
        "key": f"test:{number}",
        "source": "test",
        "sources": list(came.sources),
        "trend": came.trend,
        "primary_category": canonical_category(came.primary_category or "cs.CL")
        if came.primary_category
        else "",
        "announced_as": came.announced_as,
        "first_announced_on": NOW.date() if came.announced_as else None,
        "replaced_on": NOW.date() if came.is_replaced else None,
        "identifier": str(number),
        "version": 1,
        "title": title,
        "title_raw": title,
        "abstract": abstract,
        "abstract_raw": abstract,
        "authors": list(authors),
        "author_keys": sorted(keys),
        "categories": sorted({canonical_category(code) for code in categories}),
        "created_at": NOW,
        "updated_at": NOW,
    }


class Memory:
    """Papers in an edition index, matched by texts and by compiled topics."""

    def __init__(self, papers: Sequence[IndexedPaper]) -> None:
        likes = {
            clause: sum(1 << at for at, paper in enumerate(papers) if paper.paper_id % by < rest)
            for clause, (by, rest) in _likes()
        }
        self._lexicon: dict[str, Lexemes] = {}
        self._index = PaperIndex(papers, self._lexicon, likes)
        # Without a lexicon: what is found here, is found by the forms alone.
        self._sets = TopicSets(PaperIndex(papers, {}, likes))

    def find_pairs(self, session: Session, topics: Sequence[Query]) -> set[tuple[int, int]]:
        leaves = {leaf for query in topics for leaf in leaf_texts(query)}
        self._lexicon.update(fetch_lexemes(session, leaves - self._lexicon.keys()))
        found = [self._index.find(canonical(query)) for query in topics]
        assert self._find_stored(session, topics) == found
        ids = self._index.ids
        return {(number, ids[at]) for number, bits in enumerate(found) for at in list_bits(bits)}

    def _find_stored(self, session: Session, topics: Sequence[Query]) -> list[PaperSet]:
        """Return the matches of composing: by the compiled topics stored when the topics were saved."""
        texts, sets = [canonical(query) for query in topics], self._sets
        numbers = save_compiled_topics(session, texts)
        stored = get_stored_topics(session, numbers.values())
        clauses = get_stored_clauses(session, sets.lacking(stored))
        clauses += get_stored_clauses(session, sets.lacking_inside(clauses))
        sets.learn(clauses)
        found = {
            text: bits
            for some in stored
            for text, bits in zip(some.texts, sets.find_all(some), strict=True)
        }
        return [found[text] for text in texts]


def _likes() -> list[tuple[str, tuple[int, int]]]:
    return [(clause, (by, rest)) for clause, (by, rest) in LIKES.items()]


def pairs_in_postgres(session: Session, topics: Sequence[Query]) -> set[tuple[int, int]]:
    return {
        (topic, paper)
        for topic, query in enumerate(topics)
        for paper in session.scalars(
            select(Paper.id).where(
                to_sql(
                    query, likes={clause: Paper.id % by < rest for clause, (by, rest) in _likes()}
                )
            )
        )
    }


SWITCHES = [
    *([""] * 5),
    *("cross:no", "new:no", "replaced:", "replaced:only", "cross:only", "replaced: new:no"),
]
