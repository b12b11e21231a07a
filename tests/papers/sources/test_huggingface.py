"""Hugging Face's list: every field but identifier and title is optional."""

import gzip
import json
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.servers.loopback_http import LoopbackHttp, Request, Response
from support.sources.open_gate import OpenGate

from service.papers.domain.types import AnnounceType, Signals
from service.papers.sources.base import FetchState, SourceUnavailable, SourceUnreadable
from service.papers.sources.http_fetch import Caller, Fetcher
from service.papers.sources.huggingface import HuggingFace, parse_daily_papers


def listed(**changed: object) -> dict[str, Any]:
    paper: dict[str, Any] = {
        "id": "2609.18323",
        "authors": [{"name": "Ada Lovelace", "hidden": True}, {"name": None}, "Alan Turing"],
        "publishedAt": "2026-09-16T00:00:00.000Z",
        "title": "A title",
        "summary": "An abstract.",
        "upvotes": 21,
        "githubRepo": "https://github.com/a/b",
        "githubStars": 19,
        "ai_summary": "In short.",
        "ai_keywords": ["one", 2, "two"],
        "withdrawnAt": None,
    }
    return {"paper": {**paper, **changed}, "title": "Outer", "summary": "Outer.", "numComments": 3}


def parsed(*entries: object) -> Any:
    return parse_daily_papers(json.dumps(entries).encode())


def test_every_field_is_read() -> None:
    (announcement,) = parsed(listed()).announcements
    assert announcement.key == "arxiv:2609.18323"
    assert announcement.source == "huggingface"
    assert announcement.announce_type is AnnounceType.LISTED
    assert (announcement.identifier, announcement.version) == ("2609.18323", 1)
    assert (announcement.title, announcement.abstract) == ("A title", "An abstract.")
    assert announcement.authors == ("Ada Lovelace", "Alan Turing")
    assert announcement.categories == ()
    assert announcement.url == "https://arxiv.org/abs/2609.18323"
    assert announcement.published_at == datetime(2026, 9, 16, tzinfo=UTC)
    assert not announcement.is_withdrawn
    assert announcement.signals == Signals(
        upvotes=21,
        comments=3,
        github_stars=19,
        github_url="https://github.com/a/b",
        summary="In short.",
        keywords=("one", "two"),
    )


def test_an_entry_with_nothing_but_identifier_and_title_is_a_paper() -> None:
    (announcement,) = parsed({"paper": {"id": "2609.18323v2"}, "title": "Outer"}).announcements
    assert announcement.key == "arxiv:2609.18323"
    assert announcement.title == "Outer"
    assert announcement.authors == ()
    assert announcement.published_at is None
    assert announcement.signals == Signals()


@pytest.mark.parametrize(
    ("changed", "field", "value"),
    [
        ({"upvotes": -1}, "upvotes", 0),
        ({"upvotes": True}, "upvotes", 0),
        ({"upvotes": "12"}, "upvotes", 0),
        ({"githubStars": 2**40}, "github_stars", None),
        ({"githubRepo": "javascript:alert(1)"}, "github_url", ""),
        ({"ai_keywords": "one"}, "keywords", ()),
        ({"ai_summary": "a\x00b\ud800c"}, "summary", "abc"),
    ],
)
def test_a_signal_of_the_wrong_shape_counts_as_absent(
    changed: dict[str, object], field: str, value: object
) -> None:
    batch = parsed(listed(**changed))
    assert getattr(batch.announcements[0].signals, field) == value
    assert batch.bad_entries == ()


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-09-16T02:00:00+02:00", datetime(2026, 9, 16, tzinfo=UTC)),
        ("2026-09-16T00:00:00", datetime(2026, 9, 16, tzinfo=UTC)),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
    ],
)
def test_a_moment_is_utc_or_unknown(written: str, moment: datetime | None) -> None:
    assert parsed(listed(publishedAt=written)).announcements[0].published_at == moment


def test_a_withdrawn_paper_is_marked_as_withdrawn() -> None:
    (announcement,) = parsed(listed(withdrawnAt="2026-09-17T00:00:00Z")).announcements
    assert announcement.is_withdrawn


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("{'paper': {'id': '2609.18323'}}", "is a str, not an object"),
        (None, "is a NoneType, not an object"),
        ([], "is a list, not an object"),
        ({}, "not an arXiv identifier: ''"),
        ({"paper": "2609.18323"}, "not an arXiv identifier: ''"),
        ({"paper": {"id": 2609.18323}}, "not an arXiv identifier: ''"),
        ({"paper": {"id": "2609.18323"}}, "2609.18323 has no title"),
    ],
)
def test_a_bad_entry_is_counted_and_does_not_affect_the_others(bad: object, reason: str) -> None:
    batch = parsed(listed(), bad, listed(id="2609.18324"))
    assert [a.identifier for a in batch.announcements] == ["2609.18323", "2609.18324"]
    (counted,) = batch.bad_entries
    assert (counted.position, counted.reason) == (1, reason)


