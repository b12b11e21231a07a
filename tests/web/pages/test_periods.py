"""The pages of a week and of a month, and their orders."""

import re
from datetime import date

import httpx2
from sqlalchemy.orm import Session
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers, upvoted

MONDAY = date(2026, 9, 14)


def titles(page: str) -> list[str]:
    return re.findall(r'<h2 dir="auto"><a href="[^"]+">([^<]+)', page)


def store_week(session: Session) -> None:
    store_papers(session, [make_announcement(1, "August Art")], on=date(2026, 8, 31))
    store_papers(session, [make_announcement(2, "Monday Matter")], on=MONDAY)
    store_papers(
        session, [make_announcement(3, "Thursday Thought", signals=upvoted(9))], on=THURSDAY
    )
    seen = make_announcement(4, "Friday Figure", categories=("cs.CV",), primary_category="cs.CV")
    store_papers(session, [seen])


def test_a_week_lists_its_papers_and_links_to_its_days_and_neighbours(
    web: httpx2.Client, session: Session
) -> None:
    store_week(session)
    page = web.get("/weekly/2026-W38").text
    assert "<h1>Week 38, 14 – 20 September 2026</h1>" in page
    assert titles(page) == ["Thursday Thought", "Friday Figure", "Monday Matter"]
    assert "<p>3 papers</p>" in page
    assert '<a rel="prev" href="/weekly/2026-W37">' in page
    assert 'rel="next"' not in page
    assert '<a href="/daily/2026-09-17" aria-label="Thursday 17 September 2026: 1 paper">' in page
    assert 'aria-label="Wednesday 16 September 2026: not read"' in page
    assert '–</b><span class="unseen">, not yet</span>' in page
    for path in ("/monthly/2026-09", "/calendar/2026-09"):
        assert f'href="{path}"' in page
        assert web.get(path).status_code == 200


def test_a_month_lists_its_papers_and_counts_those_of_its_weeks(
    web: httpx2.Client, session: Session
) -> None:
    store_week(session)
    page = web.get("/monthly/2026-09", params={"sort": "newest"}).text
    assert "<h1>September 2026</h1>" in page
    assert titles(page) == ["Friday Figure", "Thursday Thought", "Monday Matter"]
    # The week has one paper, which is of August.
    assert 'aria-label="Week 36, 31 August – 6 September 2026: no papers"' in page
    assert 'aria-label="Week 38, 14 – 20 September 2026: 3 papers"' in page
    assert '<a rel="prev" href="/monthly/2026-08">' in page
    assert titles(web.get("/monthly/2026-08").text) == ["August Art"]


def test_fields_and_orders_keep_each_other_and_pages_keep_both(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(n, f"Paper {n}") for n in range(1, 90)], on=MONDAY)
    asked = {"field": "cs.CL", "sort": "newest", "page": "2"}
    page = web.get("/weekly/2026-W38", params=asked).text
    assert titles(page)[0] == "Paper 49"
    assert "Page 2 of 3" in page
    assert 'href="/weekly/2026-W38?field=cs.CV&amp;sort=newest"' in page
    assert 'href="/weekly/2026-W38?field=cs.CL&amp;sort=trend"' in page
    assert '<a rel="next" href="/weekly/2026-W38?field=cs.CL&amp;sort=newest&amp;page=3">' in page
    last = web.get("/weekly/2026-W38", params={**asked, "page": "900"}).text
    assert "Page 3 of 3" in last
    assert titles(last)[-1] == "Paper 1"
    empty = web.get("/weekly/2026-W38", params={"field": "math.AG"}).text
    assert "Nothing was announced in this field in this week." in empty


def test_each_order_says_why_and_each_paper_its_place(web: httpx2.Client, session: Session) -> None:
    store_week(session)
    trend = web.get("/weekly/2026-W38", params={"sort": "trend"}).text
    assert "one counts half after 12 hours" in trend
    assert trend.count("<span>trend 50</span>") == 1
    newest = web.get("/weekly/2026-W38", params={"sort": "newest"}).text
    assert "Upvotes count nothing." in newest
    assert "<span>trend" not in newest
    unvoted = web.get("/daily/2026-09-18", params={"sort": "trend"}).text
    assert "None of these papers has an upvote yet." in unvoted


