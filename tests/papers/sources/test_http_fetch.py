"""Fetching: polite to the source, limited in time and size, with clear errors."""

import gzip
import socket
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from support.servers.loopback_http import LoopbackHttp, Request, Response
from support.sources.open_gate import OpenGate

from service.papers.sources.base import FetchState, SourceUnavailable, SourceUnreadable
from service.papers.sources.http_fetch import Caller, Fetcher, retry_after_seconds

CALLER = Caller("https://paperboy.example", "ops@paperboy.example", timeout_seconds=5)


@pytest.fixture
def passed() -> list[str]:
    """Return the URLs that passed the rate limiter."""
    return []


@pytest.fixture
def fetcher(passed: list[str]) -> Fetcher:
    return Fetcher(CALLER, OpenGate(passed), max_bytes=10_000)


def refused(fetcher: Fetcher, url: str) -> SourceUnavailable:
    with pytest.raises(SourceUnavailable) as caught:
        fetcher.fetch(url, accept="*/*", state=FetchState())
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_request_sends_user_agent_and_accept(
    fetcher: Fetcher, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/feed?q=a+b"] = (200, {"ETag": '"one"'}, b"body")
    fetched = fetcher.fetch(
        f"{loopback_http.url}/feed", accept="text/xml", state=FetchState(), params={"q": "a b"}
    )
    assert (fetched.payload, fetched.etag, fetched.not_modified) == (b"body", '"one"', False)
    assert fetched.url == f"{loopback_http.url}/feed?q=a+b"
    (request,) = loopback_http.requests
    agent = request.headers["User-Agent"]
    assert agent.startswith("Paperboy/")
    assert agent.endswith(" (+https://paperboy.example; ops@paperboy.example)")
    assert request.headers["Accept"] == "text/xml"
    assert request.headers["If-None-Match"] is None


def test_a_caller_without_address_sends_a_printable_user_agent() -> None:
    assert " (" not in Caller().user_agent
    assert Caller(contact="Zoë\r\nX: y").user_agent.endswith("(ZoX: y)")


def test_an_unchanged_answer_is_not_sent_again(
    fetcher: Fetcher, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/feed"] = (304, {}, b"")
    fetched = fetcher.fetch(f"{loopback_http.url}/feed", accept="*/*", state=FetchState('"one"'))
    assert (fetched.payload, fetched.etag, fetched.not_modified) == (None, '"one"', True)
    assert loopback_http.requests[0].headers["If-None-Match"] == '"one"'


@pytest.mark.parametrize("status", [406, 408, 425, 429, 500, 502, 503, 504])
def test_a_busy_source_may_be_retried_after_the_time_it_names(
    fetcher: Fetcher, loopback_http: LoopbackHttp, status: int
) -> None:
    loopback_http.routes["/feed"] = (status, {"Retry-After": "120"}, b"Rate exceeded.\n")
    error = refused(fetcher, f"{loopback_http.url}/feed")
    assert not error.permanent
    assert error.retry_after_seconds == 120
    assert str(error) == f"{loopback_http.url}/…: HTTP {status}, Rate exceeded."
    assert len(loopback_http.requests) == 1


@pytest.mark.parametrize("status", [204, 300, 400, 401, 403, 404, 410])
def test_an_error_that_a_retry_cannot_help_is_permanent(
    fetcher: Fetcher, loopback_http: LoopbackHttp, status: int
) -> None:
    loopback_http.routes["/feed"] = (status, {"Retry-After": "120"}, b"")
    error = refused(fetcher, f"{loopback_http.url}/feed")
    assert error.permanent
    assert error.retry_after_seconds is None


def test_the_message_of_an_error_feed_is_quoted(
    fetcher: Fetcher, loopback_http: LoopbackHttp
) -> None:
    body = b"<rss><channel><title>Feed error</title><description>Invalid archive: 'cs.XX'.\nCheck.</description>"
    loopback_http.routes["/feed"] = (400, {}, body + b"x" * 9000)
    assert str(refused(fetcher, f"{loopback_http.url}/feed")).endswith(
        "HTTP 400, Invalid archive: 'cs.XX'. Check."
    )
    loopback_http.routes["/feed"] = (400, {}, b"<p>" + b"long \x07words " * 50)
    assert str(refused(fetcher, f"{loopback_http.url}/feed")).endswith("...")


def test_every_redirect_is_followed_through_the_rate_limiter(
    fetcher: Fetcher, loopback_http: LoopbackHttp, passed: list[str]
) -> None:
    loopback_http.routes["/old"] = (301, {"Location": "/new"}, b"")
    loopback_http.routes["/new"] = (200, {}, b"here")
    fetched = fetcher.fetch(f"{loopback_http.url}/old", accept="*/*", state=FetchState())
    assert (fetched.payload, fetched.etag) == (b"here", "")
    assert passed == [f"{loopback_http.url}/old", f"{loopback_http.url}/new"]


def test_a_redirect_in_circles_ends_soon(fetcher: Fetcher, loopback_http: LoopbackHttp) -> None:
    loopback_http.routes["/a"] = (302, {"Location": "/a"}, b"")
    assert refused(fetcher, f"{loopback_http.url}/a").permanent
    assert len(loopback_http.requests) < 10


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "nonsense", "http://[::1"])
def test_an_invalid_address_is_permanent(fetcher: Fetcher, url: str) -> None:
    assert refused(fetcher, url).permanent


