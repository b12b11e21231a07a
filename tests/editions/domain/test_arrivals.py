"""When papers come: the first digest after a sign-up, and the sentences, agree with the schedule."""

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.deliveries.domain.recipients import Cadence, Timing
from service.editions.domain.arrivals import Times, find_example, find_first_digest
from service.editions.domain.schedule import due_at, is_cadence_day
from service.presentation.arrivals import arrival_text, example_text, lateness_text

NEW_YORK = ZoneInfo("America/New_York")
ZONES = st.sampled_from(sorted(z for z in available_timezones() if not z.startswith("right/")))
TIMES = st.builds(
    Times, st.sampled_from(Cadence), st.integers(0, 23), ZONES, st.sampled_from(Timing)
)
NOWS = st.integers(0, 5 * 365 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
# 5:00 UTC is midnight in New York.
SUNDAY = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def completed_at(on: date) -> datetime:
    """Return 00:30 in New York on a date; no clock there changes before 02:00."""
    return datetime.combine(on, time(0, 30), tzinfo=NEW_YORK).astimezone(UTC)


def opened_at(cadence: Cadence, on: date) -> datetime:
    """Return when the edition of a date opens: a weekly one at 9:00 UTC on Sunday."""
    if cadence.collects_days:
        return datetime.combine(on - timedelta(days=1), time(9), tzinfo=UTC)
    return completed_at(on)


def due(chosen: Times, on: date, timing: Timing | None = None) -> datetime:
    """Return when the edition of a date is due, on the subscriber's clock."""
    cadence, opened = chosen.cadence, opened_at(chosen.cadence, on)
    found = due_at(cadence, on, opened, chosen.hour, chosen.timezone, timing or chosen.timing)
    return found.astimezone(ZoneInfo(chosen.timezone))


def daily(zone: str, hour: int = 7, timing: Timing = Timing.AT_HOUR) -> Times:
    return Times(Cadence.DAILY, hour, zone, timing)


@given(TIMES, NOWS)
@example(daily("Europe/Berlin", 2), datetime(2026, 3, 28, 12, tzinfo=UTC))
@example(daily("Asia/Tokyo", 13), datetime(2026, 10, 31, 12, tzinfo=UTC))
@example(daily("Pacific/Kiritimati", 0), SUNDAY)
def test_the_first_digest_is_the_earliest_of_all_that_open_after_the_sign_up(
    chosen: Times, now: datetime
) -> None:
    days = [now.date() + timedelta(days=number) for number in range(-4, 65)]
    candidates = [
        due(chosen, on)
        for on in days
        if (
            is_cadence_day(chosen.cadence, on) if chosen.cadence.collects_days else on.weekday() < 5
        )
        and opened_at(chosen.cadence, on) > now
    ]
    first = find_first_digest(chosen, now)
    assert first.at == min(candidates)
    assert first.at.tzinfo == ZoneInfo(chosen.timezone)
    assert first.at > now
    if chosen.cadence is Cadence.MONTHLY:
        assert first.at.day == 1
    elif chosen.cadence is Cadence.WEEKDAYS:
        assert first.at.weekday() < 5
    elif chosen.cadence.is_weekly:
        assert first.at.weekday() == chosen.cadence.weekday


@given(TIMES, NOWS)
@example(Times(Cadence.WEEKDAYS, 7, "Asia/Tokyo", Timing.AT_HOUR), SUNDAY)
@example(Times(Cadence.WEEKDAYS, 7, "Pacific/Honolulu", Timing.WHEN_COMPLETE), SUNDAY)
def test_the_moments_of_the_sentences_are_those_of_the_schedule(
    chosen: Times, now: datetime
) -> None:
    text = example_text(chosen, now)
    moments = re.findall(r"(\w+day) at (?:about )?(\d\d:\d\d)", text)
    if chosen.cadence.collects_days:
        assert f" at {chosen.hour:02}:00, whichever you choose" in text
        assert lateness_text(chosen, now) == ""
        return
    on = find_example(chosen, now).on
    assert on.weekday() == 1
    assert now.astimezone(NEW_YORK).date() <= on < now.date() + timedelta(days=8)
    by = {timing: due(chosen, on, timing) for timing in Timing}
    (other,) = set(Timing) - {chosen.timing}
    expected = [by[chosen.timing], by[other]]
    gap = expected[0].date() - on
    for day in (on + timedelta(days=number) for number in range(-1, 4)):
        if (at := due(chosen, day)).date() - day != gap:
            expected.append(at)
            assert f"Those of {DAYS[day.weekday() - 1]} evening" in text
    assert moments == [(DAYS[at.weekday()], f"{at:%H:%M}") for at in expected]
    lateness = lateness_text(chosen, now)
    is_late = by[Timing.AT_HOUR].date() > on and chosen.timing is Timing.AT_HOUR
    assert bool(lateness) == is_late
    if is_late:
        complete, at_hour = by[Timing.WHEN_COMPLETE], by[Timing.AT_HOUR]
        assert re.findall(r"(\w+day) at (?:about )?(\d\d:\d\d)", lateness) == [
            (DAYS[complete.weekday()], f"{complete:%H:%M}"),
            (DAYS[at_hour.weekday()], f"{at_hour:%H:%M}"),
        ]


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (
            daily("Asia/Tokyo"),
            "Papers announced on Monday evening in New York reach you on Wednesday at 07:00; as soon"
            " as they are complete, that would be on Tuesday at about 14:30.",
        ),
        (
            daily("Asia/Tokyo", timing=Timing.WHEN_COMPLETE),
            "Papers announced on Monday evening in New York reach you on Tuesday at about 14:30; at"
            " your hour, that would be on Wednesday at 07:00.",
        ),
        (
            Times(Cadence.WEEKDAYS, 7, "Asia/Tokyo", Timing.AT_HOUR),
            "Papers announced on Monday evening in New York reach you on Wednesday at 07:00; as soon"
            " as they are complete, that would be on Tuesday at about 14:30. Those of Thursday"
            " evening reach you on Monday at 07:00.",
        ),
        (
            daily("Europe/Berlin"),
            "Papers announced on Monday evening in New York reach you on Tuesday at 07:00; as soon"
            " as they are complete, that would be on Tuesday at about 06:30.",
        ),
        (
            Times(Cadence.WEEKLY, 7, "Asia/Tokyo", Timing.WHEN_COMPLETE),
            "The papers of seven days come on the Monday after them at 07:00, whichever you choose.",
        ),
    ],
)
def test_the_example_is_a_sentence(chosen: Times, text: str) -> None:
    assert example_text(chosen, SUNDAY) == text


