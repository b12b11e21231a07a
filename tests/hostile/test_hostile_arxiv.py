"""Despite all faults of arXiv's channels, every paper is in one edition, and batches count right."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from support.servers.loopback_http import Response
from support.sources.hostile_world import (
    CATEGORIES,
    FRIDAY,
    MONDAY,
    SATURDAY,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    World,
)
from support.sources.upstream import Ask, Event, Fault, render_listing, render_oai_error

from service.deliveries.domain.recipients import Cadence

pytestmark = pytest.mark.slow

FIRST_COUNT = 6  # Four new and two cross-listed papers, in every category on every day.
BEFORE = {THURSDAY: WEDNESDAY, FRIDAY: THURSDAY, MONDAY: FRIDAY}


def spoil(
    channel: str,
    make: Callable[[Ask, Response], Response],
    *,
    on: tuple[date, ...] = (THURSDAY,),
    until: int = 24,
    categories: tuple[str, ...] = (*CATEGORIES, ""),
) -> Fault:
    """Return a fault of one channel on some days until an hour, both in New York."""

    def fault(ask: Ask, answer: Response) -> Response:
        is_hit = ask.channel == channel and ask.category in categories
        is_time = ask.local.date() in on and ask.local.hour < until
        return make(ask, answer) if is_hit and is_time else answer

    return fault


def unavailable(_ask: Ask, _answer: Response) -> Response:
    return 503, {}, b"Service Unavailable"


def show_the_day_before(world: World) -> Callable[[Ask, Response], Response]:
    """Return yesterday's papers with today's date, as stale feeds do."""

    def make(ask: Ask, answer: Response) -> Response:
        today = ask.local.date()
        if today not in BEFORE:
            return answer
        return 200, {}, world.upstream.feed_of(ask.category, BEFORE[today], today)

    return make


def check(world: World) -> None:
    world.check_that_nothing_is_lost_or_doubled()
    world.check_that_complete_means_complete()
    world.check_that_the_past_is_in()


def lates(world: World, cadence: Cadence = Cadence.DAILY) -> dict[str, date]:
    return {key: on for key, on, is_late in world.here.places(cadence) if is_late}


def test_without_faults_nothing_is_late_and_every_batch_is_complete_at_the_first_fetch(
    world: World,
) -> None:
    world.live()
    check(world)
    assert lates(world) == {}
    assert {note.late_count for note in world.here.notes} == {0}
    for on in (THURSDAY, FRIDAY, MONDAY):
        for category in CATEGORIES:
            assert world.here.states(category, on) == ["expected", "complete"]
            assert world.here.latest(category, on).expected_count == FIRST_COUNT
            (whole,) = [n for n in world.here.story(category, on) if n.state == "complete"]
            assert whole.at.hour == 5


def test_a_stale_category_beside_fresh_ones_is_completed_by_oai(world: World) -> None:
    world.upstream.faults = [spoil("feed", show_the_day_before(world), categories=("cs.CL",))]
    world.live()
    check(world)
    announcements = [(n.at.hour, str(n.state), n.note) for n in world.here.story("cs.CL", THURSDAY)]
    assert announcements[1:] == [
        (5, "expected", "still the day before"),
        (6, "complete", "completed by OAI-PMH"),
    ]
    # The edition had waited for it: nothing of it is late.
    assert lates(world) == {}
    assert world.here.latest("cs.CL", THURSDAY).late_count == 0


def test_a_batch_missing_at_the_deadline_is_closed_and_its_papers_come_late(world: World) -> None:
    world.upstream.faults = [
        spoil("feed", show_the_day_before(world), categories=("cs.CL",)),
        spoil("oai", unavailable),
    ]
    world.live()
    check(world)
    closed = next(n for n in world.here.story("cs.CL", THURSDAY) if n.state == "closed")
    assert closed.at.hour == 15
    assert closed.note == f"closed with 0 of {FIRST_COUNT} papers; the rest comes late"
    own = {
        e.key for e in world.upstream.announced_on("cs.CL", THURSDAY) if e.categories[0] == "cs.CL"
    }
    crossed = {e.key for e in world.upstream.announced_on("cs.LG", THURSDAY) if e.version == 1}
    late = lates(world)
    # Papers that cs.LG's feed told as cross-listed were not late.
    assert set(late) == own - crossed
    # OAI-PMH was back when Friday's edition was already out.
    assert set(late.values()) == {SATURDAY}
    # A cross-listed paper that was replaced meanwhile no longer shows the day it was announced on;
    # cs.CV's feed had told it.
    replaced = {e.key for e in world.upstream.events if e.version > 1 and e.on == FRIDAY}
    assert replaced <= world.upstream.first_keys("cs.CL", THURSDAY) - own
    assert world.here.latest("cs.CL", THURSDAY).late_count == FIRST_COUNT - len(replaced)


def test_a_range_that_is_half_delivered_is_partial_until_the_rest_is_there(world: World) -> None:
    def half(ask: Ask, answer: Response) -> Response:
        status, headers, body = answer
        items = body.split(b"<item>")
        kept = items[: 1 + len(items) // 2]
        return (
            status,
            headers,
            b"<item>".join(kept) + (b"" if len(kept) == len(items) else b"</channel></rss>"),
        )

    world.upstream.faults = [
        spoil("feed", half, until=4, categories=("cs.LG",)),
        spoil("oai", unavailable, until=4),
    ]
    world.live()
    check(world)
    assert world.here.states("cs.LG", THURSDAY) == ["expected", "partial", "complete"]
    partial, whole = world.here.story("cs.LG", THURSDAY)[-2:]
    assert partial.note == f"{len(partial.held)} of {FIRST_COUNT} papers so far"
    assert (partial.at.hour, whole.at.hour) == (5, 8)
    assert lates(world) == {}


@pytest.mark.parametrize("with_listing", [True, False])
def test_a_feed_that_is_a_day_late_loses_and_doubles_nothing(
    world: World, with_listing: bool
) -> None:
    days = (THURSDAY, FRIDAY, MONDAY)
    world.upstream.faults = [spoil("feed", show_the_day_before(world), on=days)]
    if not with_listing:
        world.upstream.faults.append(spoil("listing", unavailable, on=days))
    world.live(last=TUESDAY)
    check(world)
    assert not any(n.state == "complete" and not n.held for n in world.here.notes if n.on in days)


def test_a_feed_cut_at_its_limit_is_partial_and_oai_brings_the_rest(world: World) -> None:
    long_ago = date(2026, 6, 1)
    world.upstream.events = [e for e in world.upstream.events if e.on <= THURSDAY] + [
        Event(THURSDAY, 20_000 + n, ("cs.CV",), long_ago, version=2) for n in range(1996)
    ]
    world.upstream.page_size = 1000
    world.here.live([THURSDAY])
    world.here.live([FRIDAY], hours=[6])
    world.check_that_nothing_is_lost_or_doubled()
    world.check_that_complete_means_complete()
    story = world.here.story("cs.CV", THURSDAY)
    assert [str(n.state) for n in story[-2:]] == ["partial", "complete"]
    assert story[-2].note == "cut at the source's limit of items"
    # The replacements filled the answer, the new papers fell off.
    assert len(story[-2].held) < FIRST_COUNT == len(story[-1].held)


def test_a_token_that_expires_once_only_restarts_the_list(world: World) -> None:
    world.upstream.page_size = 3
    world.upstream.faults = [
        spoil("feed", show_the_day_before(world), categories=("cs.CL",)),
        spoil("oai", expire_the_first(1)),
    ]
    world.live()
    check(world)
    assert {heal.error for heal in world.here.heals} == {""}
    assert lates(world) == {}


def expire_the_first(count: int) -> Callable[[Ask, Response], Response]:
    left = [count]

    def make(ask: Ask, answer: Response) -> Response:
        if "resumptionToken" in ask.request.query and left[0]:
            left[0] -= 1
            return render_oai_error("badResumptionToken", ask.now)
        return answer

    return make


def test_tokens_that_expire_all_day_still_leave_the_first_page(world: World) -> None:
    world.upstream.page_size = 2 * FIRST_COUNT
    world.upstream.faults = [
        spoil("feed", show_the_day_before(world), categories=("cs.CL",)),
        spoil("oai", expire_the_first(1000)),
    ]
    world.live()
    check(world)
    failed = [heal for heal in world.here.heals if heal.error]
    assert failed
    assert all("badResumptionToken" in heal.error for heal in failed)
    # What came before the fault was kept.
    assert any(heal.record_count for heal in failed)


@pytest.mark.parametrize("headers", [{"Retry-After": "3000"}, {}], ids=["told", "not told"])
def test_a_refusal_pauses_every_channel_and_loses_nothing(
    world: World, headers: dict[str, str]
) -> None:
    def refuse(_ask: Ask, _answer: Response) -> Response:
        return 429, headers, b"Rate exceeded."

    world.upstream.faults = [
        spoil(channel, refuse, until=4) for channel in ("feed", "listing", "oai")
    ]
    world.live()
    check(world)
    requests = [
        a for a in world.upstream.requests if a.local.date() == THURSDAY and a.local.hour < 4
    ]
    # A refusal counts for all categories and channels of the host.
    assert [ask.now.hour for ask in requests] == [5, 6]
    assert world.here.story("cs.CL", THURSDAY)[-1].at.hour == 8
    assert lates(world) == {}


def cut(_ask: Ask, answer: Response) -> Response:
    body = answer[2]
    return 200, {"Content-Length": str(len(body)), "Connection": "close"}, body[: len(body) // 2]


def garble(_ask: Ask, _answer: Response) -> Response:
    return 200, {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08 this is not gzip"


def show_a_page(_ask: Ask, _answer: Response) -> Response:
    return 200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html><body>Sorry</body></html>"


def say_nothing(_ask: Ask, _answer: Response) -> Response:
    return 200, {}, b""


@pytest.mark.parametrize("fault", [cut, garble, show_a_page, say_nothing])
def test_a_broken_response_is_noted_and_fetched_again(
    world: World, fault: Callable[[Ask, Response], Response]
) -> None:
    world.upstream.faults = [
        spoil(channel, fault, until=4) for channel in ("feed", "listing", "oai")
    ]
    world.live()
    check(world)
    at_five = next(n for n in world.here.story("cs.CL", THURSDAY) if n.at.hour == 5)
    assert (at_five.state, at_five.held) == ("expected", frozenset())
    assert at_five.note
    assert world.here.story("cs.CL", THURSDAY)[-1].at.hour == 8
    assert any(heal.error for heal in world.here.heals)
    assert lates(world) == {}


@pytest.mark.parametrize("fault", [cut, garble, show_a_page])
def test_a_feed_that_is_broken_for_a_day_is_replaced_by_oai(
    world: World, fault: Callable[[Ask, Response], Response]
) -> None:
    world.upstream.faults = [spoil("feed", fault)]
    world.live()
    check(world)
    for category in CATEGORIES:
        assert world.here.latest(category, THURSDAY).note == "completed by OAI-PMH"
    assert lates(world) == {}


def test_a_day_announced_twice_by_feed_and_listing_reaches_readers_once(world: World) -> None:
    def list_the_day_before(ask: Ask, _answer: Response) -> Response:
        announcements = world.upstream.announced_on(ask.category, THURSDAY)
        return 200, {}, render_listing(THURSDAY, announcements, ask.category)

    world.upstream.faults = [
        spoil("feed", show_the_day_before(world), on=(FRIDAY,)),
        spoil("listing", list_the_day_before, on=(THURSDAY, FRIDAY)),
    ]
    world.live()
    check(world)
    # OAI-PMH alone cannot show that a day is complete, so the deadline decides.
    assert world.here.states("cs.CL", FRIDAY) == ["expected", "partial", "closed"]
    assert world.here.latest("cs.CL", FRIDAY).note == (
        "closed at the deadline; what comes now is late"
    )
    assert lates(world) == {}


@pytest.mark.parametrize("days", [1, -1], ids=["ahead", "behind"])
def test_a_clock_that_is_a_day_wrong_loses_and_doubles_nothing(world: World, days: int) -> None:
    world.here.skew = timedelta(days=days)
    world.live(last=TUESDAY + timedelta(days=1))
    world.check_that_nothing_is_lost_or_doubled()


@pytest.mark.parametrize("days", [1, -1], ids=["ahead", "behind"])
def test_a_wrong_clock_that_is_corrected_loses_and_doubles_nothing(world: World, days: int) -> None:
    world.here.skew = timedelta(days=days)
    world.live(last=THURSDAY)
    world.here.skew = timedelta(0)
    world.live(first=FRIDAY, last=TUESDAY)
    world.check_that_nothing_is_lost_or_doubled()


@pytest.mark.parametrize("feed", ["empty", "the day before"])
def test_a_holiday_is_closed_as_one_and_repeats_nothing(world: World, feed: str) -> None:
    world.upstream.events = [e for e in world.upstream.events if e.on != FRIDAY]
    if feed != "empty":
        world.upstream.faults = [spoil("feed", show_the_day_before(world), on=(FRIDAY,))]
    world.live()
    check(world)
    for category in CATEGORIES:
        assert world.here.states(category, FRIDAY) == ["expected", "closed"]
        closed = world.here.latest(category, FRIDAY)
        assert closed.note == "closed: nothing was announced that is confirmed"
    assert lates(world) == {}


def test_a_holiday_that_the_listing_names_is_complete_at_once(world: World) -> None:
    world.upstream.events = [e for e in world.upstream.events if e.on != FRIDAY]

    def no_updates(ask: Ask, _answer: Response) -> Response:
        return 200, {}, render_listing(FRIDAY, [], ask.category)

    world.upstream.faults = [spoil("listing", no_updates, on=(FRIDAY,))]
    world.live()
    check(world)
    first = world.here.story("cs.CL", FRIDAY)[0]
    assert (first.at, first.state) == (datetime(2026, 9, 18, 5, tzinfo=UTC), "complete")
    assert first.note == "the listing says: no updates today"


def test_a_paper_moderated_for_days_comes_late_and_once(world: World) -> None:
    held_up = Event(
        FRIDAY, 30_001, ("cs.CL", "cs.LG"), FRIDAY - timedelta(days=9), is_moderated=True
    )
    world.upstream.events.append(held_up)
    world.live()
    check(world)
    assert lates(world) == {held_up.key: SATURDAY}
    assert lates(world, Cadence.WEEKDAYS) == {held_up.key: MONDAY}
    assert world.here.latest("cs.CL", FRIDAY).late_count == 1


def test_replacements_of_papers_from_before_the_first_day_are_never_news(world: World) -> None:
    old = [
        Event(THURSDAY, number, ("cs.CL",), WEDNESDAY - timedelta(days=9), version=2)
        for number in (5001, 5002)
    ]
    world.upstream.events += old
    world.live()
    check(world)
