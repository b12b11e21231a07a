"""A gate that one category or journal closes does not keep the others from being read for ever."""

from datetime import timedelta

from sqlalchemy import Engine, text
from support.servers.loopback_http import LoopbackHttp
from support.sources.feeds import Told, render_feed
from support.sources.provider import morning
from support.web.papers import FRIDAY

from service.papers.ingest import failed_last, ingest_source
from service.papers.sources.registry import build_sources
from service.papers.store.crawl_gate import SharedRateLimiter
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings

MINUTES = [0, 10, 20, 30, 40]


def let_ten_minutes_pass(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE gates SET next_at = next_at - interval '601 s'"))


def test_a_category_that_is_refused_all_day_is_asked_last(
    settings: Settings, engine: Engine, loopback_http: LoopbackHttp
) -> None:
    categories = ("cs.CL", "cs.AI", "cs.LG")
    update = {
        "sources": ("arxiv",),
        "arxiv_categories": categories,
        "arxiv_feed_url": loopback_http.url,
    }
    settings = settings.model_copy(update=update)
    (source,) = build_sources(settings, SharedRateLimiter(engine))
    for number, category in enumerate(categories):
        feed = render_feed(FRIDAY, Told(number))
        loopback_http.routes[f"/rss/{category}"] = (200, {}, feed)
    loopback_http.routes["/rss/cs.CL"] = (503, {}, b"")
    told: list[list[tuple[str, str]]] = []
    for minutes in MINUTES:
        now = morning(FRIDAY) + timedelta(minutes=minutes)
        reports = ingest_source(make_sessions(engine), settings, source, None, now)
        told.append([(one.category, one.state) for one in reports])
        let_ten_minutes_pass(engine)
    first, second, *_ = told
    assert first == [("cs.CL", "expected"), ("cs.AI", "expected"), ("cs.LG", "expected")]
    assert second == [("cs.AI", "complete"), ("cs.LG", "complete"), ("cs.CL", "expected")]
    # The answers between ended the count: again 10 minutes, and then 20, over one poll.
    paths = [request.path.removeprefix("/rss/") for request in loopback_http.requests]
    assert paths == ["cs.CL", "cs.AI", "cs.LG", "cs.CL", "cs.CL", "cs.CL"]


def test_a_journal_that_is_forbidden_is_asked_after_those_of_the_same_host(
    settings: Settings, engine: Engine, loopback_http: LoopbackHttp
) -> None:
    url = loopback_http.url
    feeds = (f"one={url}/one", f"two={url}/two")
    settings = settings.model_copy(update={"sources": (), "journal_feeds": feeds})
    sources = build_sources(settings, SharedRateLimiter(engine))
    assert [source.name for source in sources] == ["journal.one", "journal.two"]
    loopback_http.routes |= {"/one": (403, {}, b""), "/two": (200, {}, b"<rss></rss>")}
    for days in (0, 1):
        now = morning(FRIDAY) + timedelta(days=days)
        for source in failed_last(make_sessions(engine), sources, now):
            ingest_source(make_sessions(engine), settings, source, None, now)
        with engine.begin() as connection:
            connection.execute(text("UPDATE gates SET next_at = next_at - interval '1 day'"))
    assert [request.path for request in loopback_http.requests] == ["/one", "/two", "/one"]
