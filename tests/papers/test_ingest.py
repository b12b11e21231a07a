"""Ingest from a real server is idempotent: each paper once, in any order, however often."""

import threading
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session
from support.newsletter.stored import changed_tables, count_by_type, read_tables, stored, versions
from support.servers.loopback_http import Request, Response
from support.sources.feeds import Told, render_feed
from support.sources.provider import Provider, morning

from service.deliveries.domain.recipients import Cadence
from service.editions.store.edition_papers import assign_papers, get_edition_papers
from service.editions.store.editions import insert_edition
from service.papers.domain.types import AnnounceType, BatchState
from service.papers.ingest import BatchReport
from service.papers.store.batches import count_announced, find_batch, get_batches
from service.papers.store.read import get_announcements, get_papers, list_papers_announced_on

THURSDAY, FRIDAY, SATURDAY, MONDAY = (date(2026, 9, day) for day in (17, 18, 19, 21))
KINDS = (Told(1), Told(2, "cross"), Told(3, "replace", 2), Told(4, "replace-cross", 3))


def test_a_day_is_stored_and_its_report_counts_the_papers(
    provider: Provider, session: Session
) -> None:
    provider.show(render_feed(FRIDAY, *KINDS), headers={"ETag": '"friday"'})
    reports: list[BatchReport] = []
    (report,) = provider.ingest(morning(FRIDAY), on_batch=reports.append)
    assert reports == [report]
    assert (report.source, report.category, report.announced_on) == ("arxiv", "cs.CL", FRIDAY)
    assert (report.state, report.error, report.bad_count) == (BatchState.COMPLETE, "", 0)
    assert report.counts == {"new": 1, "cross": 1, "replace": 1, "replace-cross": 1}
    assert (report.stored_count, report.updated_count, report.withdrawn_count) == (4, 0, 0)
    (batch,) = get_batches(session, FRIDAY)
    assert (batch.announced_count, batch.etag) == (4, '"friday"')
    assert batch.completed_at == batch.fetched_at == morning(FRIDAY)
    assert count_by_type(session, batch.id) == dict.fromkeys(list(AnnounceType)[:4], 1)
    assert count_announced(session, FRIDAY, ["arxiv"]) == 4
    assert count_announced(session, FRIDAY, ["huggingface"]) == 0


def test_the_words_of_a_day_are_in_the_text_indexes_at_once(
    provider: Provider, session: Session
) -> None:
    provider.show(render_feed(FRIDAY, *KINDS))
    provider.look(FRIDAY)
    gin = "SELECT indexrelid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam"
    indexes = session.scalars(
        text(f"{gin} WHERE amname = 'gin' AND indrelid = 'papers'::regclass")
    ).all()
    assert len(indexes) == 6
    pages = [func.gin_clean_pending_list(index) for index in indexes]
    assert set(session.execute(select(*pages)).one()) == {0}


def test_only_new_and_cross_listed_papers_are_new_to_subscribers(
    provider: Provider, session: Session
) -> None:
    provider.show(render_feed(FRIDAY, *KINDS))
    provider.look(FRIDAY)
    papers = list_papers_announced_on(session, FRIDAY)
    assert {paper.key for paper in papers} == {KINDS[0].key, KINDS[1].key}
    assert stored(session, KINDS[2]).first_announced_on is None
    assert stored(session, KINDS[2]).announced_as is None


def test_a_complete_batch_is_not_fetched_again(provider: Provider) -> None:
    provider.show(render_feed(FRIDAY, *KINDS))
    provider.look(FRIDAY)
    assert provider.ingest(morning(FRIDAY) + timedelta(hours=1)) == []
    assert len(provider.http.requests) == 1


def test_a_second_run_of_the_same_day_changes_nothing(provider: Provider, engine: Engine) -> None:
    provider.show(render_feed(FRIDAY, *KINDS))
    provider.look(FRIDAY)
    before = read_tables(engine)
    (again,) = provider.ingest(morning(FRIDAY), on=FRIDAY)
    assert (again.state, again.stored_count, again.updated_count) == (BatchState.COMPLETE, 0, 0)
    assert changed_tables(before, read_tables(engine)) == set()


