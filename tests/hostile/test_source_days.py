"""What can happen to a day at its source, and what mails and pages then say: one test a line."""

import threading
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine
from support.servers.loopback_http import LoopbackHttp, Response
from support.sources.source_days import (
    ALL,
    CATEGORIES,
    LOST,
    MONDAY,
    NOTHING_NEW,
    ONLY_LOST,
    SourceDays,
    away,
    check_late,
    check_words,
    edit,
    make_source_days,
    refused,
    reset,
    unavailable,
)
from support.sources.upstream import Ask, render_listing

from service.cli.report_lines import story_lines
from service.operations.explain import find_subscriber_story
from service.operations.status import find_status
from service.papers.domain.types import BatchState, SourceAnswer
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import email_key
from service.presentation.coverage import coverage_text

pytestmark = pytest.mark.slow

TUESDAY, SUNDAY, FRIDAY = (MONDAY + timedelta(days=n) for n in (1, -1, -3))
LABOR_DAY = date(2026, 9, 7)
WHOLE = "102 of 102 announced papers checked"
UNREAD = "cs.CL could not be read; its papers come late, marked."
UNREACHED = "arXiv could not be reached today. What it announced will come late, marked."
SILENT = "arXiv announced nothing that we could confirm"
EVERYTHING = ("feed", "listing", "oai")

Make = Callable[[SourceDays, Ask, Response], Response]


@pytest.fixture
def days(loopback_http: LoopbackHttp, settings: Settings, engine: Engine) -> SourceDays:
    return make_source_days(loopback_http, settings, engine)


def cut(body: bytes) -> bytes:
    return body[: len(body) // 2]


def shortened(_days: SourceDays, _ask: Ask, answer: Response) -> Response:
    headers = {"Content-Length": str(len(answer[2]) + 1000), "Connection": "close"}
    return 200, headers, answer[2]


def changed(change: Callable[[bytes], bytes]) -> Make:
    return lambda _days, ask, answer: edit(change)(ask, answer)


BOMB = b'<!DOCTYPE rss [<!ENTITY a "b">]><rss><channel>&a;</channel></rss>'
READ_FAULTS: dict[str, Make] = {
    "truncated": changed(cut),
    "cut by Content-Length": shortened,
    "HTML": changed(lambda _: b"<!DOCTYPE html><html><body>Sorry</body></html>"),
    "reset": lambda _days, ask, answer: reset(ask, answer),
    "another charset": changed(lambda body: body.decode().encode("utf-16")),
    "a charset not declared": changed(
        lambda body: body.replace(b"Lovelace", "Lövelace".encode("latin-1"))
    ),
    "yesterday's": lambda days, ask, _: days.feed(ask.category, FRIDAY, FRIDAY),
    "yesterday's, dated today": lambda days, ask, _: days.feed(ask.category, FRIDAY, MONDAY),
    "tomorrow's, dated today": lambda days, ask, _: days.feed(ask.category, TUESDAY, MONDAY),
    "an entity bomb": changed(lambda _: BOMB),
}


@pytest.mark.parametrize("name", READ_FAULTS)
def test_a_feed_that_cannot_be_read_makes_the_edition_wait_for_oai(
    days: SourceDays, name: str
) -> None:
    days.live_before()
    days.spoil(lambda ask, answer: READ_FAULTS[name](days, ask, answer), "feed", categories=[LOST])
    days.live(MONDAY, 3, 5)
    assert not days.has_edition(MONDAY)
    assert days.batch().answer is not SourceAnswer.READ
    days.live(MONDAY, 6, 15)
    assert (days.batch().state, days.batch().answer) == (BatchState.COMPLETE, SourceAnswer.READ)
    check_words(days, line=WHOLE)
    check_late(days, 0)


@pytest.mark.parametrize("name", READ_FAULTS)
def test_a_feed_that_cannot_be_read_on_a_day_without_oai_is_named(
    days: SourceDays, name: str
) -> None:
    days.live_before()
    days.spoil(lambda ask, answer: READ_FAULTS[name](days, ask, answer), "feed", categories=[LOST])
    days.spoil(away, "oai")
    days.live(MONDAY, 5, 6)
    assert not days.has_edition(MONDAY)
    days.live(MONDAY, 15)
    check_words(days, UNREAD, line="86 of 111 announced papers checked")
    check_late(days, 16)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda body: body.replace(b"number 21003", b"num\xffber"), id="a byte"),
        pytest.param(
            lambda body: body.replace(b"<title>Paper number 21003", b"<ti\xfftle>"), id="tag"
        ),
        pytest.param(lambda body: body.replace(b"number 21003", b"x" * 10_500_000), id="10 MB"),
        pytest.param(lambda body: body.replace(b"number 21003", b"a < b & c"), id="markup"),
        pytest.param(lambda body: body.replace(b"oai:arXiv.org:2609.21003v1", b""), id="no id"),
    ],
)
def test_one_bad_entry_costs_one_record(days: SourceDays, change: Callable[[bytes], bytes]) -> None:
    days.live_before()
    days.spoil(edit(change), "feed", categories=[LOST])
    days.live(MONDAY, 5, 15)
    batch = days.batch()
    assert (batch.state, batch.answer, batch.bad_count) == ("complete", "read", 1)
    sentence = "1 entry could not be read (cs.CL)."
    assert sentence in days.mail_of(MONDAY)
    assert "101 of 102 announced papers checked" in days.mail_of(MONDAY)
    check_late(days, 1)
    # OAI-PMH has brought it, so that the day is whole now.
    assert WHOLE in days.pages_of(MONDAY, f"/daily/{MONDAY}")[f"/daily/{MONDAY}"]


