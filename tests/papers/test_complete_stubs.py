"""Stubs are completed by arXiv's search API; lists that keep changing are read again."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from support.servers.loopback_http import LoopbackHttp, Request
from support.sources.open_gate import OpenGate
from support.web.papers import FRIDAY, make_announcement

from service.papers.complete_stubs import complete_stubs
from service.papers.domain.types import AnnounceType, Signals
from service.papers.ingest import refresh_lists
from service.papers.sources.arxiv_api import ArxivApi
from service.papers.sources.http_fetch import Caller, Fetcher
from service.papers.sources.registry import build_sources
from service.papers.store.batches import open_batch
from service.papers.store.models import Paper, Signal
from service.papers.store_announcements import store_announcements
from service.platform.settings.settings import Settings

ENTRY = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom"
 xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/"><title>arXiv Query</title>
<opensearch:totalResults>1</opensearch:totalResults><opensearch:startIndex>0</opensearch:startIndex>
<opensearch:itemsPerPage>1</opensearch:itemsPerPage>
<entry><id>http://arxiv.org/abs/2609.00001v1</id><title>The whole title</title>
<published>2026-09-17T10:00:00Z</published><updated>2026-09-17T10:00:00Z</updated>
<summary>The whole abstract.</summary><author><name>Ada Lovelace</name></author>
<category term="cs.CL" scheme="x"/><arxiv:primary_category term="cs.CL"/>
<link href="https://arxiv.org/abs/2609.00001v1" rel="alternate" type="text/html"/></entry></feed>"""


def list_stub(sessions: sessionmaker[Session], now: datetime) -> None:
    stub = make_announcement(
        1, "A stub", source="huggingface", announce_type=AnnounceType.LISTED, categories=(),
        primary_category=None, signals=Signals(upvotes=3),
    )  # fmt: skip
    with sessions.begin() as session:
        batch = open_batch(session, "huggingface", "", FRIDAY, now)
        store_announcements(session, batch, [stub], now)


def test_a_paper_known_only_from_a_list_gets_its_categories_and_is_new_only_once(
    sessions: sessionmaker[Session], loopback_http: LoopbackHttp, now: datetime
) -> None:
    list_stub(sessions, now)
    loopback_http.routes["/query"] = (200, {}, ENTRY.encode())
    api = ArxivApi(f"{loopback_http.url}/query", Fetcher(Caller(), OpenGate()))
    assert complete_stubs(sessions, api, now) == 1
    with sessions() as session:
        (paper,) = session.execute(select(Paper)).scalars()
    assert (paper.title, paper.categories, paper.source) == ("The whole title", ["cs.CL"], "arxiv")
    assert (paper.announced_as, paper.first_announced_on) == (AnnounceType.LISTED, FRIDAY)
    assert complete_stubs(sessions, api, now) == 0
    assert len(loopback_http.requests) == 1


def test_an_unavailable_api_leaves_stubs_unchanged(
    sessions: sessionmaker[Session], loopback_http: LoopbackHttp, now: datetime
) -> None:
    list_stub(sessions, now)
    api = ArxivApi(f"{loopback_http.url}/none", Fetcher(Caller(), OpenGate()))
    assert complete_stubs(sessions, api, now) == 0


def test_later_votes_are_stored_as_separate_signals(
    sessions: sessionmaker[Session], settings: Settings, loopback_http: LoopbackHttp, now: datetime
) -> None:
    settings = settings.model_copy(
        update={"sources": ("huggingface",), "huggingface_url": loopback_http.url}
    )
    votes = {"upvotes": 3}

    def answer(request: Request) -> tuple[int, dict[str, str], bytes]:
        is_thursday = "date=2026-09-17" in request.query
        paper = '[{"paper": {"id": "2609.00001", "title": "T", "summary": "A.", "upvotes": %d}}]'
        return 200, {}, (paper % votes["upvotes"]).encode() if is_thursday else b"[]"

    loopback_http.routes["/api/daily_papers"] = answer
    sources = build_sources(settings, OpenGate())
    refresh_lists(sessions, settings, sources, now)
    votes["upvotes"] = 40
    refresh_lists(sessions, settings, sources, now + timedelta(hours=2))
    refresh_lists(sessions, settings, sources, now + timedelta(days=1))
    with sessions() as session:
        looks = session.execute(
            select(Signal.observed_on, Signal.upvotes).order_by(Signal.observed_on)
        ).all()
    assert [tuple(look) for look in looks] == [
        (now.date(), 40),
        (now.date() + timedelta(days=1), 40),
    ]
