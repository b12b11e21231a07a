"""The sources that an operator configures, built and fetched over loopback."""

import time
from collections.abc import Callable
from datetime import date
from functools import partial

import pytest
from support.servers.loopback_http import LoopbackHttp, Request, Response
from support.sources.open_gate import OpenGate

from service.papers.domain.source_names import SOURCE_NAMES, SOURCES
from service.papers.sources.arxiv_feed import ArxivFeed
from service.papers.sources.base import Expectation, FetchState, SourceUnavailable, SourceUnreadable
from service.papers.sources.registry import (
    OAI_TIMEOUTS,
    SourceNotAvailable,
    build_api,
    build_oai,
    build_sources,
)
from service.platform.settings.settings import Settings
from service.topics.domain.language import parse_query

FEED = b"""<rss><channel><title>cs.CL</title><pubDate>Fri, 18 Sep 2026 00:00:00 -0400</pubDate>
</channel></rss>"""


def test_the_configured_sources_fetch_and_parse_over_http(loopback_http: LoopbackHttp) -> None:
    settings = Settings(
        sources=("huggingface", "arxiv", "arxiv"),
        arxiv_feed_url=loopback_http.url,
        huggingface_url=f"{loopback_http.url}/",
        contact="ops@paperboy.example",
    )
    loopback_http.routes["/rss/cs.CL"] = (200, {"ETag": '"day"'}, FEED)
    loopback_http.routes["/api/daily_papers?limit=100&date=2026-09-18"] = (200, {}, b"[]")
    loopback_http.routes["/api/daily_papers?limit=100"] = (200, {}, b"[]")

    huggingface, arxiv = build_sources(settings, OpenGate())
    assert (arxiv.name, arxiv.gates_editions) == ("arxiv", True)
    assert (huggingface.name, huggingface.gates_editions) == ("huggingface", False)
    assert huggingface.expect("") is arxiv.expect("cs.CL") is None

    fetched = arxiv.fetch("cs.CL", date(2026, 9, 18), FetchState())
    assert fetched.etag == '"day"'
    assert fetched.payload == FEED
    assert arxiv.parse(fetched.payload).rendered_on == date(2026, 9, 18)
    for on in (date(2026, 9, 18), None):
        fetched = huggingface.fetch("", on, FetchState())
        assert fetched.payload == b"[]"
        assert huggingface.parse(fetched.payload).announcements == ()
    agents = {request.headers["User-Agent"] for request in loopback_http.requests}
    assert len(agents) == 1
    assert agents.pop().endswith("(+http://127.0.0.1:8000; ops@paperboy.example)")


def test_a_source_that_is_unknown_is_refused_with_its_name() -> None:
    settings = Settings().model_copy(update={"sources": ("arxiv", "axriv")})
    with pytest.raises(SourceNotAvailable, match="unknown source 'axriv'; known are arxiv, hugg"):
        build_sources(settings, OpenGate())


def test_every_source_of_the_list_is_built_and_named_in_topics_and_texts() -> None:
    settings = Settings(sources=SOURCE_NAMES)
    assert tuple(source.name for source in build_sources(settings, OpenGate())) == SOURCE_NAMES
    for source in SOURCES:
        assert source.doctor_setting in {"", *Settings.model_fields}
        for alias in source.aliases:
            assert parse_query(f"src:{alias}") == parse_query(f"src:{source.name}")


def test_preprint_servers_and_journals_are_sources_of_their_own_names() -> None:
    settings = Settings(
        sources=("biorxiv", "medrxiv"),
        journal_feeds=("nature=https://nature.example/rss", "cell=https://cell.example/rss"),
    )
    sources = build_sources(settings, OpenGate())
    assert [s.name for s in sources] == ["biorxiv", "medrxiv", "journal.nature", "journal.cell"]
    assert not any(source.gates_editions for source in sources)
    assert [source.expect("") for source in sources] == [None] * 4


