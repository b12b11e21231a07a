"""The search API: papers by identifier, incomplete pages, errors in the form of feeds."""

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest
from support.servers.loopback_http import LoopbackHttp, Request, Response
from support.sources.open_gate import OpenGate

from service.papers.domain.types import AnnounceType
from service.papers.sources.arxiv_api import ArxivApi, parse_api
from service.papers.sources.base import SourceUnavailable, SourceUnreadable
from service.papers.sources.http_fetch import Caller, Fetcher


def entry(identifier: str, title: str = "A &lt; b") -> str:
    return f"""<entry>
    <id>http://arxiv.org/abs/{identifier}</id>
    <title>{title}</title>
    <updated>2026-09-17T10:00:00Z</updated>
    <published>2026-09-16T10:00:00Z</published>
    <summary>  About $x&lt;y$.
  More. </summary>
    <category term="cs.LG" scheme="http://arxiv.org/schemas/atom"/>
    <category term="hep-th" scheme="http://arxiv.org/schemas/atom"/>
    <category term="68T50" scheme="http://arxiv.org/schemas/atom"/>
    <category term="I.2.7; H.3.3" scheme="http://arxiv.org/schemas/atom"/>
    <link href="https://arxiv.org/abs/{identifier}" rel="alternate" type="text/html"/>
    <arxiv:primary_category term="cs.LG"/>
    <arxiv:comment>9 pages,
  2 figures</arxiv:comment>
    <arxiv:journal_ref>J. Ex. 3</arxiv:journal_ref>
    <arxiv:doi>10.1234/ex</arxiv:doi>
    <author><name>Ada Example</name><arxiv:affiliation>Here</arxiv:affiliation></author>
    <author><name>Bob Sample</name></author><author><name/></author>
  </entry>"""


ERROR = """<entry><id>https://arxiv.org/api/errors#incorrect_id_format_for_abc</id>
  <title>Error</title><summary>incorrect id format for abc</summary>
  <author><name>arXiv api core</name></author></entry>"""


def feed(entries: Sequence[str], total: int | None = None, start: int = 0) -> bytes:
    counts = f"""<opensearch:itemsPerPage>100</opensearch:itemsPerPage>
  <opensearch:totalResults>{len(entries) if total is None else total}</opensearch:totalResults>
  <opensearch:startIndex>{start}</opensearch:startIndex>"""
    return f"""<?xml version='1.0' encoding='UTF-8'?>
<feed xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/"
  xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns="http://www.w3.org/2005/Atom">
  <title>arXiv Query</title>{counts}{"".join(entries)}</feed>""".encode()


def test_an_entry_has_fields_that_the_daily_feed_lacks() -> None:
    page = parse_api(feed([entry("2609.10001v2")], total=31, start=30))
    assert (page.total, page.start, page.per_page) == (31, 30, 100)
    assert (page.error, page.bad_entries, page.is_short) == (None, (), False)
    (paper,) = page.announcements
    assert (paper.source, paper.identifier) == ("arxiv", "2609.10001")
    assert paper.key == "arxiv:2609.10001"
    assert (paper.version, paper.announce_type) == (2, AnnounceType.REPLACE)
    assert (paper.title, paper.abstract) == ("A < b", "About $x<y$.\n  More.")
    assert paper.authors == ("Ada Example", "Bob Sample")
    assert (paper.categories, paper.primary_category) == (("cs.LG", "hep-th"), "cs.LG")
    assert (paper.comment, paper.journal_ref, paper.doi) == (
        "9 pages, 2 figures",
        "J. Ex. 3",
        "10.1234/ex",
    )
    assert paper.url == "https://arxiv.org/abs/2609.10001"
    assert paper.published_at == datetime(2026, 9, 16, 10, tzinfo=UTC)


def test_an_entry_with_only_the_required_fields_is_read() -> None:
    least = "<entry><id>http://arxiv.org/abs/hep-ex/0406020</id><title>T</title></entry>"
    (paper,) = parse_api(feed([least])).announcements
    assert (paper.identifier, paper.version) == ("hep-ex/0406020", 1)
    assert paper.announce_type is AnnounceType.NEW
    assert (paper.primary_category, paper.published_at, paper.authors) == (None, None, ())
    without_term = least.replace("</title>", "</title><arxiv:primary_category/>")
    (paper,) = parse_api(feed([without_term])).announcements
    assert paper.primary_category is None


