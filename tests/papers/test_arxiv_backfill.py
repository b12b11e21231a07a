"""Backfill: since when arXiv is harvested, and a deleted record that withdraws its paper once."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.servers.loopback_http import LoopbackHttp, Request, Response
from support.sources.oai_answers import RAW, answer, listed, record
from support.sources.open_gate import OpenGate
from support.web.papers import FRIDAY, make_announcement, store_papers

from service.papers.arxiv_backfill import heal_arxiv
from service.papers.domain.types import PaperEventKind
from service.papers.sources.arxiv_oai import ArxivOai
from service.papers.sources.http_fetch import Caller, Fetcher
from service.papers.store.models import Harvest, Paper, PaperEvent
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings

DELETED = """<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">
<responseDate>2026-09-18T05:00:00Z</responseDate><request verb="ListRecords">x</request>
<ListRecords><record><header status="deleted"><identifier>oai:arXiv.org:2609.00001</identifier>
<datestamp>2026-09-18</datestamp></header></record><record><header status="deleted">
<identifier>oai:arXiv.org:2609.77777</identifier><datestamp>2026-09-18</datestamp></header></record>
</ListRecords></OAI-PMH>"""


def test_a_deleted_record_withdraws_its_paper_once_and_an_unknown_record_changes_nothing(
    settings: Settings, engine: Engine, session: Session, loopback_http: LoopbackHttp, now: datetime
) -> None:
    store_papers(session, [make_announcement(1, "Gone"), make_announcement(2, "Stays")], FRIDAY)
    settings = settings.model_copy(update={"arxiv_categories": ("cs.CL",)})
    loopback_http.routes["/oai"] = (200, {}, DELETED.encode())
    oai = ArxivOai(f"{loopback_http.url}/oai", Fetcher(Caller(), OpenGate()))
    first, second = (
        heal_arxiv(make_sessions(engine), settings, oai, now)[0].updated_count for _ in range(2)
    )
    assert (first, second) == (1, 0)
    rows = session.execute(select(Paper.key, Paper.is_withdrawn).order_by(Paper.key)).all()
    assert [tuple(row) for row in rows] == [("arxiv:2609.00001", True), ("arxiv:2609.00002", False)]
    (event,) = session.execute(select(PaperEvent)).scalars()
    assert (event.kind, event.detail) == (PaperEventKind.WITHDRAWN, "deleted")


FIRST = datetime(2026, 9, 18, 5, tzinfo=UTC)
NOTHING = answer('<error code="noRecordsMatch"/>')
PAGE = listed(record(RAW, "2609.10001"), token="rest")


def harvests(engine: Engine, settings: Settings, http: LoopbackHttp, now: datetime) -> list[str]:
    """Harvest cs.CL, which was watched long before, and return the days from which it was asked."""
    settings = settings.model_copy(update={"arxiv_categories": ("cs.CL",)})
    oai = ArxivOai(f"{http.url}/oai", Fetcher(Caller(), OpenGate()))
    before = len(http.requests)
    heal_arxiv(make_sessions(engine), settings, oai, now)
    queries = [parse_qs(request.query) for request in http.requests[before:]]
    return [query["from"][0] for query in queries if "from" in query]


def at(page: bytes, moment: datetime) -> bytes:
    """Return a page with the server's time."""
    begin, _, rest = page.partition(b"<responseDate>")
    return begin + f"<responseDate>{moment:%Y-%m-%dT%H:%M:%SZ}".encode() + rest[20:]


def watch_since_august(session: Session) -> None:
    store_papers(session, [make_announcement(1, "Old")], FRIDAY - timedelta(days=40))


def test_a_week_is_read_again_once_a_night_and_in_between_what_changed_since_the_last_answer(
    settings: Settings, engine: Engine, session: Session, loopback_http: LoopbackHttp
) -> None:
    watch_since_august(session)
    times = [FIRST + timedelta(hours=3 * n) for n in range(16)]
    begun: list[list[str]] = []
    for now in times:
        loopback_http.routes["/oai"] = (200, {}, at(NOTHING, now))
        begun.append(harvests(engine, settings, loopback_http, now))
    first, second = "2026-09-11", "2026-09-12"
    # From 24:00 UTC on the server's day is the next one; New York's is at 04:00.
    since = ["2026-09-17"] * 7 + ["2026-09-18"]
    assert begun == [
        [one] for one in [first, *since[:-1], second, *(day_after(one) for one in since[:-1])]
    ]


