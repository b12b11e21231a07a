from datetime import UTC, date, datetime

import httpx2
import pytest
from sqlalchemy.orm import Session
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers, upvoted

from service.deliveries.store.demo_mark import mark_demo
from service.papers.domain.types import AnnounceType, BatchState
from service.papers.store.batches import open_batch


def test_the_front_page_shows_the_latest_day_with_the_most_upvoted_paper_first(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "An Older Paper")], on=THURSDAY)
    announcements = [
        make_announcement(2, "A Quiet Paper"),
        make_announcement(3, "A Loud Paper", signals=upvoted(31)),
    ]
    store_papers(session, announcements)
    page = web.get("/").text
    assert "Friday 18 September 2026" in page
    assert page.index("A Loud Paper") < page.index("A Quiet Paper")
    assert "An Older Paper" not in page
    assert 'href="/daily/2026-09-17"' in page


def test_the_dateline_says_that_all_announced_papers_were_checked(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "One"), make_announcement(2, "Two")])
    assert '<p class="whole">2 of 2 announced papers checked</p>' in web.get("/").text
    assert "<p>2 of 2 announced papers checked</p>" in web.get("/status").text


def test_the_dateline_says_so_while_the_papers_are_the_samples(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "One")])
    assert "Sample papers" not in web.get("/").text
    assert mark_demo(session, has_sample_papers=True)
    session.commit()
    for path in ("/", "/daily/2026-09-18"):
        assert "<p>Sample papers, all of them invented</p>" in web.get(path).text


def test_the_dateline_names_the_categories_that_are_still_to_come(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "One")])
    store_papers(session, [], category="cs.CV", state=BatchState.EXPECTED)
    page = web.get("/").text
    coverage = "1 paper checked so far. Not complete yet: cs.CV."
    assert f'<p class="partly">{coverage}</p>' in page


def test_a_field_tab_shows_only_papers_of_that_field(web: httpx2.Client, session: Session) -> None:
    seen = make_announcement(1, "A Picture", categories=("cs.CV",), primary_category="cs.CV")
    store_papers(session, [seen, make_announcement(2, "A Sentence")])
    page = web.get("/", params={"field": "cs.CV"}).text
    assert "A Picture" in page
    assert "A Sentence" not in page
    assert '<a href="/?field=cs.CV" aria-current="page"' in page


def test_an_unknown_field_is_a_404_page(web: httpx2.Client) -> None:
    answer = web.get("/", params={"field": "cs.NOPE"})
    assert answer.status_code == 404
    assert "There is no such field" in answer.text


def test_a_cross_listed_paper_shows_its_primary_category(
    web: httpx2.Client, session: Session
) -> None:
    guest = make_announcement(
        1,
        "A Guest",
        announce_type=AnnounceType.CROSS,
        categories=("cs.CL", "physics.ao-ph"),
        primary_category="physics.ao-ph",
    )
    store_papers(session, [guest])
    assert "cross-listed from physics.ao-ph" in web.get("/").text


def test_a_title_with_markup_is_shown_as_text(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "When a<b & <script>alert(1)</script>")])
    page = web.get("/").text
    assert "When a&lt;b &amp; &lt;script&gt;" in page
    assert "<script>" not in page


def test_a_long_day_is_paginated_with_continuous_ranks(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(n, f"Paper number {n}") for n in range(1, 46)])
    first = web.get("/").text
    assert "Page 1 of 2" in first
    assert first.count("<article>") == 40
    second = web.get("/", params={"page": "2"}).text
    assert second.count("<article>") == 5
    assert '<ol class="papers" start="41">' in second
    assert web.get("/", params={"page": "²; drop"}).text.count("<article>") == 40


def test_an_empty_installation_shows_the_sign_up_form(web: httpx2.Client) -> None:
    answer = web.get("/")
    assert answer.status_code == 200
    assert "not announced yet" in answer.text
    assert 'action="/subscribe"' in answer.text


def test_a_day_shows_its_papers_and_links_to_the_previous_and_next_day(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "Wednesday Work")], on=date(2026, 9, 16))
    store_papers(session, [make_announcement(2, "Thursday Thought")], on=THURSDAY)
    store_papers(session, [make_announcement(3, "Friday Find")], on=FRIDAY)
    page = web.get("/daily/2026-09-17").text
    assert "Thursday Thought" in page
    assert "Friday Find" not in page
    assert '<a rel="prev" href="/daily/2026-09-16">' in page
    assert '<a rel="next" href="/daily/2026-09-18">' in page


