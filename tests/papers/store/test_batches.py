"""Batches are opened once, and repeated announcements are counted."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.stored import count_by_type, read_tables
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers

from service.papers.domain.types import AnnounceType, BatchState, ParsedAnnouncement
from service.papers.store.batches import (
    batch_statuses,
    count_repeated,
    find_batch,
    get_batches,
    open_batch,
)

NOW = datetime(2026, 9, 18, 4, 0, tzinfo=UTC)


def test_a_batch_is_opened_once_and_found_by_its_name(session: Session) -> None:
    assert find_batch(session, "arxiv", "cs.CL", FRIDAY) is None
    first = open_batch(session, "arxiv", "cs.CL", FRIDAY, NOW)
    again = open_batch(session, "arxiv", "cs.CL", FRIDAY, NOW + timedelta(hours=1))
    assert (first.id, again.created_at, again.state) == (again.id, NOW, BatchState.EXPECTED)
    open_batch(session, "arxiv", "cs.AI", FRIDAY, NOW)
    open_batch(session, "huggingface", "", FRIDAY, NOW)
    open_batch(session, "arxiv", "cs.AI", THURSDAY, NOW)
    assert [b.category for b in get_batches(session, FRIDAY)] == ["cs.AI", "cs.CL", ""]
    statuses = batch_statuses(get_batches(session, FRIDAY))
    assert [(s.source, s.category, s.state) for s in statuses] == [
        ("arxiv", "cs.AI", BatchState.EXPECTED),
        ("arxiv", "cs.CL", BatchState.EXPECTED),
        ("huggingface", "", BatchState.EXPECTED),
    ]


def test_a_repetition_is_of_the_same_category_type_and_version_on_an_earlier_day(
    session: Session,
) -> None:
    new = make_announcement(1, "New")
    replaced = make_announcement(2, "Old", announce_type=AnnounceType.REPLACE, version=2)
    store_papers(session, [new, replaced], THURSDAY)

    def repeated(*papers: ParsedAnnouncement, category: str = "cs.CL", on: date = FRIDAY) -> int:
        return count_repeated(session, "arxiv", category, on, papers)

    assert repeated(new, replaced) == 2
    assert repeated() == 0
    assert repeated(make_announcement(3, "Another")) == 0
    assert repeated(make_announcement(2, "Old", announce_type=AnnounceType.REPLACE, version=3)) == 0
    assert repeated(make_announcement(1, "New", announce_type=AnnounceType.CROSS)) == 0
    assert repeated(new, category="cs.LG") == 0
    assert repeated(new, on=THURSDAY) == 0


def test_a_repeated_announcement_in_a_batch_keeps_its_row(session: Session, engine: Engine) -> None:
    cross = make_announcement(1, "Crossed", announce_type=AnnounceType.CROSS)
    store_papers(session, [cross])
    before = read_tables(engine)["announcements"]
    store_papers(session, [cross])
    assert read_tables(engine)["announcements"] == before
    store_papers(session, [make_announcement(1, "Crossed")])
    (batch,) = get_batches(session, FRIDAY)
    assert count_by_type(session, batch.id) == {AnnounceType.NEW: 1}
