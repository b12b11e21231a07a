"""Whatever is too large in a request is refused early, with a status of 4xx."""

import socket
from collections.abc import Iterator
from urllib.parse import urlencode

import httpx2
import pytest
from support.web.site import Subscribers

from service.platform.signing.tokens import Purpose
from service.web.core.middleware import MAX_BODY_BYTES

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("path", ["/search", "/topics/preview", "/feeds/search.atom"])
def test_a_query_longer_than_a_topic_is_refused_where_it_was_typed(
    web: httpx2.Client, path: str
) -> None:
    answer = web.get(path, params={"q": "x" * 5_000})
    assert answer.status_code == 422
    assert "A topic has at most 4,096 characters; this one has 5,000" in answer.text


def test_more_clauses_or_texts_than_a_visitor_may_ask_for_are_refused_at_the_field(
    web: httpx2.Client,
) -> None:
    words = " ".join(f"word{n}" for n in range(61))
    likes = " ".join(f"like:text{n}" for n in range(4))
    for topic, sentence in (
        (words, "A topic has at most 60 words, phrases and fields; this one has 61"),
        (likes, "A topic has at most 3 like: clauses"),
    ):
        for path in ("/search", "/topics/preview", "/feeds/search.atom"):
            answer = web.get(path, params={"q": topic})
            assert answer.status_code == 422
            assert sentence in answer.text
        assert sentence in web.get("/topics/preview/live", params={"q": topic}).json()["fault"]
        form = {"email": "reader@example.org", "topic": ["cats", topic]}
        answer = web.post("/subscribe", data=form)
        assert answer.status_code == 422
        assert sentence in answer.text
        assert 'id="topic-fault-1"' in answer.text or "aria-invalid" in answer.text


def test_a_subscriber_may_not_save_more_than_a_visitor_may_ask_for(
    web: httpx2.Client, subscribers: Subscribers
) -> None:
    subscriber = subscribers.add("reader@example.org", "cats")
    page = f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"
    answer = web.post(page, data={"topic": " ".join(f"like:text{n}" for n in range(4))})
    assert answer.status_code == 422
    assert "A topic has at most 3 like: clauses" in answer.text


def test_twenty_large_topics_are_saved_within_the_budget_and_one_more_is_refused(
    web: httpx2.Client, subscribers: Subscribers
) -> None:
    subscriber = subscribers.add("reader@example.org", "cats")
    page = f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"
    topics = [" OR ".join(f"(word{n}x{m} -other{m})" for m in range(30)) for n in range(21)]
    assert web.post(page, data={"topic": topics[:20]}).status_code == 200
    answer = web.post(page, data={"topic": topics})
    assert answer.status_code == 422
    assert "At most 20 topics are allowed" in answer.text


# A month of all of arXiv has some 600 pages, a search 50 at most.
@pytest.mark.parametrize("page", ["1000", str(10**9), "9" * 5_000])
@pytest.mark.parametrize("path", ["/", "/search?q=cats", "/monthly/2026-09"])
def test_a_page_past_all_lists_is_not_there(web: httpx2.Client, path: str, page: str) -> None:
    separator = "&" if "?" in path else "?"
    assert web.get(f"{path}{separator}page={page}").status_code == 404


def test_a_search_ends_after_fifty_pages(web: httpx2.Client) -> None:
    assert web.get("/search?q=cats&page=51").status_code == 404


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "2026-09-17T00:00", "9" * 5_000])
def test_a_day_outside_of_the_calendar_is_not_there(web: httpx2.Client, day: str) -> None:
    assert web.get(f"/daily/{day}").status_code == 404


@pytest.mark.parametrize("name", ["Accept-Language", "Cookie", "User-Agent", "X-Anything"])
def test_a_header_that_no_browser_sends_is_refused(web: httpx2.Client, name: str) -> None:
    assert web.get("/", headers={name: "x" * 20_000}).status_code == 431


def test_a_long_address_is_refused(web: httpx2.Client) -> None:
    assert web.get("/search", params={"q": "x" * 20_000}).status_code == 431


def test_a_large_body_is_refused_before_it_is_sent(web: httpx2.Client) -> None:
    with socket.create_connection((web.base_url.host, web.base_url.port or 0), timeout=20) as raw:
        raw.sendall(
            b"POST /subscribe HTTP/1.1\r\nHost: site\r\nContent-Length: 1000000000\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        )
        assert raw.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_a_large_body_of_no_declared_length_is_refused_as_it_grows(web: httpx2.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 50_000 + 1):
            yield b"x" * 50_000

    answer = web.post("/subscribe", content=pieces(), headers=FORM)
    assert answer.status_code == 413


def test_a_form_of_many_fields_is_refused(web: httpx2.Client) -> None:
    fields = [(f"field{n}", "x") for n in range(2_000)]
    answer = web.post("/subscribe", content=urlencode(fields), headers=FORM)
    assert answer.status_code == 400
    parts = [(name, (None, value)) for name, value in fields]
    assert web.post("/subscribe", files=parts).status_code == 400
    uploads = [(name, (f"{name}.txt", value)) for name, value in fields]
    assert web.post("/subscribe", files=uploads).status_code == 400


def test_an_upload_in_place_of_a_text_is_refused(web: httpx2.Client) -> None:
    uploads = {"topic": ("topic.txt", b"x" * 300_000)}
    assert web.post("/subscribe", files=uploads).status_code == 422