def half(days: SourceDays, ask: Ask, _answer: Response) -> Response:
    """Return the feed with 8 of 16 papers of cs.CL alone, and 5 of 9 shared ones."""
    everything = days.upstream.events
    kept = {21_000 + n for n in range(8)} | {20_000 + n for n in range(5)}
    days.upstream.events = [event for event in everything if event.number in kept]
    try:
        return days.feed(ask.category, MONDAY, MONDAY)
    finally:
        days.upstream.events = everything


def test_half_of_the_items_are_counted_by_the_listing(days: SourceDays) -> None:
    days.live_before()
    days.spoil(lambda ask, answer: half(days, ask, answer), "feed", categories=[LOST])
    days.spoil(away, "oai")
    days.live(MONDAY, 5, 6, 15)
    missing = "12 papers of cs.CL are missing; they come late, marked."
    check_words(days, missing, line="94 of 106 announced papers checked")
    check_late(days, 8)


def test_half_of_the_items_without_a_listing_are_not_called_all(days: SourceDays) -> None:
    days.live_before()
    days.spoil(lambda ask, answer: half(days, ask, answer), "feed", categories=[LOST])
    days.spoil(away, "listing", categories=[LOST])
    days.spoil(away, "oai")
    days.live(MONDAY, 5, 6, 15)
    check_words(days, line="94 papers read; arXiv's own count was not available for cs.CL")
    check_late(days, 8)


@pytest.mark.parametrize("categories", [CATEGORIES, (LOST,)], ids=["all", "one"])
def test_an_empty_feed_that_nothing_confirms_is_no_holiday(
    days: SourceDays, categories: tuple[str, ...]
) -> None:
    days.live_before()
    empty = lambda ask, _: days.feed(ask.category, SUNDAY, MONDAY)  # noqa: E731
    days.spoil(empty, "feed", categories=categories)
    days.spoil(away, "listing", categories=categories)
    days.spoil(away, "oai")
    days.live(MONDAY, 5, 6, 15)
    assert days.batch().answer is SourceAnswer.SILENT
    check_words(days, f"{SILENT}." if len(categories) > 1 else f"{SILENT} in cs.CL.")
    if len(categories) == 1:
        assert "86 checked; nothing is confirmed for cs.CL" in days.mail_of(MONDAY)
    check_late(days, 102 if len(categories) > 1 else 16)


def test_one_category_that_cannot_be_reached_is_named(
    loopback_http: LoopbackHttp, settings: Settings, engine: Engine
) -> None:
    days = make_source_days(loopback_http, settings, engine, shared=0)
    days.live_before()
    days.spoil(away, *EVERYTHING, categories=[LOST])
    days.live(MONDAY, 5, 6, 15)
    batch = days.batch()
    assert (batch.state, batch.answer) == (BatchState.CLOSED, SourceAnswer.UNREACHABLE)
    assert batch.note.startswith("closed: the source could not be reached; ")
    check_words(
        days,
        "arXiv could not be reached today: cs.CL is missing; it will come late, marked.",
        line="86 checked; cs.CL could not be reached",
    )
    only = days.mail_of(MONDAY, ONLY_LOST)
    assert "cs.CL could not be reached today; what it announced will come late, marked." in only
    assert "Nothing new" not in only
    check_commands(days, "86 checked; cs.CL could not be reached")
    check_late(days, 25)
    assert "Paper number 21024" in days.mail_of(days.tuesday, ONLY_LOST)