def test_a_weekend_says_that_nothing_is_announced(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Friday Find")], on=date(2026, 9, 11))
    answer = web.get("/daily/2026-09-12")
    assert answer.status_code == 200
    assert "Have a good weekend" in answer.text
    assert 'href="/daily/2026-09-11">Friday 11 September 2026</a>' in answer.text
    assert '<a rel="next" href="/daily/2026-09-14">' in answer.text


def test_a_day_without_announcements_claims_no_coverage(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [], on=date(2026, 9, 12))
    assert "checked" not in web.get("/daily/2026-09-12").text


def test_a_working_day_without_papers_says_why(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Monday Matter")], on=date(2026, 9, 14))
    store_papers(session, [make_announcement(2, "Friday Find")])
    batch = open_batch(session, "huggingface", "", THURSDAY, datetime(2026, 9, 17, 4, tzinfo=UTC))
    batch.state = BatchState.COMPLETE
    session.commit()
    for path, text in (
        ("/daily/2026-09-10", "The first papers here are from Monday 14 September 2026."),
        ("/daily/2026-09-16", "Nothing was read on this day: no source was asked for papers."),
        ("/daily/2026-09-17", "No papers were announced on this day."),
        ("/weekly/2026-W30", "The first papers here are from Monday 14 September 2026."),
        ("/monthly/2026-08", "The first papers here are from Monday 14 September 2026."),
    ):
        answer = web.get(path)
        assert (answer.status_code, text in answer.text) == (200, True), path
        assert '<meta name="robots" content="noindex">' in answer.text
    assert "No papers were announced or read in this week." not in web.get("/weekly/2026-W38").text


def test_a_holiday_in_the_calendar_of_arxiv_is_named(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Friday Find")], on=date(2026, 9, 4))
    text = "No papers were read on this day, a holiday in arXiv’s calendar."
    assert text in web.get("/daily/2026-09-07").text
    assert (
        'aria-label="Monday 7 September 2026: holiday in arXiv’s calendar"'
        in web.get("/calendar/2026-09").text
    )


def test_a_field_without_papers_says_so_although_the_day_has_some(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "One")])
    page = web.get("/daily/2026-09-18", params={"field": "math.AG"}).text
    assert "Nothing was announced in this field on this day." in page


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/daily/2026-09-21", "Monday 21 September 2026 has not come yet"),
        ("/weekly/2026-W39", "Week 39, 21 – 27 September 2026 has not come yet"),
        ("/monthly/2026-10", "October 2026 has not come yet"),
        ("/calendar/2026-10", "October 2026 has not come yet"),
        ("/daily/2026-02-30", "Days are written like 2026-04-21."),
        ("/daily/20260918", "Days are written like 2026-04-21."),
        ("/daily/yesterday", "Days are written like 2026-04-21."),
        ("/weekly/2025-W53", "Weeks are written like 2026-W17, and a year has 52 or 53."),
        ("/weekly/2026-W38-5", "Weeks are written like 2026-W17"),
        ("/monthly/2026-9", "Months are written like 2026-04."),
        ("/monthly/1990-12", "Months are written like 2026-04."),
        ("/calendar/2026-13", "Months are written like 2026-04."),
        ("/?sort=best", "Orders are trend, newest, relevance, votes."),
    ],
)
def test_future_and_malformed_periods_are_404_pages(
    web: httpx2.Client, path: str, text: str
) -> None:
    answer = web.get(path)
    assert answer.status_code == 404
    assert text in answer.text


def test_the_order_is_newest_until_a_paper_has_upvotes(
    web: httpx2.Client, session: Session
) -> None:
    current = '<a href="/?sort={}" aria-current="true">'
    store_papers(session, [make_announcement(1, "A paper")], on=THURSDAY)
    assert current.format("newest") in web.get("/").text
    store_papers(session, [make_announcement(2, "A paper", signals=upvoted(3))])
    page = web.get("/").text
    assert (current.format("trend") in page, current.format("newest") in page) == (True, False)