def test_a_bad_entry_is_counted_and_the_others_are_kept() -> None:
    page = parse_api(feed([entry("nonsense"), entry("2609.10001v1"), entry("2609.10002v1", " ")]))
    assert [paper.identifier for paper in page.announcements] == ["2609.10001"]
    first, last = page.bad_entries
    assert first.position == 0
    assert first.reason.startswith("not an arXiv identifier: 'http://arxiv.org/abs/nonsense', line")
    assert last.position == 2
    assert last.reason.startswith("2609.10002 has no title, line")
    assert not page.is_short


def test_an_error_is_recognised_by_its_entry() -> None:
    page = parse_api(feed([ERROR]))
    assert (page.error, page.announcements) == ("incorrect id format for abc", ())
    silent = parse_api(feed([ERROR.replace("incorrect id format for abc</summary>", "</summary>")]))
    assert silent.error == "an error without a reason"
    elsewhere = ERROR.replace("arxiv.org/api/errors", "export.example/oops")
    assert parse_api(feed([elsewhere])).error == "incorrect id format for abc"


def test_a_paper_titled_error_is_a_paper() -> None:
    page = parse_api(feed([entry("2609.10001v1", "Error")]))
    assert (page.error, len(page.announcements)) == (None, 1)


def test_a_feed_without_counts_is_counted_by_its_entries() -> None:
    payload = b'<feed xmlns="http://www.w3.org/2005/Atom"><entry/></feed>'
    page = parse_api(payload)
    assert (page.total, page.start, page.per_page) == (1, 0, 1)
    assert not page.is_short


@pytest.mark.parametrize(
    ("came", "total", "is_short"), [(0, 0, True), (0, 2, True), (1, 2, True), (2, 2, False)]
)
def test_a_page_with_fewer_papers_than_there_are_is_short(
    came: int, total: int, is_short: bool
) -> None:
    entries = [entry(f"2609.1000{n}v1") for n in range(1, came + 1)]
    assert parse_api(feed(entries, total=total)).is_short is is_short


@pytest.mark.parametrize(
    "payload",
    [b"", b"Rate exceeded.", b"<rss/>", feed([entry("2609.10001")])[:-30], b"<html></html>"],
)
def test_anything_but_a_whole_feed_is_refused_in_one_line(payload: bytes) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        parse_api(payload)
    assert "\n" not in str(caught.value)
    assert "line" in str(caught.value)


# The client, against a server on loopback.


@pytest.fixture
def passed() -> list[str]:
    """Return the URLs that passed the rate limiter."""
    return []


@pytest.fixture
def api(loopback_http: LoopbackHttp, passed: list[str]) -> ArxivApi:
    return ArxivApi(
        f"{loopback_http.url}/api/query", Fetcher(Caller(timeout_seconds=5), OpenGate(passed))
    )


def requested(loopback_http: LoopbackHttp) -> list[list[str]]:
    return [parse_qs(r.query)["id_list"][0].split(",") for r in loopback_http.requests]


def everything(request: Request) -> Response:
    """Answer with every requested paper, in reverse order, in version 1 or the one requested."""
    identifiers = parse_qs(request.query)["id_list"][0].split(",")
    entries = [entry(i if "v" in i else f"{i}v1") for i in reversed(identifiers)]
    return 200, {"Content-Type": "application/atom+xml"}, feed(entries)


def test_papers_come_in_the_order_requested(api: ArxivApi, loopback_http: LoopbackHttp) -> None:
    loopback_http.routes["/api/query"] = everything
    found = api.fetch_papers(["arXiv:2609.10002", "2609.10001v3", "2609.10002"])
    assert [(a.identifier, a.version) for a in found.announcements] == [
        ("2609.10002", 1),
        ("2609.10001", 3),
    ]
    assert found.missing == ()
    assert requested(loopback_http) == [["2609.10002", "2609.10001v3"]]
    assert parse_qs(loopback_http.requests[0].query)["max_results"] == ["2"]


def test_many_papers_are_requested_a_hundred_at_a_time(
    api: ArxivApi, loopback_http: LoopbackHttp, passed: list[str]
) -> None:
    loopback_http.routes["/api/query"] = everything
    identifiers = [f"2609.{10_000 + n}" for n in range(1, 206)]
    found = api.fetch_papers(identifiers)
    assert [a.identifier for a in found.announcements] == identifiers
    assert [len(batch) for batch in requested(loopback_http)] == [100, 100, 5]
    assert len(passed) == 3