def test_a_later_run_of_the_same_day_only_updates_fetched_at(
    provider: Provider, engine: Engine, session: Session
) -> None:
    provider.show(render_feed(FRIDAY, *KINDS))
    provider.look(FRIDAY)
    before = read_tables(engine)
    later = morning(FRIDAY) + timedelta(hours=3)
    provider.ingest(later, on=FRIDAY)
    assert changed_tables(before, read_tables(engine)) == {"batches"}
    (batch,) = get_batches(session, FRIDAY)
    assert (batch.fetched_at, batch.completed_at) == (later, morning(FRIDAY))


def test_a_not_modified_answer_changes_nothing(provider: Provider, engine: Engine) -> None:
    def respond(request: Request) -> Response:
        if request.headers["If-None-Match"] == '"friday"':
            return 304, {}, b""
        return 200, {"ETag": '"friday"'}, render_feed(FRIDAY, *KINDS)

    provider.answer(respond)
    provider.look(FRIDAY)
    before = read_tables(engine)
    (report,) = provider.ingest(morning(FRIDAY) + timedelta(hours=1), on=FRIDAY)
    assert (report.state, report.note, report.error) == (BatchState.COMPLETE, "unchanged", "")
    assert changed_tables(before, read_tables(engine)) == set()
    assert len(provider.http.requests) == 2


@pytest.mark.parametrize("extra", ["", "<item><title>No identifier</title></item>"])
def test_yesterdays_feed_with_todays_date_is_not_stored_as_today(
    provider: Provider, engine: Engine, session: Session, extra: str
) -> None:
    provider.show(render_feed(THURSDAY, *KINDS))
    provider.look(THURSDAY)
    before = read_tables(engine)
    provider.show(render_feed(FRIDAY, *KINDS, extra=extra), headers={"ETag": '"stale"'})
    report = provider.look(FRIDAY)
    assert (report.state, report.counts, report.error) == (BatchState.EXPECTED, {}, "")
    assert report.note == "still the day before"
    assert changed_tables(before, read_tables(engine)) == {"batches"}
    (batch,) = get_batches(session, FRIDAY)
    assert (batch.state, batch.announced_count, batch.etag) == (BatchState.EXPECTED, 0, "")
    provider.show(render_feed(FRIDAY, Told(9)))
    assert provider.look(FRIDAY).state is BatchState.COMPLETE


def test_yesterdays_feed_without_new_papers_is_recognised_by_its_cross_lists(
    provider: Provider, session: Session
) -> None:
    """A small category may have only cross-lists on a day; it announces each of them once."""
    provider.show(render_feed(THURSDAY, *KINDS[1:]))
    provider.look(THURSDAY)
    provider.show(render_feed(FRIDAY, *KINDS[1:]))
    assert provider.look(FRIDAY).state is BatchState.EXPECTED
    provider.show(render_feed(FRIDAY, Told(3, "replace", 3)))
    assert provider.look(FRIDAY).state is BatchState.COMPLETE
    (batch,) = get_batches(session, FRIDAY)
    assert batch.announced_count == 1


def test_a_feed_dated_yesterday_is_stored_as_yesterday(
    provider: Provider, session: Session
) -> None:
    provider.show(render_feed(THURSDAY, *KINDS))
    report = provider.look(FRIDAY)
    assert (report.announced_on, report.state) == (THURSDAY, BatchState.COMPLETE)
    today = find_batch(session, "arxiv", "cs.CL", FRIDAY)
    assert today is not None
    assert today.state is BatchState.EXPECTED
    assert count_announced(session, FRIDAY, ["arxiv"]) == 0


def test_a_day_that_the_feed_no_longer_shows_is_refused(
    provider: Provider, session: Session
) -> None:
    provider.show(render_feed(FRIDAY, *KINDS))
    (report,) = provider.ingest(morning(FRIDAY), on=THURSDAY)
    assert report.error == "it shows 2026-09-18 now, and 2026-09-17 cannot be read from it any more"
    assert (report.announced_on, report.state) == (THURSDAY, BatchState.EXPECTED)
    assert count_announced(session, THURSDAY, ["arxiv"]) == 0


