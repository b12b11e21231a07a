"""The one place that reads the clock."""

from datetime import UTC, datetime, timedelta

from service.platform.clock import clock_from, system_clock


def test_the_clock_shows_aware_time_in_utc() -> None:
    moment = system_clock()
    assert moment.tzinfo is UTC
    assert abs(moment - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_set_clock_starts_where_it_is_set_and_runs_on(now: datetime) -> None:
    clock = clock_from(now)
    first, second = clock(), clock()
    assert now <= first <= second < now + timedelta(seconds=5)


def test_a_clock_that_is_not_set_is_the_real_one() -> None:
    assert clock_from(None) is system_clock