def test_no_identifiers_cause_no_request(api: ArxivApi, loopback_http: LoopbackHttp) -> None:
    found = api.fetch_papers([])
    assert (found.announcements, found.missing) == ((), ())
    assert loopback_http.requests == []


def test_an_invalid_identifier_is_missing_and_does_not_affect_the_others(
    api: ArxivApi, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/api/query"] = everything
    found = api.fetch_papers(["abc", "2609.10001"])
    assert [a.identifier for a in found.announcements] == ["2609.10001"]
    assert found.missing == ("abc",)
    assert requested(loopback_http) == [["2609.10001"]]


def test_requests_with_and_without_version_are_told_apart(
    api: ArxivApi, loopback_http: LoopbackHttp
) -> None:
    body = feed([entry("2609.10001v3"), entry("2609.10001v1")])
    loopback_http.routes["/api/query"] = 200, {}, body
    found = api.fetch_papers(["2609.10001", "2609.10001v1", "2609.10001v3"])
    assert [a.version for a in found.announcements] == [3, 1]
    assert found.missing == ()


def test_only_papers_missing_from_a_short_page_are_requested_again(
    api: ArxivApi, loopback_http: LoopbackHttp, passed: list[str]
) -> None:
    answers = iter(
        [
            feed([entry("2609.10001v1")], total=3),
            feed([], total=2),
            feed([entry("2609.10003v1"), entry("2609.10002v1")]),
        ]
    )
    loopback_http.routes["/api/query"] = lambda _: (200, {}, next(answers))
    found = api.fetch_papers(["2609.10001", "2609.10002", "2609.10003"])
    assert [a.identifier[-1] for a in found.announcements] == ["1", "2", "3"]
    assert requested(loopback_http) == [
        ["2609.10001", "2609.10002", "2609.10003"],
        ["2609.10002", "2609.10003"],
        ["2609.10002", "2609.10003"],
    ]
    assert len(passed) == 3


def test_papers_of_a_page_that_stays_empty_are_missing_after_the_last_attempt(
    api: ArxivApi, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/api/query"] = 200, {}, feed([], total=0)
    found = api.fetch_papers(["2609.10001", "2609.10001v2"])
    assert (found.announcements, found.missing) == ((), ("2609.10001", "2609.10001v2"))
    assert len(loopback_http.requests) == 3


def test_a_paper_that_arxiv_does_not_count_is_missing_at_once(
    api: ArxivApi, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/api/query"] = 200, {}, feed([entry("2609.10001v1")], total=1)
    found = api.fetch_papers(["2609.10001", "0808.0539"])
    assert found.missing == ("0808.0539",)
    assert len(loopback_http.requests) == 1


@pytest.mark.parametrize("status", [200, 400])
def test_a_request_that_arxiv_refuses_is_permanent(
    api: ArxivApi, loopback_http: LoopbackHttp, status: int
) -> None:
    loopback_http.routes["/api/query"] = status, {}, feed([ERROR])
    with pytest.raises(SourceUnavailable, match="incorrect id format for abc") as caught:
        api.fetch_papers(["2609.10001"])
    assert caught.value.permanent
    assert "\n" not in str(caught.value)


def test_a_busy_server_names_the_retry_delay(api: ArxivApi, loopback_http: LoopbackHttp) -> None:
    loopback_http.routes["/api/query"] = 503, {"Retry-After": "9"}, b""
    with pytest.raises(SourceUnavailable, match="HTTP 503") as caught:
        api.fetch_papers(["2609.10001"])
    assert caught.value.retry_after_seconds == 9
    assert len(loopback_http.requests) == 1


def test_a_connection_cut_in_the_body_may_be_retried(
    api: ArxivApi, loopback_http: LoopbackHttp
) -> None:
    whole = feed([entry("2609.10001v1")])
    headers = {"Content-Length": str(len(whole)), "Connection": "close"}
    loopback_http.routes["/api/query"] = 200, headers, whole[:300]
    with pytest.raises(SourceUnavailable) as caught:
        api.fetch_papers(["2609.10001"])
    assert not caught.value.permanent


def test_a_body_that_is_no_gzip_is_unreadable(api: ArxivApi, loopback_http: LoopbackHttp) -> None:
    loopback_http.routes["/api/query"] = 200, {"Content-Encoding": "gzip"}, b"garbage"
    with pytest.raises(SourceUnreadable, match="badly compressed"):
        api.fetch_papers(["2609.10001"])