def test_relevance_counts_words_in_title_and_abstract(web: httpx2.Client, session: Session) -> None:
    quiet = make_announcement(1, "Fish", abstract="We study cats.")
    loud = make_announcement(2, "Cats", abstract="We study dogs.", signals=upvoted(9))
    best = make_announcement(3, "Cats and dogs", abstract="We study both.")
    store_papers(session, [quiet, loud, best, make_announcement(4, "Birds")])
    asked = {"q": 'cats OR dogs OR cats -"no such words"'}
    page = web.get("/weekly/2026-W38", params=asked).text
    # 2 for the match, 4 for each clause in the title, else 2 in the abstract.
    scores = re.findall(r"<span>(relevance \d+)</span>", page)
    assert scores == ["relevance 10", "relevance 8", "relevance 4"]
    assert "<mark>dogs</mark>" in page
    assert "3 papers match" in page
    by_trend = web.get("/weekly/2026-W38", params={**asked, "sort": "trend"}).text
    assert by_trend.index("/papers/arxiv:2609.00002") < by_trend.index("/papers/arxiv:2609.00003")
    assert "/papers/arxiv:2609.00004" not in by_trend
    nothing = web.get("/daily/2026-09-18", params={"q": "zebrafish"}).text
    assert "No papers of this day match." in nothing


def test_relevance_without_words_asks_for_them_and_a_wrong_topic_says_where(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "Cats")], on=FRIDAY)
    page = web.get("/", params={"sort": "relevance"}).text
    assert "Relevant to what?" in page
    assert titles(page) == ["Cats"]
    wrong = web.get("/monthly/2026-09", params={"q": "cats OR )"})
    assert wrong.status_code == 422
    assert 'role="alert"' in wrong.text
    assert titles(wrong.text) == []


def test_the_calendar_counts_each_day_and_says_why_a_day_is_empty(
    web: httpx2.Client, session: Session
) -> None:
    store_week(session)
    page = web.get("/calendar").text
    assert "<h1>September 2026</h1>" in page
    for label in (
        "Monday 14 September 2026: 1 paper",
        "Saturday 12 September 2026: weekend",
        "Wednesday 16 September 2026: not read",
        "Week 38, 14 – 20 September 2026: 3 papers",
        "August 2026: 1 paper",
    ):
        assert f'aria-label="{label}"' in page
    assert 'href="/daily/2026-09-19"' not in page
    assert '<span class="unseen">not yet</span>' in page
    august = web.get("/calendar/2026-08").text
    assert '<span class="unseen">before the first paper</span>' in august
    assert '<a rel="next" href="/calendar/2026-09">' in august
    assert 'rel="prev"' not in august
    old = web.get("/calendar/1999-05")
    assert "The first papers here are from" in old.text
    assert 'href="/daily/2026-08-31"' in old.text


def test_an_empty_installation_has_a_calendar(web: httpx2.Client) -> None:
    assert "No papers have been read yet." in web.get("/calendar").text
    assert "No papers were announced or read yet." in web.get("/monthly/2026-09").text


def test_the_weekly_feed_has_whole_weeks_and_is_not_sent_twice(
    web: httpx2.Client, session: Session
) -> None:
    store_week(session)
    store_papers(session, [make_announcement(5, "Earlier Essay")], on=date(2026, 9, 9))
    answer = web.get("/feeds/weekly.atom")
    assert "Week 37, 7 – 13 September 2026: 1 new paper</title>" in answer.text
    assert "Earlier Essay" in answer.text
    assert "Week 38" not in answer.text
    known = {"If-None-Match": answer.headers["etag"]}
    assert web.get("/feeds/weekly.atom", headers=known).status_code == 304
    assert "August 2026: 1 new paper</title>" in web.get("/feeds/monthly.rss").text
    assert 'href="/feeds/monthly.rss"' in web.get("/monthly/2026-09").text


def test_a_paper_links_to_its_day_week_and_month(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    page = web.get("/papers/arxiv:2609.00001").text
    for path in ("/daily/2026-09-18", "/weekly/2026-W38", "/monthly/2026-09"):
        assert f'href="{path}"' in page