def check_commands(days: SourceDays, line: str) -> None:
    """Check what `paperboy why` and `paperboy status` say of Monday."""
    here = days.here
    found = find_subscriber_story(
        here.sessions, email_key(ONLY_LOST), MONDAY, here.settings.secret_key
    )
    assert found.story is not None
    assert line in "\n".join(story_lines(found.story))
    status = find_status(here.sessions, here.settings, MONDAY, here.now)
    assert status.coverage is not None
    assert coverage_text(status.coverage).startswith(line)
    answers = {batch.category: batch.answer for batch in status.batches}
    assert answers[LOST] is SourceAnswer.UNREACHABLE
    assert answers["cs.LG"] is SourceAnswer.READ


@pytest.mark.parametrize("make", [unavailable, reset, refused], ids=["503", "reset", "403"])
def test_all_of_arxiv_away_for_a_day_is_no_holiday(
    days: SourceDays, make: Callable[[Ask, Response], Response]
) -> None:
    days.live_before()
    days.spoil(make, *EVERYTHING)
    days.live(MONDAY, 5, 6, 15)
    check_words(days, UNREACHED)
    check_outage_pages(days)
    assert "cs.CL could not be reached today" in days.mail_of(MONDAY, ONLY_LOST)
    check_late(days, 102)


def check_outage_pages(days: SourceDays) -> None:
    """Check the front page, which shows the last day with papers, and the Atom feed."""
    pages = days.pages_of(MONDAY, "/", "/feeds/daily.atom")
    assert UNREACHED in pages["/"]
    assert UNREACHED in pages["/feeds/daily.atom"]
    assert f"/daily/{MONDAY}" in pages["/feeds/daily.atom"]


def test_connections_that_hang_all_day_are_no_holiday(
    loopback_http: LoopbackHttp, settings: Settings, engine: Engine
) -> None:
    days = make_source_days(loopback_http, settings, engine, timeout=2.0)
    days.live_before()
    released = threading.Event()

    def hang(ask: Ask, _answer: Response) -> Response:
        released.wait(20)
        return reset(ask, _answer)

    days.spoil(hang, *EVERYTHING)
    # A shorter patience, so that the test does not wait for all of its requests.
    impatient = days.here.settings.model_copy(update={"http_timeout_seconds": 0.1})
    days.here.settings = impatient
    days.here.__post_init__()
    try:
        days.live(MONDAY, 5, 15)
    finally:
        released.set()
    check_words(days, UNREACHED)
    days.here.settings = days.here.press.settings
    days.here.__post_init__()
    check_late(days, 102)


def test_a_429_is_kept_to_by_all_and_the_edition_waits(days: SourceDays) -> None:
    days.live_before()
    days.spoil(
        lambda _ask, _answer: (429, {"Retry-After": "3600"}, b"Rate exceeded."),
        *EVERYTHING,
        until=2,
    )
    days.upstream.requests.clear()
    days.live(MONDAY, 5)
    assert len(days.upstream.requests) == 1
    assert not days.has_edition(MONDAY)
    assert days.batch().answer is SourceAnswer.UNREACHABLE
    days.live(MONDAY, 6, 15)
    assert days.batch().answer is SourceAnswer.READ
    check_words(days, line=WHOLE)
    check_late(days, 0)


def _items(feed: bytes) -> bytes:
    return feed.partition(b"</skipDays>")[2].partition(b"</channel>")[0]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            changed(lambda body: body.replace(b"</channel>", _items(body) + b"</channel>")),
            id="ids twice",
        ),
        pytest.param(
            lambda days, ask, _: days.feed(ask.category, MONDAY, TUESDAY), id="dated tomorrow"
        ),
        pytest.param(
            lambda _days, _ask, answer: (200, {}, answer[2].replace(b"Paper n", b"Paper\0 n")),
            id="NUL",
        ),
    ],
)
def test_a_feed_that_is_only_odd_is_read_with_nothing_to_say(days: SourceDays, make: Make) -> None:
    days.live_before()
    days.spoil(lambda ask, answer: make(days, ask, answer), "feed", categories=[LOST])
    days.live(MONDAY, 5)
    assert (days.batch().state, days.batch().answer) == ("complete", "read")
    days.live(MONDAY, 15)
    check_words(days, line=WHOLE)
    assert " not " not in days.mail_of(MONDAY).partition("Paper")[0]
    check_late(days, 0)


