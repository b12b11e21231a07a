"""Stored papers are read as they were announced, newest first."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select, true
from sqlalchemy.orm import Session
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers, upvoted

from service.papers.domain.types import AnnounceType
from service.papers.store.models import Paper
from service.papers.store.read import (
    count_by_day,
    find_paper,
    find_papers,
    get_papers,
    latest_day,
    list_papers_announced_on,
)
from service.papers.store.upsert import upsert_papers

NOW = datetime(2026, 9, 18, 4, 0, tzinfo=UTC)


def test_storing_no_papers_stores_nothing(session: Session) -> None:
    stored = upsert_papers(session, [], NOW)
    assert (stored.ids, stored.inserted, stored.updated) == ({}, frozenset(), frozenset())
    assert store_papers(session, []) == {}
    assert session.scalars(select(Paper.id)).all() == []
    assert get_papers(session, []) == {}
    assert find_paper(session, "arxiv:2609.00001") is None


def test_a_stored_paper_is_read_as_it_was_announced(session: Session) -> None:
    draft = make_announcement(
        1, "Deep parsing", comment="9 pages", signals=upvoted(4, "https://x.y")
    )
    ids = store_papers(session, [draft])
    paper = find_paper(session, draft.key)
    assert paper is not None
    assert (paper.id, paper.key) == (ids[draft.key], draft.key)
    assert (paper.identifier, paper.title) == (draft.identifier, draft.title)
    assert (paper.abstract, paper.authors) == (draft.abstract, draft.authors)
    assert (paper.comment, paper.version, paper.is_withdrawn) == ("9 pages", 1, False)
    assert (paper.upvotes, paper.github_url) == (4, "https://x.y")
    assert get_papers(session, [paper.id, 4711]) == {paper.id: paper}


def test_a_paper_never_announced_as_new_reads_as_a_replacement(session: Session) -> None:
    draft = make_announcement(1, "Old", announce_type=AnnounceType.REPLACE, version=2)
    store_papers(session, [draft])
    paper = find_paper(session, draft.key)
    assert paper is not None
    assert (paper.announced_as, paper.announced_on) == (AnnounceType.REPLACE, FRIDAY)
    assert list_papers_announced_on(session, FRIDAY) == []
    assert find_papers(session, true(), (date(2020, 1, 1), FRIDAY), 10) == []


def test_papers_are_found_newest_first_and_counted_by_day(session: Session) -> None:
    for on, numbers in ((THURSDAY, (1, 2)), (FRIDAY, (3, 4, 5))):
        store_papers(session, [make_announcement(n, f"Number {n}") for n in numbers], on)
    found = find_papers(session, true(), (THURSDAY, FRIDAY), 4)
    assert [paper.identifier[-1] for paper in found] == ["5", "4", "3", "2"]
    assert len(find_papers(session, true(), (FRIDAY, FRIDAY), 10)) == 3
    assert len(find_papers(session, true(), (THURSDAY, THURSDAY), 10)) == 2
    both = (THURSDAY, FRIDAY)
    assert count_by_day(session, true(), both) == {THURSDAY: 2, FRIDAY: 3}
    assert count_by_day(session, Paper.title == "Number 1", both) == {THURSDAY: 1}
    assert latest_day(session, FRIDAY + timedelta(days=9)) == FRIDAY
    assert latest_day(session, FRIDAY - timedelta(days=1)) == THURSDAY
    assert latest_day(session, date(2020, 1, 1)) is None