def test_the_example_follows_a_change_of_clocks_in_new_york() -> None:
    summer = datetime(2026, 7, 1, tzinfo=UTC)
    assert "Tuesday at about 13:30" in example_text(daily("Asia/Tokyo"), summer)
    assert "Tuesday at about 14:30" in example_text(daily("Asia/Tokyo"), SUNDAY)


@pytest.mark.parametrize(
    ("chosen", "now", "text"),
    [
        (daily("Asia/Tokyo"), SUNDAY, "Tuesday 1 December 2026 at 07:00"),
        (daily("Europe/Berlin"), SUNDAY, "Monday 30 November 2026 at 07:00"),
        (
            daily("Asia/Tokyo", timing=Timing.WHEN_COMPLETE),
            SUNDAY,
            "Monday 30 November 2026 at about 14:30",
        ),
        # Friday's papers were complete before; Saturday and Sunday have none.
        (
            daily("America/New_York"),
            datetime(2026, 11, 27, 15, tzinfo=UTC),
            "Monday 30 November 2026 at 07:00",
        ),
        # They are complete on Sunday evening in Honolulu, which is no weekday.
        (
            Times(Cadence.WEEKDAYS, 7, "Pacific/Honolulu", Timing.WHEN_COMPLETE),
            SUNDAY,
            "Monday 30 November 2026 at 07:00",
        ),
        (
            Times(Cadence.WEEKLY, 7, "Asia/Tokyo", Timing.AT_HOUR),
            datetime(2026, 11, 28, 12, tzinfo=UTC),
            "Monday 30 November 2026 at 07:00",
        ),
        # That edition is composed already, though it is not Monday yet.
        (
            Times(Cadence.WEEKLY, 7, "America/New_York", Timing.AT_HOUR),
            SUNDAY,
            "Monday 7 December 2026 at 07:00",
        ),
    ],
)
def test_the_first_digest_has_a_day(chosen: Times, now: datetime, text: str) -> None:
    assert arrival_text(find_first_digest(chosen, now)) == text


@pytest.mark.parametrize(
    ("zone", "hour", "is_late"),
    [
        ("Asia/Tokyo", 7, True),
        ("Australia/Sydney", 7, True),
        ("Asia/Tokyo", 15, False),
        ("Europe/Berlin", 7, False),
        ("Europe/Berlin", 6, True),
        # The evening before, so they come on their own day.
        ("America/Los_Angeles", 7, False),
    ],
)
def test_papers_are_late_where_their_day_is_complete_only_after_the_hour(
    zone: str, hour: int, is_late: bool
) -> None:
    assert bool(lateness_text(daily(zone, hour), SUNDAY)) == is_late


def test_lateness_is_explained() -> None:
    assert lateness_text(daily("Asia/Tokyo"), SUNDAY) == (
        "Papers announced on Monday evening in New York are complete on Tuesday at about 14:30,"
        " after your hour, so they reach you on Wednesday at 07:00."
    )