def test_a_feed_from_tomorrow_is_stored_as_today(provider: Provider) -> None:
    provider.show(render_feed(SATURDAY, *KINDS))
    assert provider.look(FRIDAY).announced_on == FRIDAY


def test_a_worse_answer_after_a_complete_day_removes_nothing(
    provider: Provider, engine: Engine, session: Session
) -> None:
    provider.show(render_feed(FRIDAY, *KINDS), headers={"ETag": '"whole"'})
    provider.look(FRIDAY)
    before = read_tables(engine)
    provider.show(render_feed(FRIDAY), headers={"ETag": '"empty"'})
    (report,) = provider.ingest(morning(FRIDAY), on=FRIDAY)
    assert (report.state, report.note) == (BatchState.COMPLETE, "nothing announced yet")
    assert changed_tables(before, read_tables(engine)) == {"batches"}
    (batch,) = get_batches(session, FRIDAY)
    assert (batch.announced_count, batch.completed_at) == (4, morning(FRIDAY))
    # Without an ETag the next request fetches the whole feed again.
    assert (batch.etag, batch.note) == ("", "")


def test_a_weekend_is_complete_without_papers_and_without_an_error(
    provider: Provider, engine: Engine
) -> None:
    provider.show(render_feed(SATURDAY))
    report = provider.look(SATURDAY)
    assert (report.state, report.counts, report.error) == (BatchState.COMPLETE, {}, "")
    assert report.note == "nothing is announced on this day"
    before = read_tables(engine)
    assert provider.ingest(morning(SATURDAY) + timedelta(hours=2)) == []
    assert changed_tables(before, read_tables(engine)) == set()


def test_an_empty_weekday_is_waited_for(provider: Provider) -> None:
    provider.show(render_feed(FRIDAY))
    report = provider.look(FRIDAY)
    assert (report.state, report.note) == (BatchState.EXPECTED, "nothing announced yet")


@pytest.mark.parametrize("categories", [("cs.CL", "cs.LG"), ("cs.LG", "cs.CL")])
def test_a_cross_list_seen_in_two_categories_is_one_new_paper(
    provider: Provider, session: Session, categories: tuple[str, str]
) -> None:
    both = ("cs.CL", "cs.LG")
    provider.show(render_feed(FRIDAY, Told(1, "new", categories=both)))
    provider.show(render_feed(FRIDAY, Told(1, "cross", categories=both)), "cs.LG")
    reports = provider.ingest(morning(FRIDAY), *categories)
    assert [report.category for report in reports] == list(categories)
    assert [report.stored_count for report in reports] == [1, 0]
    (listed,) = list_papers_announced_on(session, FRIDAY)
    paper = get_papers(session, [listed.id])[listed.id]
    assert (paper.announced_as, paper.announced_on) == (AnnounceType.NEW, FRIDAY)
    assert (paper.categories, paper.primary_category) == (both, "cs.CL")
    types = {b.category: a.announce_type for b, a in get_announcements(session, paper.id)}
    assert types == {"cs.CL": AnnounceType.NEW, "cs.LG": AnnounceType.CROSS}
    assert versions(session, paper.id) == [(1, "Paper number 1")]


def test_a_cross_list_days_later_adds_a_category_and_is_not_new_again(
    provider: Provider, session: Session
) -> None:
    provider.show(render_feed(THURSDAY, Told(1)))
    provider.look(THURSDAY)
    provider.show(render_feed(FRIDAY, Told(1, "cross", categories=("cs.CL", "cs.LG"))), "cs.LG")
    provider.ingest(morning(FRIDAY), "cs.LG")
    paper = stored(session, Told(1))
    assert paper.categories == ["cs.CL", "cs.LG"]
    assert (paper.first_announced_on, paper.announced_as) == (THURSDAY, AnnounceType.NEW)
    assert (paper.created_at, paper.updated_at) == (morning(THURSDAY), morning(FRIDAY))


