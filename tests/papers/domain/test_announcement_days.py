"""Dates, hours and zones: every local date has exactly one sending hour."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.deliveries.domain.recipients import Cadence, Timing
from service.editions.domain.schedule import (
    LOOKBACK_DAYS,
    cap_papers,
    collecting_opens_at,
    covered_days,
    due_at,
    earliest_opening,
    editions_due,
    is_cadence_day,
    missed_dates,
)
from service.papers.domain.announcement_days import (
    ARXIV_ZONE,
    DEADLINE_HOUR,
    announcement_date,
    is_announcement_day,
    is_past_deadline,
    polled_date,
)
from service.papers.domain.completeness import BatchStatus, unfinished
from service.papers.domain.types import BatchState
from service.platform.time_zones import is_zone, subscriber_hour

ZONES = st.sampled_from(sorted(z for z in available_timezones() if not z.startswith("right/")))
HOURS = st.integers(0, 23)
DATES = st.dates(date(2024, 1, 1), date(2030, 12, 31))
# Zones whose clocks change by an hour, by half an hour, at midnight, and at other hours.
JUMPS = st.sampled_from(
    [
        ("Europe/Berlin", date(2026, 3, 29)),
        ("Europe/Berlin", date(2026, 10, 25)),
        ("America/New_York", date(2026, 3, 8)),
        ("America/New_York", date(2026, 11, 1)),
        ("Australia/Lord_Howe", date(2026, 4, 5)),
        ("Australia/Lord_Howe", date(2026, 10, 4)),
        ("America/Havana", date(2026, 3, 8)),
        ("America/Havana", date(2026, 11, 1)),
        ("America/Santiago", date(2026, 4, 4)),
        ("America/Santiago", date(2026, 9, 6)),
        ("Africa/Cairo", date(2026, 4, 24)),
        ("Africa/Casablanca", date(2026, 3, 22)),
        ("Antarctica/Troll", date(2026, 3, 29)),
        ("America/Nuuk", date(2026, 3, 28)),
    ]
)
PLACES = st.tuples(ZONES, DATES) | JUMPS
FRIDAY, SATURDAY, SUNDAY, MONDAY = (date(2026, 9, day) for day in (18, 19, 20, 21))


@given(PLACES, HOURS)
def test_a_local_date_has_exactly_one_instant_of_the_subscribers_hour(
    place: tuple[str, date], hour: int
) -> None:
    zone, on = place
    instant = subscriber_hour(on, hour, zone)
    assert instant.tzinfo is UTC
    local = instant.astimezone(ZoneInfo(zone))
    assert local.date() == on
    # The clock shows the hour for the first time, or just skipped it, or is about to skip the day's end.
    just_before = (instant - timedelta(seconds=1)).astimezone(ZoneInfo(zone))
    if local.time() == time(hour):
        assert local.fold == 0
    elif local.time() > time(hour):
        assert just_before.date() < on or just_before.time() < time(hour)
    else:
        skipped_to = (instant + timedelta(hours=1)).astimezone(ZoneInfo(zone))
        assert skipped_to.date() > on
    spans = subscriber_hour(on + timedelta(days=1), hour, zone) - instant
    assert timedelta(hours=21) <= spans <= timedelta(hours=27)


@pytest.mark.parametrize(
    ("on", "hour", "instant"),
    [
        # 02:00 does not exist on this night: 01:59:59 is followed by 03:00:00.
        (date(2026, 3, 29), 2, datetime(2026, 3, 29, 1, tzinfo=UTC)),
        (date(2026, 3, 29), 3, datetime(2026, 3, 29, 1, tzinfo=UTC)),
        # 02:00 comes twice on this one; the first counts.
        (date(2026, 10, 25), 2, datetime(2026, 10, 25, 0, tzinfo=UTC)),
        (date(2026, 10, 25), 3, datetime(2026, 10, 25, 2, tzinfo=UTC)),
        (date(2026, 7, 1), 7, datetime(2026, 7, 1, 5, tzinfo=UTC)),
    ],
)
def test_an_hour_skipped_or_doubled_in_berlin_is_one_instant(
    on: date, hour: int, instant: datetime
) -> None:
    assert subscriber_hour(on, hour, "Europe/Berlin") == instant


def test_hours_skipped_with_others_or_at_the_end_of_a_day_are_one_instant_of_that_day() -> None:
    # At Troll the clock goes from one to three, in Nuuk from eleven in the evening to midnight.
    at_troll = {subscriber_hour(date(2026, 3, 29), hour, "Antarctica/Troll") for hour in (1, 2, 3)}
    assert at_troll == {datetime(2026, 3, 29, 1, tzinfo=UTC)}
    in_nuuk = {subscriber_hour(date(2026, 3, 28), hour, "America/Nuuk") for hour in (22, 23)}
    assert in_nuuk == {datetime(2026, 3, 29, 0, tzinfo=UTC)}


CADENCES, TIMINGS = st.sampled_from(Cadence), st.sampled_from(Timing)


@given(PLACES, HOURS, st.integers(-100, 100), CADENCES, TIMINGS)
def test_a_digest_is_due_at_the_next_hour_on_a_day_of_the_cadence_or_at_once(
    place: tuple[str, date], hour: int, offset_hours: int, cadence: Cadence, timing: Timing
) -> None:
    zone, on = place
    opened_at = subscriber_hour(on, hour, zone) + timedelta(hours=offset_hours)
    due = due_at(cadence, on, opened_at, hour, zone, timing)
    local = due.astimezone(ZoneInfo(zone)).date()
    assert due >= opened_at
    assert due in {opened_at, subscriber_hour(local, hour, zone)}
    assert due - opened_at <= timedelta(days=5 if offset_hours < 0 else 3, hours=5)
    if cadence is Cadence.WEEKDAYS:
        assert local.weekday() < 5
    if cadence is Cadence.WEEKLY:
        assert local >= on


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Etc/GMT+5"])
def test_a_zone_of_the_database_is_one(name: str) -> None:
    assert is_zone(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Europe",
        "Europe/Nowhere",
        "../etc/passwd",
        "/etc/passwd",
        "a\x00b",
        "\ud800",
        "x" * 5000,
    ],
)
def test_an_unknown_zone_is_refused_without_an_error(name: str) -> None:
    assert not is_zone(name)


def test_a_feed_has_the_date_of_new_york() -> None:
    assert announcement_date(datetime(2026, 9, 18, 3, 59, tzinfo=UTC)) == date(2026, 9, 17)
    assert announcement_date(datetime(2026, 9, 18, 4, 0, tzinfo=UTC)) == FRIDAY
    assert announcement_date(datetime(2026, 1, 5, 4, 59, tzinfo=UTC)) == date(2026, 1, 4)


def test_nothing_is_announced_at_the_weekend() -> None:
    days = [FRIDAY, SATURDAY, SUNDAY, MONDAY]
    assert [is_announcement_day(on) for on in days] == [True, False, False, True]


def test_each_cadence_has_its_days() -> None:
    week = [FRIDAY + timedelta(days=n) for n in range(7)]
    assert [on for on in week if is_cadence_day(Cadence.DAILY, on)] == week
    assert [on for on in week if not is_cadence_day(Cadence.WEEKDAYS, on)] == [SATURDAY, SUNDAY]
    assert [on for on in week if is_cadence_day(Cadence.WEEKLY, on)] == [MONDAY]
    assert LOOKBACK_DAYS.keys() == set(Cadence)


def status(category: str, state: BatchState, on: date = FRIDAY) -> BatchStatus:
    return BatchStatus("arxiv", category, on, state)


def test_an_edition_waits_for_expected_and_partial_batches_of_its_day_only() -> None:
    batches = [status(state, state) for state in BatchState]
    yesterday = status("cs.CL", BatchState.EXPECTED, FRIDAY - timedelta(days=1))
    waiting = unfinished([*batches, yesterday], FRIDAY)
    assert [b.state for b in waiting] == [BatchState.EXPECTED, BatchState.PARTIAL]


EARLY = datetime(2026, 9, 18, 6, 0, tzinfo=UTC)
DEADLINE = datetime.combine(FRIDAY, time(DEADLINE_HOUR), tzinfo=ARXIV_ZONE).astimezone(UTC)
IN = status("cs.CL", BatchState.COMPLETE)
OUT = status("cs.LG", BatchState.EXPECTED)
NONE: dict[Cadence, date] = {}


def test_editions_open_when_every_batch_is_complete() -> None:
    assert editions_due(EARLY, [IN], NONE) == ((Cadence.DAILY, FRIDAY), (Cadence.WEEKDAYS, FRIDAY))
    assert editions_due(EARLY, [IN, OUT], NONE) == ()


def test_editions_do_not_open_without_batches_or_for_another_days_batch() -> None:
    yesterday = status("cs.CL", BatchState.COMPLETE, FRIDAY - timedelta(days=1))
    assert editions_due(EARLY, [], NONE) == ()
    assert editions_due(EARLY, [yesterday], NONE) == ()


def test_editions_open_at_the_deadline_with_incomplete_batches() -> None:
    just_before = DEADLINE - timedelta(seconds=1)
    assert not is_past_deadline(FRIDAY, just_before)
    assert editions_due(just_before, [OUT], NONE) == ()
    assert is_past_deadline(FRIDAY, DEADLINE)
    assert len(editions_due(DEADLINE, [OUT], NONE)) == 2
    assert len(editions_due(DEADLINE, [], NONE)) == 2


def test_an_edition_that_was_published_does_not_open_again() -> None:
    published = {Cadence.DAILY: FRIDAY, Cadence.WEEKDAYS: FRIDAY - timedelta(days=1)}
    assert editions_due(EARLY, [IN], published) == ((Cadence.WEEKDAYS, FRIDAY),)


def test_each_weekday_has_its_editions() -> None:
    opened = {
        on: [c for c, _ in editions_due(EARLY + (on - FRIDAY), [status("x", IN.state, on)], NONE)]
        for on in (FRIDAY, SATURDAY, MONDAY)
    }
    assert opened[FRIDAY] == [Cadence.DAILY, Cadence.WEEKDAYS]
    assert opened[SATURDAY] == [Cadence.DAILY]
    assert opened[MONDAY] == [Cadence.DAILY, Cadence.WEEKDAYS]


OPENS = datetime(2026, 9, 20, 9, tzinfo=UTC)
LAST_WEEK = {
    Cadence.DAILY: SUNDAY, Cadence.WEEKDAYS: FRIDAY, Cadence.WEEKLY: MONDAY - timedelta(days=7)
}  # fmt: skip


def test_a_weekly_edition_opens_an_hour_before_it_is_monday_anywhere() -> None:
    assert datetime(2026, 9, 20, 10, tzinfo=UTC) == min(
        subscriber_hour(MONDAY, 0, zone) for zone in available_timezones()
    )
    assert editions_due(OPENS - timedelta(seconds=1), [], LAST_WEEK) == ()
    assert editions_due(OPENS, [], LAST_WEEK) == ((Cadence.WEEKLY, MONDAY),)
    assert editions_due(OPENS, [], {**LAST_WEEK, Cadence.WEEKLY: MONDAY}) == ()


def test_a_weekly_edition_that_was_missed_opens_up_to_six_days_late() -> None:
    wednesday = MONDAY + timedelta(days=2)
    late = datetime(2026, 9, 23, 15, tzinfo=UTC)
    newest = {Cadence.DAILY: wednesday, Cadence.WEEKDAYS: wednesday, Cadence.WEEKLY: MONDAY}
    missed = {**newest, Cadence.WEEKLY: MONDAY - timedelta(days=7)}
    assert editions_due(late, [], missed) == ((Cadence.WEEKLY, MONDAY),)
    assert editions_due(late, [], newest) == ()
    last = OPENS + timedelta(days=7) - timedelta(seconds=1)
    assert (Cadence.WEEKLY, MONDAY) in editions_due(last, [], missed)
    following = editions_due(OPENS + timedelta(days=7), [], missed)
    assert (Cadence.WEEKLY, MONDAY + timedelta(days=7)) in following
    # Where there was none before, none was missed.
    assert (Cadence.WEEKLY, MONDAY) not in editions_due(late, [], {})


def test_an_edition_waits_for_the_batches_of_days_that_were_missed_until_its_deadline() -> None:
    tuesday = FRIDAY - timedelta(days=3)
    newest = {Cadence.DAILY: tuesday, Cadence.WEEKDAYS: tuesday, Cadence.WEEKLY: tuesday}
    days = [FRIDAY - timedelta(days=n) for n in (2, 1, 0)]
    read = [status("cs.CL", BatchState.CLOSED, on) for on in days]
    both = ((Cadence.DAILY, FRIDAY), (Cadence.WEEKDAYS, FRIDAY))
    assert editions_due(EARLY, read, newest) == both
    unread = [status("cs.CL", BatchState.EXPECTED, days[0]), *read[1:]]
    assert editions_due(EARLY, unread, newest) == ()
    assert editions_due(DEADLINE, unread, newest) == both


def test_an_edition_covers_every_day_since_the_last_one_of_its_cadence() -> None:
    assert covered_days(Cadence.DAILY, FRIDAY) == [FRIDAY]
    assert covered_days(Cadence.WEEKDAYS, MONDAY) == [SATURDAY, SUNDAY, MONDAY]
    assert covered_days(Cadence.WEEKDAYS, MONDAY, FRIDAY) == [SATURDAY, SUNDAY, MONDAY]
    assert covered_days(Cadence.DAILY, MONDAY, FRIDAY) == [SATURDAY, SUNDAY, MONDAY]
    week = covered_days(Cadence.WEEKLY, MONDAY)
    assert (week[0], week[-1], len(week)) == (MONDAY - timedelta(days=7), SUNDAY, 7)
    assert covered_days(Cadence.WEEKLY, MONDAY, MONDAY - timedelta(days=7)) == week
    assert len(covered_days(Cadence.WEEKLY, MONDAY, MONDAY - timedelta(days=14))) == 14
    for cadence in Cadence:
        long_ago = covered_days(cadence, MONDAY, MONDAY - timedelta(days=700))
        assert len(long_ago) == LOOKBACK_DAYS[cadence]


@pytest.mark.parametrize(
    ("cadence", "since", "missed"),
    [
        (Cadence.DAILY, 0, 0),
        (Cadence.DAILY, 2, 0),  # a weekend: nothing was announced
        (Cadence.DAILY, 4, 2),
        (Cadence.WEEKDAYS, 2, 0),
        (Cadence.WEEKDAYS, 3, 1),
        (Cadence.WEEKLY, 7, 0),
        (Cadence.WEEKLY, 3, 0),  # after an edition that was published on a Friday
        (Cadence.WEEKLY, 14, 1),
    ],
)
def test_the_cap_of_papers_grows_with_the_editions_that_were_missed(
    cadence: Cadence, since: int, missed: int
) -> None:
    first = MONDAY - timedelta(days=since)
    assert len(missed_dates(cadence, MONDAY, first)) == missed
    assert cap_papers(cadence, MONDAY, first, 25) == 25 * (1 + missed)


@pytest.mark.parametrize(
    ("now", "on"),
    [
        ("2026-09-18T00:29+00:00", date(2026, 9, 17)),  # 20:29 on Thursday in New York
        ("2026-09-18T00:30+00:00", date(2026, 9, 18)),
        ("2026-09-18T23:59+00:00", date(2026, 9, 18)),
        ("2026-12-18T01:29+00:00", date(2026, 12, 17)),  # the same in winter
        ("2026-12-18T01:30+00:00", date(2026, 12, 18)),
    ],
)
def test_from_half_past_eight_in_new_york_tomorrows_batch_is_awaited(now: str, on: date) -> None:
    assert polled_date(datetime.fromisoformat(now)) == on


@given(DATES)
def test_no_edition_opens_before_its_earliest_opening(on: date) -> None:
    opens = earliest_opening(Cadence.DAILY, on)
    assert polled_date(opens) == on
    assert polled_date(opens - timedelta(seconds=1)) == on - timedelta(days=1)
    monday = on - timedelta(days=on.weekday())
    assert earliest_opening(Cadence.WEEKLY, monday) == collecting_opens_at(monday)
