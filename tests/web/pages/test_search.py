"""Search by words and by the topic language, newest first, in pages."""

from datetime import date

import httpx2
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers


def test_search_matches_the_topic_language_newest_first_and_highlights_words(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "Old Prompt Tuning")], on=date(2025, 3, 3))
    announcements = [
        make_announcement(2, "New Prompt Tuning"),
        make_announcement(3, "Other Things"),
    ]
    store_papers(session, announcements)
    page = web.get("/search", params={"q": '"prompt tuning" cat:cs.CL'}).text
    assert "2 papers, newest first" in page
    assert "Other Things" not in page
    new, old = "New <mark>Prompt Tuning</mark>", "Old <mark>Prompt Tuning</mark>"
    assert page.index(new) < page.index(old)


def test_search_results_are_paginated(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [make_announcement(n, f"Cats number {n}") for n in range(1, 26)])
    first = web.get("/search", params={"q": "cats"}).text
    assert "25 papers" in first
    assert "Page 1 of 2" in first
    assert 'href="/search?q=cats&amp;page=2"' in first or 'href="/search?q=cats&page=2"' in first
    last = web.get("/search", params={"q": "cats", "page": "50"}).text
    assert last.count("<article>") == 5
    assert 'start="21"' in last
    assert web.get("/search", params={"q": "cats", "page": str(10**9)}).status_code == 404


def test_search_points_at_a_syntax_error(web: httpx2.Client) -> None:
    answer = web.get("/search", params={"q": "cats ) dogs"})
    assert answer.status_code == 422
    assert "was never opened (character 6)" in answer.text
    assert "<code>cats <mark>)</mark> dogs</code>" in answer.text
    assert 'value="cats ) dogs"' in answer.text


def test_an_empty_search_and_one_without_results_are_pages(web: httpx2.Client) -> None:
    assert 'role="search"' in web.get("/search").text
    assert "No papers found." in web.get("/search", params={"q": "unicorns"}).text
    assert web.get("/search", params={"q": "uni\x00corns"}).status_code == 200