def test_a_replacement_updates_the_paper_and_keeps_the_version_that_was_sent(
    provider: Provider, session: Session
) -> None:
    provider.show(render_feed(THURSDAY, Told(1, title="The first $x$")))
    provider.look(THURSDAY)
    provider.show(render_feed(FRIDAY, Told(1, "replace", 2, title="The second"), Told(2)))
    report = provider.look(FRIDAY)
    assert (report.stored_count, report.updated_count) == (1, 1)
    paper = stored(session, Told(1))
    assert (paper.version, paper.title, paper.title_raw) == (2, "The second", "The second")
    assert (paper.first_announced_on, paper.announced_as) == (THURSDAY, AnnounceType.NEW)
    assert versions(session, paper.id) == [(1, "The first $x$"), (2, "The second")]


def test_an_older_version_never_overwrites_a_newer_one(
    provider: Provider, session: Session
) -> None:
    provider.show(render_feed(FRIDAY, Told(1, "replace", 3, title="The third")))
    provider.show(render_feed(FRIDAY, Told(1, "replace-cross", 2, title="The second")), "cs.LG")
    provider.ingest(morning(FRIDAY), "cs.CL", "cs.LG")
    paper = stored(session, Told(1))
    assert (paper.version, paper.title) == (3, "The third")
    assert [number for number, _ in versions(session, paper.id)] == [2, 3]


def test_a_withdrawn_paper_is_marked_and_is_in_no_edition(
    provider: Provider, session: Session
) -> None:
    provider.show(render_feed(THURSDAY, Told(1), Told(2)))
    provider.look(THURSDAY)
    gone = Told(1, "replace", 2, abstract="This paper has been withdrawn by the authors.")
    provider.show(render_feed(FRIDAY, gone, Told(3)))
    report = provider.look(FRIDAY)
    assert report.withdrawn_count == 1
    assert stored(session, gone).is_withdrawn
    edition = insert_edition(session, Cadence.DAILY, FRIDAY, morning(FRIDAY), sends_now=True)
    assert edition is not None
    assert assign_papers(session, edition, timedelta(days=7)) == 2
    ids = set(get_edition_papers(session, edition.id))
    assert ids == {stored(session, Told(number)).id for number in (2, 3)}


def test_a_withdrawn_paper_that_comes_back_is_no_longer_withdrawn(
    provider: Provider, session: Session
) -> None:
    gone = Told(1, "replace", 2, abstract="This paper has been withdrawn by the authors.")
    provider.show(render_feed(THURSDAY, gone))
    provider.look(THURSDAY)
    provider.show(render_feed(FRIDAY, Told(1, "replace", 3), Told(2)))
    provider.look(FRIDAY)
    assert not stored(session, gone).is_withdrawn


def test_two_processes_that_read_the_same_papers_at_once_store_each_once(
    provider: Provider, session: Session
) -> None:
    """The categories have the same papers in opposite order, which could deadlock two upserts."""
    both = ("cs.CL", "cs.LG")
    papers = [Told(number, categories=both) for number in range(1, 400)]
    provider.show(render_feed(FRIDAY, *papers))
    crossed = [Told(p.number, "cross", categories=both) for p in reversed(papers)]
    provider.show(render_feed(FRIDAY, *crossed), "cs.LG")
    reports: list[BatchReport] = []
    started = [
        threading.Thread(
            target=lambda category=category: reports.extend(
                provider.ingest(morning(FRIDAY), category)
            )
        )
        for category in both
    ]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(timeout=60)
    assert sorted(report.category for report in reports) == sorted(both)
    assert all(report.state is BatchState.COMPLETE for report in reports)
    assert sum(report.stored_count for report in reports) == len(papers)
    announced = list_papers_announced_on(session, FRIDAY)
    assert {paper.announced_as for paper in announced} == {AnnounceType.NEW}
    assert len(announced) == len(papers)


@pytest.mark.slow
def test_the_largest_day_that_arxiv_shows_is_stored_and_waited_for(
    provider: Provider, session: Session
) -> None:
    provider.show(render_feed(FRIDAY, *(Told(number) for number in range(1, 2001))))
    report = provider.look(FRIDAY)
    assert (report.state, report.stored_count) == (BatchState.PARTIAL, 2000)
    (batch,) = get_batches(session, FRIDAY)
    assert (batch.completed_at, batch.etag) == (None, "")