def without_monday(days: SourceDays) -> None:
    days.upstream.events = [event for event in days.upstream.events if event.on != days.monday]


def test_a_listing_that_announces_nothing_is_quoted(days: SourceDays) -> None:
    without_monday(days)
    days.live_before()
    days.spoil(lambda ask, _: (200, {}, render_listing(MONDAY, [], ask.category)), "listing")
    days.live(MONDAY, 5)
    assert (days.batch().state, days.batch().answer) == ("complete", "nothing")
    days.live(MONDAY, 15)
    sentence = "arXiv announced nothing today."
    assert sentence in days.mail_of(MONDAY)
    assert NOTHING_NEW in days.mail_of(MONDAY, ONLY_LOST)
    assert all(sentence in page for page in days.pages_of(MONDAY).values())
    check_late(days, 0)


@pytest.mark.parametrize("listing", ["says so", "shows Friday", "is away"])
def test_a_holiday_is_one_where_calendar_and_listing_agree(
    loopback_http: LoopbackHttp, settings: Settings, engine: Engine, listing: str
) -> None:
    days = make_source_days(loopback_http, settings, engine, monday=LABOR_DAY)
    without_monday(days)
    days.live_before()
    if listing == "says so":
        days.spoil(lambda ask, _: (200, {}, render_listing(LABOR_DAY, [], ask.category)), "listing")
    elif listing == "is away":
        days.spoil(away, "listing")
    days.live(LABOR_DAY, 5, 6, 15)
    is_away = listing == "is away"
    sentence = f"{SILENT}." if is_away else "Nothing was announced: a holiday at arXiv."
    for text in (days.mail_of(LABOR_DAY), *days.pages_of(LABOR_DAY).values()):
        assert sentence in text
        assert ("a holiday" in text) is not is_away


def test_a_day_that_comes_at_eight_is_sent_whole_without_an_apology(days: SourceDays) -> None:
    days.live_before()

    def list_friday(ask: Ask, _answer: Response) -> Response:
        friday = days.upstream.announced_on(ask.category, FRIDAY)
        return 200, {}, render_listing(FRIDAY, friday, ask.category)

    days.spoil(lambda ask, _: days.feed(ask.category, SUNDAY, MONDAY), "feed", until=8)
    days.spoil(list_friday, "listing", until=8)
    days.live(MONDAY, 5, 8, 11)
    assert not days.has_edition(MONDAY)
    days.live(MONDAY, 12, 15)
    assert days.batch().answer is SourceAnswer.READ
    check_words(days, line=WHOLE)
    assert "late" not in days.mail_of(MONDAY).partition("Paper number")[0]
    check_late(days, 0)


def test_a_day_that_comes_after_the_deadline_is_missing_and_then_late(days: SourceDays) -> None:
    days.live_before()
    days.spoil(lambda ask, _: days.feed(ask.category, SUNDAY, MONDAY), "feed", until=11)
    days.spoil(away, "listing", "oai", until=12)
    days.live(MONDAY, 5, 8)
    assert not days.has_edition(MONDAY)
    days.live(MONDAY, 14)
    assert days.batch().state is BatchState.CLOSED
    days.live(MONDAY, 16)
    assert f"{SILENT}." in days.mail_of(MONDAY)
    check_late(days, 102)


def test_a_source_that_answers_later_on_the_day_ends_as_answered(days: SourceDays) -> None:
    days.live_before()
    days.spoil(reset, *EVERYTHING, until=2)
    days.live(MONDAY, 5)
    refusal = days.batch()
    assert (refusal.answer, bool(refusal.failure)) == (SourceAnswer.UNREACHABLE, True)
    days.live(MONDAY, 8, 15)
    assert (days.batch().answer, days.batch().failure) == (SourceAnswer.READ, "")
    check_words(days, line=WHOLE)
    assert ALL in days.here.transport.recipients
