"""The listing check: a late count still reopens a batch until its deadline."""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.servers.loopback_http import LoopbackHttp
from support.sources.feeds import Told, render_feed
from support.sources.open_gate import OpenGate
from support.sources.provider import morning

from service.papers.domain.types import BatchState, SourceAnswer
from service.papers.ingest import ingest_source
from service.papers.listing_check import close_overdue, fetch_expected_count
from service.papers.sources.base import Source
from service.papers.sources.registry import build_sources
from service.papers.store.batches import find_batch
from service.papers.store.crawl_gate import SharedRateLimiter
from service.papers.store.gates import reopen_gate
from service.papers.store.models import Batch
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings

FRIDAY = date(2026, 9, 18)
LISTING = """<html><body><h3>Showing new listings for Friday, 18 September 2026</h3>
<dl id='articles'><h3>New submissions (showing {0} of {0} entries)</h3></dl></body></html>"""


def make_source(settings: Settings, http: LoopbackHttp) -> tuple[Settings, Source]:
    settings = settings.model_copy(
        update={
            "sources": ("arxiv",),
            "arxiv_categories": ("cs.CL",),
            "arxiv_feed_url": http.url,
            "arxiv_list_url": http.url,
        }
    )
    (source,) = build_sources(settings, OpenGate())
    return settings, source


def found(session: Session) -> Batch:
    session.expire_all()
    batch = find_batch(session, "arxiv", "cs.CL", FRIDAY)
    assert batch is not None
    return batch


def test_a_complete_day_is_read_again_when_the_listing_then_counts_more(
    settings: Settings, engine: Engine, session: Session, loopback_http: LoopbackHttp
) -> None:
    settings, source = make_source(settings, loopback_http)
    sessions, now = make_sessions(engine), morning(FRIDAY)
    first, second = Told(1), Told(2)
    loopback_http.routes["/rss/cs.CL"] = (200, {"ETag": '"half"'}, render_feed(FRIDAY, first))
    ingest_source(sessions, settings, source, None, now)
    assert found(session).state is BatchState.COMPLETE
    loopback_http.routes["/cs.CL/new"] = (200, {}, LISTING.format(2).encode())
    fetch_expected_count(sessions, source, "cs.CL", now)
    batch = found(session)
    assert (batch.state, batch.expected_count, batch.etag) == (BatchState.PARTIAL, 2, "")
    assert batch.note == "1 of 2 papers, as the listing says now"
    whole = render_feed(FRIDAY, first, second)
    loopback_http.routes["/rss/cs.CL"] = (200, {"ETag": '"whole"'}, whole)
    ingest_source(sessions, settings, source, None, now + timedelta(minutes=10))
    assert found(session).state is BatchState.COMPLETE
    assert len(loopback_http.requests) == 4


def test_after_the_deadline_the_listing_reopens_no_batch(
    settings: Settings, engine: Engine, session: Session, loopback_http: LoopbackHttp
) -> None:
    settings, source = make_source(settings, loopback_http)
    sessions, late = make_sessions(engine), morning(FRIDAY) + timedelta(hours=9)
    loopback_http.routes["/rss/cs.CL"] = (200, {}, render_feed(FRIDAY, Told(1)))
    ingest_source(sessions, settings, source, None, morning(FRIDAY))
    loopback_http.routes["/cs.CL/new"] = (200, {}, LISTING.format(2).encode())
    fetch_expected_count(sessions, source, "cs.CL", late)
    assert found(session).state is BatchState.COMPLETE


def test_a_day_without_any_answer_is_closed_at_its_deadline_with_a_note(
    settings: Settings, engine: Engine, session: Session, loopback_http: LoopbackHttp
) -> None:
    settings, source = make_source(settings, loopback_http)
    sessions, now = make_sessions(engine), morning(FRIDAY)
    ingest_source(sessions, settings, source, None, now)
    assert close_overdue(sessions, now) == 0
    later: datetime = now + timedelta(hours=9)
    assert close_overdue(sessions, later) == 1
    batch = found(session)
    assert (batch.state, batch.closed_at) == (BatchState.CLOSED, later)
    assert batch.answer is SourceAnswer.UNREACHABLE
    assert batch.note.startswith("closed: the source could not be reached; ")
    assert "HTTP 404" in batch.failure
    assert close_overdue(sessions, later) == 0


def polls(begin: datetime, end: datetime) -> list[datetime]:
    """Return the times of beat's wake-up tasks."""
    return [
        begin + timedelta(minutes=10 * n) for n in range((end - begin) // timedelta(minutes=10))
    ]


def listed_at(
    engine: Engine, settings: Settings, http: LoopbackHttp, times: list[datetime]
) -> list[str]:
    """Let the listing show Thursday at these times, and return when it was requested (UTC)."""
    _, source = make_source(settings, http)
    page = LISTING.format(1).replace("Friday, 18", "Thursday, 17").encode()
    http.routes["/cs.CL/new"] = (200, {}, page)
    asked: list[str] = []
    for now in times:
        before = len(http.requests)
        fetch_expected_count(make_sessions(engine), source, "cs.CL", now)
        asked += [f"{now:%H:%M}"] * (len(http.requests) - before)
    return asked


def test_before_midnight_in_new_york_a_listing_is_requested_every_half_hour(
    settings: Settings, engine: Engine, loopback_http: LoopbackHttp
) -> None:
    half_past_eight, midnight = datetime(2026, 9, 18, 0, 30, tzinfo=UTC), morning(FRIDAY)
    midnight -= timedelta(hours=2)
    asked = listed_at(engine, settings, loopback_http, polls(half_past_eight, midnight))
    assert asked == ["00:30", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30"]


def test_while_editions_wait_a_listing_is_requested_at_each_poll_and_afterwards_less(
    settings: Settings, engine: Engine, loopback_http: LoopbackHttp
) -> None:
    midnight, deadline = morning(FRIDAY) - timedelta(hours=2), morning(FRIDAY) + timedelta(hours=8)
    waited = polls(midnight, deadline)
    assert len(listed_at(engine, settings, loopback_http, waited)) == len(waited) == 60
    later = polls(deadline, deadline + timedelta(hours=2))
    asked = listed_at(engine, settings, loopback_http, later)
    assert asked == ["14:00", "14:30", "15:00", "15:30"]


def test_a_weekend_has_no_listing(
    settings: Settings, engine: Engine, loopback_http: LoopbackHttp
) -> None:
    """From Friday 20:30 to Sunday 20:30 in New York."""
    friday_night = datetime(2026, 9, 19, 0, 30, tzinfo=UTC)
    sunday_night = friday_night + timedelta(days=2)
    assert listed_at(engine, settings, loopback_http, polls(friday_night, sunday_night)) == []
    assert listed_at(engine, settings, loopback_http, [sunday_night]) == ["00:30"]


def test_a_closed_gate_does_not_use_up_the_half_hour(
    settings: Settings, engine: Engine, loopback_http: LoopbackHttp
) -> None:
    settings, _ = make_source(settings, loopback_http)
    gate = SharedRateLimiter(engine)
    (source,) = build_sources(settings, gate)
    gate.report(loopback_http.url, 503, None)
    night = datetime(2026, 9, 18, 0, 30, tzinfo=UTC)
    fetch_expected_count(make_sessions(engine), source, "cs.CL", night)
    assert loopback_http.requests == []
    with Session(engine) as session, session.begin():
        assert reopen_gate(session, f"127.0.0.1:{loopback_http.port}")
    fetch_expected_count(make_sessions(engine), source, "cs.CL", night + timedelta(minutes=10))
    assert len(loopback_http.requests) == 1