def test_a_source_that_is_down_may_be_retried(fetcher: Fetcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error = refused(fetcher, f"http://127.0.0.1:{port}/")
    assert (error.permanent, error.retry_after_seconds) == (False, None)


def test_a_truncated_answer_may_be_retried(fetcher: Fetcher, loopback_http: LoopbackHttp) -> None:
    headers = {"Content-Length": "100", "Connection": "close"}
    loopback_http.routes["/feed"] = (200, headers, b"too short")
    assert not refused(fetcher, f"{loopback_http.url}/feed").permanent


def test_an_answer_that_never_ends_is_given_up(loopback_http: LoopbackHttp) -> None:
    def slow(_: Request) -> Response:
        time.sleep(0.3)
        return 200, {}, b"late"

    loopback_http.routes["/feed"] = slow
    fetcher = Fetcher(Caller(timeout_seconds=0.1), OpenGate())
    assert not refused(fetcher, f"{loopback_http.url}/feed").permanent


def test_an_answer_that_comes_too_slowly_is_given_up(loopback_http: LoopbackHttp) -> None:
    loopback_http.routes["/feed"] = (200, {}, b"some bytes")
    # A limit of zero expires before any answer can be read.
    fetcher = Fetcher(Caller(timeout_seconds=5), OpenGate(), timeouts=0)
    assert str(refused(fetcher, f"{loopback_http.url}/feed")).endswith("did not end in time")


def test_an_answer_too_large_after_decompression_is_refused(
    fetcher: Fetcher, loopback_http: LoopbackHttp
) -> None:
    packed = gzip.compress(b"a" * 1_000_000)
    loopback_http.routes["/feed"] = (200, {"Content-Encoding": "gzip"}, packed)
    with pytest.raises(SourceUnreadable, match="larger than 10000 bytes"):
        fetcher.fetch(f"{loopback_http.url}/feed", accept="*/*", state=FetchState())


def test_a_compressed_answer_is_unpacked_and_a_broken_one_refused(
    fetcher: Fetcher, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/ok"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b"body"))
    loopback_http.routes["/bad"] = (200, {"Content-Encoding": "gzip"}, b"\x1f\x8bgarbage")
    ok = fetcher.fetch(f"{loopback_http.url}/ok", accept="*/*", state=FetchState())
    assert ok.payload == b"body"
    with pytest.raises(SourceUnreadable, match="badly compressed"):
        fetcher.fetch(f"{loopback_http.url}/bad", accept="*/*", state=FetchState())


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Fri, 18 Sep 2026 05:02:00 GMT", 120.0),
        ("Fri, 18 Sep 2026 05:02:00 -0000", 120.0),
        ("Fri, 18 Sep 2026 04:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("9" * 400, None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(
    now: datetime, value: str | None, seconds: float | None
) -> None:
    assert retry_after_seconds(value, now) == seconds


def test_a_retry_after_date_of_a_real_answer_is_counted_from_now(
    fetcher: Fetcher, loopback_http: LoopbackHttp
) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    loopback_http.routes["/feed"] = (503, {"Retry-After": until}, b"")
    wait = refused(fetcher, f"{loopback_http.url}/feed").retry_after_seconds
    assert wait is not None
    assert 90 < wait <= 100