@pytest.mark.parametrize("feed_url", ["http://127.0.0.1:9/rss", "https://rss.arxiv.org"])
def test_with_a_recorded_feed_arxiv_itself_is_not_requested(feed_url: str) -> None:
    settings = Settings(arxiv_feed_url=feed_url)
    is_real = "arxiv.org" in feed_url
    (arxiv, _) = build_sources(settings, OpenGate())
    assert isinstance(arxiv, ArxivFeed)
    assert (arxiv.listing is not None) is is_real
    assert (build_oai(settings, OpenGate()) is not None) is is_real
    assert (build_api(settings, OpenGate()) is not None) is is_real
    own = settings.model_copy(
        update={"arxiv_oai_url": "http://127.0.0.1:9/oai", "arxiv_api_url": "http://127.0.0.1:9/q"}
    )
    assert build_oai(own, OpenGate()) is not None
    assert build_api(own, OpenGate()) is not None


def test_the_listing_says_how_many_papers_to_expect(loopback_http: LoopbackHttp) -> None:
    settings = Settings(
        sources=("arxiv",), arxiv_feed_url=loopback_http.url, arxiv_list_url=loopback_http.url
    )
    page = b"<html><body><h3>Showing new listings for Friday, 18 September 2026</h3>"
    loopback_http.routes["/cs.CL/new"] = (
        200,
        {},
        page + b"\n<p>No updates today.</p></body></html>",
    )
    (arxiv,) = build_sources(settings, OpenGate())
    assert arxiv.expect("cs.CL") == Expectation(date(2026, 9, 18), 0)


def test_every_request_to_a_source_names_the_operator(loopback_http: LoopbackHttp) -> None:
    url = loopback_http.url
    settings = Settings(
        sources=SOURCE_NAMES,
        arxiv_feed_url=url,
        arxiv_list_url=f"{url}/list",
        arxiv_oai_url=f"{url}/oai",
        arxiv_api_url=f"{url}/api",
        huggingface_url=url,
        biorxiv_url=url,
        journal_feeds=(f"nature={url}/nature",),
        contact="ops@paperboy.example",
    )
    sources = build_sources(settings, OpenGate())
    oai, api = build_oai(settings, OpenGate()), build_api(settings, OpenGate())
    assert oai is not None
    assert api is not None
    requests: list[Callable[[], object]] = [
        *(partial(source.fetch, "cs.CL", None, FetchState()) for source in sources),
        lambda: sources[0].expect("cs.CL"),
        lambda: list(oai.harvest(date(2026, 9, 17))),
        lambda: api.fetch_papers(["2609.00001"]),
    ]
    for number, request in enumerate(requests, start=1):
        with pytest.raises(SourceUnavailable, match="HTTP 404"):
            request()
        assert len(loopback_http.requests) == number
    agents = {request.headers["User-Agent"] for request in loopback_http.requests}
    assert len(agents) == 1
    assert "ops@paperboy.example" in agents.pop()


def test_oai_may_answer_when_others_are_given_up(loopback_http: LoopbackHttp) -> None:
    def slow(_: Request) -> Response:
        time.sleep(1)
        return 200, {}, b"<nothing/>"

    loopback_http.routes |= {"/oai": slow, "/rss/cs.CL": slow}
    url = loopback_http.url
    settings = Settings(
        sources=("arxiv",), arxiv_feed_url=url, arxiv_oai_url=f"{url}/oai", http_timeout_seconds=0.4
    )
    (arxiv,), oai = build_sources(settings, OpenGate()), build_oai(settings, OpenGate())
    with pytest.raises(SourceUnavailable, match="timed out"):
        arxiv.fetch("cs.CL", None, FetchState())
    assert oai is not None
    with pytest.raises(SourceUnreadable, match="not OAI-PMH"):
        list(oai.harvest(date(2026, 9, 17)))
    assert OAI_TIMEOUTS * Settings().http_timeout_seconds == 180
