"""Harvesting arXiv: lists that continue, expire, repeat and end, on a loopback server."""

from dataclasses import replace
from datetime import date
from itertools import count
from urllib.parse import parse_qs

import pytest
from support.servers.loopback_http import LoopbackHttp, Request, Response
from support.sources.oai_answers import RAW, answer, listed, record
from support.sources.open_gate import OpenGate

from service.papers.sources.arxiv_oai import ArxivOai, OaiPage, ResumptionTokenExpired
from service.papers.sources.base import SourceUnavailable, SourceUnreadable
from service.papers.sources.http_fetch import Caller, Fetcher


@pytest.fixture
def passed() -> list[str]:
    """Return the URLs that passed the rate limiter."""
    return []


@pytest.fixture
def oai(loopback_http: LoopbackHttp, passed: list[str]) -> ArxivOai:
    return ArxivOai(
        f"{loopback_http.url}/oai", Fetcher(Caller(timeout_seconds=5), OpenGate(passed))
    )


def numbered(count: int) -> list[str]:
    return [record(RAW.replace("10001", f"1000{n}"), f"2609.1000{n}") for n in range(1, count + 1)]


EXPIRED = answer('<error code="badResumptionToken">expired</error>')
SINCE = date(2026, 9, 9)


def requested(loopback_http: LoopbackHttp) -> list[dict[str, list[str]]]:
    return [parse_qs(request.query) for request in loopback_http.requests]


def test_a_harvest_follows_tokens_one_request_each(
    oai: ArxivOai, loopback_http: LoopbackHttp, passed: list[str]
) -> None:
    one, two, three = numbered(3)

    def serve(request: Request) -> Response:
        token = parse_qs(request.query).get("resumptionToken", [""])[0]
        pages = {
            "": listed(one, token="a%3Db&amp;skip=1"),
            "a%3Db&skip=1": listed(two, token="last"),
            "last": answer(f"<ListRecords>{three}<resumptionToken/></ListRecords>"),
        }
        return 200, {"Content-Type": "text/xml"}, pages[token]

    loopback_http.routes["/oai"] = serve
    pages: list[OaiPage] = []
    records = list(oai.harvest(SINCE, "cs:cs:AI", on_page=pages.append))
    assert [r.identifier for r in records] == ["2609.10001", "2609.10002", "2609.10003"]
    assert [len(page.records) for page in pages] == [1, 1, 1]
    assert requested(loopback_http) == [
        {
            "verb": ["ListRecords"],
            "metadataPrefix": ["arXivRaw"],
            "from": ["2026-09-09"],
            "set": ["cs:cs:AI"],
        },
        {"verb": ["ListRecords"], "resumptionToken": ["a%3Db&skip=1"]},
        {"verb": ["ListRecords"], "resumptionToken": ["last"]},
    ]
    assert len(passed) == 3


def test_a_harvest_of_nothing_is_empty(oai: ArxivOai, loopback_http: LoopbackHttp) -> None:
    loopback_http.routes["/oai"] = 200, {}, answer('<error code="noRecordsMatch"/>')
    assert list(oai.harvest(SINCE, prefix="arXiv")) == []
    assert requested(loopback_http) == [
        {"verb": ["ListRecords"], "metadataPrefix": ["arXiv"], "from": ["2026-09-09"]}
    ]


def test_a_token_that_expires_midway_restarts_the_list(
    oai: ArxivOai, loopback_http: LoopbackHttp
) -> None:
    one, two = numbered(2)
    answers = iter([listed(one, token="old"), EXPIRED, listed(one, token="fresh"), listed(two)])
    loopback_http.routes["/oai"] = lambda _: (200, {}, next(answers))
    records = list(oai.harvest(SINCE))
    assert [r.identifier for r in records] == ["2609.10001", "2609.10001", "2609.10002"]
    starts = [query for query in requested(loopback_http) if "from" in query]
    assert [query["from"] for query in starts] == [["2026-09-09"], ["2026-09-09"]]


def test_a_list_that_always_expires_is_given_up_after_three_restarts(
    oai: ArxivOai, loopback_http: LoopbackHttp
) -> None:
    (one,) = numbered(1)
    loopback_http.routes["/oai"] = lambda request: (
        200,
        {},
        EXPIRED if "resumptionToken" in request.query else listed(one, token="t"),
    )
    harvest = oai.harvest(SINCE)
    assert [next(harvest).identifier for _ in range(4)] == ["2609.10001"] * 4
    with pytest.raises(ResumptionTokenExpired):
        next(harvest)
    assert len(loopback_http.requests) == 8


def test_a_list_that_goes_in_circles_ends(oai: ArxivOai, loopback_http: LoopbackHttp) -> None:
    (one,) = numbered(1)
    loopback_http.routes["/oai"] = 200, {}, listed(one, token="again")
    with pytest.raises(SourceUnreadable, match="goes in circles: token again"):
        list(oai.harvest(SINCE))
    assert len(loopback_http.requests) == 2


@pytest.mark.parametrize("page", [listed(token="next"), listed(*numbered(1), token="t" * 2_001)])
def test_a_list_that_goes_on_without_records_or_by_no_token_is_refused(
    oai: ArxivOai, loopback_http: LoopbackHttp, page: bytes
) -> None:
    loopback_http.routes["/oai"] = 200, {}, page
    with pytest.raises(SourceUnreadable, match="goes on without records, or by no token"):
        list(oai.harvest(SINCE))
    assert len(loopback_http.requests) == 1


def test_a_list_without_end_is_refused(oai: ArxivOai, loopback_http: LoopbackHttp) -> None:
    tokens = count()
    loopback_http.routes["/oai"] = lambda _: (
        200,
        {},
        listed(*numbered(1), token=f"t{next(tokens)}"),
    )
    with pytest.raises(SourceUnreadable, match="no end after 3 pages"):
        list(replace(oai, most_pages=3).harvest(SINCE))
    assert len(loopback_http.requests) == 3


def test_a_busy_server_names_the_retry_delay(oai: ArxivOai, loopback_http: LoopbackHttp) -> None:
    (one,) = numbered(1)
    answers: list[Response] = [
        (200, {}, listed(one, token="t")),
        (503, {"Retry-After": "42"}, b"Retry after 42 seconds"),
    ]
    waiting = iter(answers)
    loopback_http.routes["/oai"] = lambda _: next(waiting)
    harvest = oai.harvest(SINCE)
    assert next(harvest).identifier == "2609.10001"
    with pytest.raises(SourceUnavailable, match="HTTP 503") as caught:
        next(harvest)
    assert caught.value.retry_after_seconds == 42
    assert not caught.value.permanent


def test_a_connection_cut_in_the_body_may_be_retried(
    oai: ArxivOai, loopback_http: LoopbackHttp
) -> None:
    whole = listed(*numbered(2))
    headers = {"Content-Length": str(len(whole)), "Connection": "close"}
    loopback_http.routes["/oai"] = 200, headers, whole[:600]
    with pytest.raises(SourceUnavailable) as caught:
        list(oai.harvest(SINCE))
    assert not caught.value.permanent


def test_a_body_that_is_no_gzip_is_unreadable(oai: ArxivOai, loopback_http: LoopbackHttp) -> None:
    loopback_http.routes["/oai"] = 200, {"Content-Encoding": "gzip"}, b"not gzip at all"
    with pytest.raises(SourceUnreadable, match="badly compressed"):
        list(oai.harvest(SINCE))