def test_a_list_wrapped_with_its_date_as_archives_have_it_is_read() -> None:
    wrapped = json.dumps({"date": "2026-09-16", "data": [listed()]}).encode()
    assert parse_daily_papers(wrapped).announcements == parsed(listed()).announcements


def test_an_empty_list_is_a_day_without_papers() -> None:
    batch = parse_daily_papers(b"[]")
    assert (batch.announcements, batch.bad_entries) == ((), ())


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "Expecting value, line 1 column 1"),
        (b"<!DOCTYPE html><html></html>", "Expecting value, line 1 column 1"),
        (b'[{"paper":\n', "line 2 column 1"),
        (b'{"error": "Invalid date"}', "the answer is a dict, it says 'Invalid date', line 1"),
        (b'{"data": {}}', "the answer is a dict, line 1"),
        (b'"busy"', "the answer is a str, line 1"),
        (b"\xff\xfe\xff", "not readable as JSON"),
        (b"[" * 200_000, "not readable as JSON"),
    ],
)
def test_anything_but_a_list_is_refused_in_one_line(payload: bytes, reason: str) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        parse_daily_papers(payload)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["paper", "id", "title", "authors", "upvotes"]), inner)
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=5))
def test_every_entry_of_any_list_is_read_or_counted(entries: list[object]) -> None:
    batch = parsed(*entries)
    assert len(batch.announcements) + len(batch.bad_entries) == len(entries)


@pytest.mark.real
def test_every_entry_of_382_real_days_is_read_or_counted(real_data: Path) -> None:
    days = string_days = papers = 0
    for path in sorted((real_data / "wire" / "hf_daily_papers" / "dev").glob("*.json.gz")):
        payload = gzip.decompress(path.read_bytes())
        answer = json.loads(payload)
        entries = answer["data"] if isinstance(answer, dict) else answer
        strings = sum(isinstance(entry, str) for entry in entries)
        batch = parse_daily_papers(payload)
        assert len(batch.bad_entries) == strings, path.name
        assert len(batch.announcements) == len(entries) - strings, path.name
        assert all(bad.reason == "is a str, not an object" for bad in batch.bad_entries)
        days += 1
        string_days += bool(strings)
        papers += len(batch.announcements)
    assert (days, string_days, papers) == (382, 22, 5317)


# The client, against a server on loopback.

DAY = date(2026, 9, 17)
LIST = "/api/daily_papers"


def page_of(*numbers: int) -> bytes:
    return json.dumps([listed(id=f"2609.{number:05d}") for number in numbers]).encode()


def next_link(http: LoopbackHttp, page: int, host: str = "") -> dict[str, str]:
    url = f"{host or http.url}{LIST}?date={DAY}&limit=100&p={page}"
    return {"Link": f'<{url}>; rel="next"', "ETag": '"first"'}


def read(http: LoopbackHttp) -> Any:
    """Return the batch of the day, and how many requests it took."""
    before = len(http.requests)
    source = HuggingFace(http.url, Fetcher(Caller(timeout_seconds=5), OpenGate()))
    fetched = source.fetch("", DAY, FetchState())
    assert fetched.payload is not None
    return source.parse(fetched.payload), fetched.etag, len(http.requests) - before


def numbers_of(batch: Any) -> list[int]:
    return [int(one.identifier[5:]) for one in batch.announcements]


def test_a_day_is_followed_page_by_page(loopback_http: LoopbackHttp) -> None:
    first, second, third = range(1, 101), range(101, 201), range(201, 231)
    query = f"{LIST}?date={DAY}&limit=100&p="
    loopback_http.routes |= {
        LIST: (200, next_link(loopback_http, 1), page_of(*first)),
        f"{query}1": (200, next_link(loopback_http, 2), page_of(*second)),
        f"{query}2": (200, {}, page_of(*third)),
    }
    batch, etag, count = read(loopback_http)
    assert numbers_of(batch) == list(range(1, 231))
    assert (batch.is_truncated, batch.bad_entries, etag, count) == (False, (), "", 3)
    assert [request.query for request in loopback_http.requests] == [
        f"limit=100&date={DAY}",
        f"date={DAY}&limit=100&p=1",
        f"date={DAY}&limit=100&p=2",
    ]