def day_after(day: str) -> str:
    return str(datetime.fromisoformat(day).date() + timedelta(days=1))


def test_a_harvest_that_broke_off_begins_from_the_same_day_again(
    settings: Settings, engine: Engine, session: Session, loopback_http: LoopbackHttp
) -> None:
    watch_since_august(session)

    def break_off(request: Request) -> Response:
        is_rest = "resumptionToken" in request.query
        return (500, {}, b"") if is_rest else (200, {}, at(PAGE, FIRST))

    loopback_http.routes["/oai"] = break_off
    for hours in (0, 3):
        now = FIRST + timedelta(hours=hours)
        assert harvests(engine, settings, loopback_http, now) == ["2026-09-11"]
    assert session.get(Harvest, "cs.CL") is None
    loopback_http.routes["/oai"] = (200, {}, at(NOTHING, FIRST + timedelta(hours=6)))
    for hours, since in ((6, "2026-09-11"), (9, "2026-09-17")):
        now = FIRST + timedelta(hours=hours)
        assert harvests(engine, settings, loopback_http, now) == [since]


def test_the_time_is_that_of_the_first_page_and_never_ahead_of_ours(
    settings: Settings, engine: Engine, session: Session, loopback_http: LoopbackHttp
) -> None:
    watch_since_august(session)

    def serve(request: Request) -> Response:
        is_rest = "resumptionToken" in request.query
        later = at(listed(record(RAW, "2609.10002")), FIRST + timedelta(days=2))
        return 200, {}, later if is_rest else at(PAGE, FIRST - timedelta(minutes=1))

    loopback_http.routes["/oai"] = serve
    harvests(engine, settings, loopback_http, FIRST)
    found = session.get(Harvest, "cs.CL")
    assert found is not None
    assert found.responded_at == FIRST - timedelta(minutes=1)
    loopback_http.routes["/oai"] = (200, {}, at(NOTHING, FIRST + timedelta(days=900)))
    harvests(engine, settings, loopback_http, FIRST)
    session.refresh(found)
    assert found.responded_at == FIRST


def test_after_weeks_away_everything_since_the_last_answer_is_harvested(
    settings: Settings, engine: Engine, session: Session, loopback_http: LoopbackHttp
) -> None:
    watch_since_august(session)
    loopback_http.routes["/oai"] = (200, {}, at(NOTHING, FIRST))
    harvests(engine, settings, loopback_http, FIRST)
    later = FIRST + timedelta(days=25)
    assert harvests(engine, settings, loopback_http, later) == ["2026-09-17"]


def test_a_category_that_was_harvested_longest_ago_comes_first(
    settings: Settings, engine: Engine, session: Session, loopback_http: LoopbackHttp
) -> None:
    for category in ("cs.AI", "cs.CL", "cs.LG"):
        papers = [make_announcement(1, "Old")]
        store_papers(session, papers, FRIDAY - timedelta(days=40), category)
    oai = ArxivOai(f"{loopback_http.url}/oai", Fetcher(Caller(), OpenGate()))
    for hours, watched in enumerate((("cs.LG",), ("cs.AI",), ("cs.AI", "cs.CL", "cs.LG"))):
        now = FIRST + timedelta(hours=hours)
        loopback_http.routes["/oai"] = (200, {}, at(NOTHING, now))
        here = settings.model_copy(update={"arxiv_categories": watched})
        heal_arxiv(make_sessions(engine), here, oai, now)
    sets = [parse_qs(one.query)["set"][0] for one in loopback_http.requests]
    assert sets == ["cs:cs:LG", "cs:cs:AI", "cs:cs:CL", "cs:cs:LG", "cs:cs:AI"]
