"""Papers in and out of Postgres, and the batches they came in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine, select, true
from sqlalchemy.orm import Session
from support.newsletter.stored import read_tables
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers, upvoted

from service.papers.domain.types import Announcement, AnnounceType, BatchState
from service.papers.store.batches import (
    batch_statuses,
    count_by_type,
    count_repeated,
    find_batch,
    get_batches,
    open_batch,
)
from service.papers.store.models import PaperRow
from service.papers.store.read import (
    count_by_day,
    find_paper,
    find_papers,
    get_papers,
    latest_day,
    list_papers_announced_on,
)
from service.papers.store.upsert import record_first_announcement, upsert_papers
from service.topics.store.index_rows import index_papers

NOW = datetime(2026, 9, 18, 4, 0, tzinfo=UTC)


def test_nothing_to_store_is_nothing_stored(session: Session) -> None:
    stored = upsert_papers(session, [], NOW)
    assert (stored.ids, stored.inserted, stored.updated) == ({}, frozenset(), frozenset())
    assert store_papers(session, []) == {}
    assert session.scalars(select(PaperRow.id)).all() == []
    assert get_papers(session, []) == {}
    assert find_paper(session, "arxiv:2609.00001") is None


def test_a_stored_paper_comes_back_as_it_was_told(session: Session) -> None:
    told = make_announcement(
        1, "Deep parsing", comment="9 pages", signals=upvoted(4, "https://x.y")
    )
    ids = store_papers(session, [told])
    paper = find_paper(session, told.key)
    assert paper is not None
    assert (paper.id, paper.key, paper.identifier) == (ids[told.key], told.key, told.identifier)
    assert (paper.title, paper.abstract, paper.authors) == (told.title, told.abstract, told.authors)
    assert (paper.comment, paper.version, paper.is_withdrawn) == ("9 pages", 1, False)
    assert (paper.upvotes, paper.github_url) == (4, "https://x.y")
    assert get_papers(session, [paper.id, 4711]) == {paper.id: paper}


def test_a_paper_never_announced_as_new_reads_as_a_replacement(session: Session) -> None:
    told = make_announcement(1, "Old", announce_type=AnnounceType.REPLACE, version=2)
    store_papers(session, [told])
    paper = find_paper(session, told.key)
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
    assert count_by_day(session, PaperRow.title == "Number 1", both) == {THURSDAY: 1}
    assert latest_day(session, FRIDAY + timedelta(days=9)) == FRIDAY
    assert latest_day(session, FRIDAY - timedelta(days=1)) == THURSDAY
    assert latest_day(session, date(2020, 1, 1)) is None


def test_the_index_of_a_paper_holds_the_lexemes_of_postgres(session: Session) -> None:
    ids = store_papers(session, [make_announcement(1, "Parsing parsers")])
    (indexed,) = index_papers(session, list(ids.values()))
    assert indexed.paper_id == ids["arxiv:2609.00001"]
    assert indexed.categories == frozenset({"cs.CL"})
    assert indexed.authors == ("Ada Lovelace", "Grace Hopper")
    assert set(indexed.title) == {"pars", "parser"}


def test_a_first_announcement_stays_and_its_day_may_raise_it_to_new(session: Session) -> None:
    told = make_announcement(1, "Crossed", announce_type=AnnounceType.CROSS)
    (number,) = store_papers(session, [told]).values()

    def announce(kind: AnnounceType, on: date) -> tuple[AnnounceType | None, date | None]:
        record_first_announcement(session, [number], kind, on, NOW + timedelta(hours=9))
        row = session.execute(
            select(PaperRow).execution_options(populate_existing=True)
        ).scalar_one()
        assert row.first_announced_at == NOW
        return row.announced_as, row.first_announced_on

    assert announce(AnnounceType.NEW, FRIDAY + timedelta(days=1)) == (AnnounceType.CROSS, FRIDAY)
    assert announce(AnnounceType.LISTED, FRIDAY) == (AnnounceType.CROSS, FRIDAY)
    assert announce(AnnounceType.NEW, FRIDAY) == (AnnounceType.NEW, FRIDAY)
    assert announce(AnnounceType.CROSS, FRIDAY) == (AnnounceType.NEW, FRIDAY)


def test_a_batch_is_opened_once_and_found_by_its_name(session: Session) -> None:
    assert find_batch(session, "arxiv", "cs.CL", FRIDAY) is None
    first = open_batch(session, "arxiv", "cs.CL", FRIDAY, NOW)
    again = open_batch(session, "arxiv", "cs.CL", FRIDAY, NOW + timedelta(hours=1))
    assert (first.id, again.created_at, again.state) == (again.id, NOW, BatchState.EXPECTED)
    open_batch(session, "arxiv", "cs.AI", FRIDAY, NOW)
    open_batch(session, "huggingface", "", FRIDAY, NOW)
    open_batch(session, "arxiv", "cs.AI", THURSDAY, NOW)
    assert [b.category for b in get_batches(session, FRIDAY)] == ["cs.AI", "cs.CL", ""]
    statuses = batch_statuses(session, FRIDAY, ["arxiv"])
    assert [(s.source, s.category, s.state) for s in statuses] == [
        ("arxiv", "cs.AI", BatchState.EXPECTED),
        ("arxiv", "cs.CL", BatchState.EXPECTED),
    ]


def test_a_repetition_is_of_the_same_category_type_and_version_on_an_earlier_day(
    session: Session,
) -> None:
    new = make_announcement(1, "New")
    replaced = make_announcement(2, "Old", announce_type=AnnounceType.REPLACE, version=2)
    store_papers(session, [new, replaced], THURSDAY)

    def repeated(*told: Announcement, category: str = "cs.CL", on: date = FRIDAY) -> int:
        return count_repeated(session, "arxiv", category, on, told)

    assert repeated(new, replaced) == 2
    assert repeated() == 0
    assert repeated(make_announcement(3, "Another")) == 0
    assert repeated(make_announcement(2, "Old", announce_type=AnnounceType.REPLACE, version=3)) == 0
    assert repeated(make_announcement(1, "New", announce_type=AnnounceType.CROSS)) == 0
    assert repeated(new, category="cs.LG") == 0
    assert repeated(new, on=THURSDAY) == 0


def test_a_paper_told_again_in_its_batch_keeps_its_row(session: Session, engine: Engine) -> None:
    cross = make_announcement(1, "Crossed", announce_type=AnnounceType.CROSS)
    store_papers(session, [cross])
    before = read_tables(engine)["announcements"]
    store_papers(session, [cross])
    assert read_tables(engine)["announcements"] == before
    store_papers(session, [make_announcement(1, "Crossed")])
    (batch,) = get_batches(session, FRIDAY)
    assert count_by_type(session, batch.id) == {AnnounceType.NEW: 1}
