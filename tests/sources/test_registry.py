"""The sources an operator names, built and asked over loopback."""

from __future__ import annotations

from datetime import date

import pytest
from support.loopback_http import LoopbackHttp

from service.config import Settings
from service.sources.base import FetchState
from service.sources.registry import SourceNotAvailable, build_sources

FEED = b"""<rss><channel><title>cs.CL</title><pubDate>Fri, 18 Sep 2026 00:00:00 -0400</pubDate>
</channel></rss>"""


def pass_all(_: str) -> None:
    """A gate that is always open."""


def test_the_named_sources_fetch_and_parse_over_the_wire(loopback_http: LoopbackHttp) -> None:
    settings = Settings(
        sources=("huggingface", "arxiv", "arxiv"),
        arxiv_feed_url=loopback_http.url,
        huggingface_url=f"{loopback_http.url}/",
        contact="ops@paperboy.example",
    )
    loopback_http.routes["/rss/cs.CL"] = (200, {"ETag": '"day"'}, FEED)
    loopback_http.routes["/api/daily_papers?limit=100&date=2026-09-18"] = (200, {}, b"[]")
    loopback_http.routes["/api/daily_papers?limit=100"] = (200, {}, b"[]")

    huggingface, arxiv = build_sources(settings, pass_all)
    assert (arxiv.name, arxiv.gates_editions) == ("arxiv", True)
    assert (huggingface.name, huggingface.gates_editions) == ("huggingface", False)

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


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("biorxiv", "source biorxiv is not yet available"),
        ("medrxiv", "source medrxiv is not yet available"),
        ("axriv", "unknown source 'axriv'; known are arxiv and huggingface"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused_with_its_name(name: str, reason: str) -> None:
    settings = Settings().model_copy(update={"sources": ("arxiv", name)})
    with pytest.raises(SourceNotAvailable, match=reason):
        build_sources(settings, pass_all)