def test_a_relative_link_is_followed_and_a_paper_that_moved_to_the_next_page_is_no_fault(
    loopback_http: LoopbackHttp,
) -> None:
    query = f"{LIST}?p=1"
    loopback_http.routes |= {
        LIST: (200, {"Link": f"<{query}>; rel=next"}, page_of(1, 2, 3)),
        query: (200, {}, page_of(3, 4)),
    }
    batch, _, _ = read(loopback_http)
    assert (numbers_of(batch), batch.bad_entries) == ([1, 2, 3, 4], ())
    assert not batch.is_truncated


@pytest.mark.parametrize(("count", "is_cut"), [(92, False), (99, False), (100, True)])
def test_exactly_one_full_page_without_a_next_one_counts_as_cut(
    loopback_http: LoopbackHttp, count: int, is_cut: bool
) -> None:
    """One day of September 2026 had 92 papers."""
    loopback_http.routes[LIST] = (200, {"ETag": '"day"'}, page_of(*range(1, count + 1)))
    batch, etag, requests = read(loopback_http)
    assert (len(batch.announcements), batch.is_truncated) == (count, is_cut)
    assert (etag, requests) == ('"day"', 1)


def test_two_full_pages_that_end_are_whole(loopback_http: LoopbackHttp) -> None:
    loopback_http.routes |= {
        LIST: (200, next_link(loopback_http, 1), page_of(*range(1, 101))),
        f"{LIST}?date={DAY}&limit=100&p=1": (200, {}, page_of(*range(101, 201))),
    }
    batch, _, _ = read(loopback_http)
    assert (len(batch.announcements), batch.is_truncated) == (200, False)


def test_a_full_page_whose_next_one_is_empty_is_whole(loopback_http: LoopbackHttp) -> None:
    loopback_http.routes |= {
        LIST: (200, next_link(loopback_http, 1), page_of(*range(1, 101))),
        f"{LIST}?date={DAY}&limit=100&p=1": (200, next_link(loopback_http, 2), b"[]"),
    }
    batch, _, count = read(loopback_http)
    assert (len(batch.announcements), batch.is_truncated, count) == (100, False, 2)


@pytest.mark.parametrize(
    "host", ["https://huggingface.co", "http://127.0.0.1:1", "ftp://127.0.0.1"]
)
def test_a_next_page_elsewhere_is_not_requested_and_the_day_counts_as_cut(
    loopback_http: LoopbackHttp, host: str
) -> None:
    loopback_http.routes[LIST] = (200, next_link(loopback_http, 1, host), page_of(1, 2))
    batch, _, count = read(loopback_http)
    assert (numbers_of(batch), batch.is_truncated, count) == ([1, 2], True, 1)


def test_pages_in_circles_and_without_end_are_left(loopback_http: LoopbackHttp) -> None:
    query = f"{LIST}?date={DAY}&limit=100&p=1"
    loopback_http.routes |= {
        LIST: (200, next_link(loopback_http, 1), page_of(1)),
        query: (200, next_link(loopback_http, 1), page_of(2)),
    }
    batch, _, count = read(loopback_http)
    assert (numbers_of(batch), batch.is_truncated, count) == ([1, 2], True, 2)

    def endless(request: Request) -> Response:
        number = len(loopback_http.requests)
        return 200, next_link(loopback_http, number), page_of(number)

    loopback_http.routes = {LIST: endless}
    batch, _, count = read(loopback_http)
    assert (len(batch.announcements), batch.is_truncated, count) == (10, True, 10)


def test_a_page_that_fails_fails_the_day(loopback_http: LoopbackHttp) -> None:
    loopback_http.routes |= {
        LIST: (200, next_link(loopback_http, 1), page_of(1)),
        f"{LIST}?date={DAY}&limit=100&p=1": (503, {}, b""),
    }
    with pytest.raises(SourceUnavailable, match="HTTP 503"):
        read(loopback_http)


def test_pages_that_each_take_their_time_are_given_up_together(loopback_http: LoopbackHttp) -> None:
    def slow(_: Request) -> Response:
        time.sleep(0.9)
        number = len(loopback_http.requests)
        return 200, next_link(loopback_http, number), page_of(number)

    loopback_http.routes = {LIST: slow}
    fetcher = Fetcher(Caller(timeout_seconds=2), OpenGate(), timeouts=1)
    with pytest.raises(SourceUnavailable, match="its pages did not end in time"):
        HuggingFace(loopback_http.url, fetcher).fetch("", DAY, FetchState())
    assert len(loopback_http.requests) < 10
