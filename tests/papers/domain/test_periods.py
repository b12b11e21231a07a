from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.papers.domain.periods import Period, PeriodKind, parse_period, period_of

DAYS = st.dates(date(1991, 2, 1), date(9998, 11, 30))
KINDS = st.sampled_from(PeriodKind)


@given(KINDS, DAYS)
def test_periods_of_a_kind_follow_each_other_without_a_gap_and_are_found_by_their_names(
    kind: PeriodKind, on: date
) -> None:
    period = period_of(kind, on)
    assert period.first <= on <= period.last
    assert parse_period(kind, period.name) == period
    assert period.next().first - period.last == timedelta(days=1)
    assert period.next().previous() == period
    assert [*period.days()][-1] == period.last


@given(DAYS)
def test_the_weeks_of_a_month_have_all_its_days(on: date) -> None:
    month = period_of(PeriodKind.MONTHLY, on)
    days = {day for week in month.weeks() for day in week.days()}
    assert {*month.days()} <= days
    assert all({*week.days()} & {*month.days()} for week in month.weeks())


def test_a_week_at_the_turn_of_the_year_belongs_to_the_year_of_its_thursday() -> None:
    week = parse_period(PeriodKind.WEEKLY, "2026-W53")
    assert week == Period(PeriodKind.WEEKLY, date(2026, 12, 28), date(2027, 1, 3))
    assert week.next().path == "/weekly/2027-W01"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("daily", "20261118"), ("daily", "2026-W47-3"), ("daily", "2026-11"), ("daily", "1990-12-31"),
        ("weekly", "2025-W53"), ("weekly", "2026-W00"), ("weekly", "2026W47"), ("weekly", "2026-w47"),
        ("monthly", "2026-13"), ("monthly", "2026-1"), ("monthly", "２０２６-11"), ("monthly", "9999-12"),
        ("monthly", ""),
    ],
)  # fmt: skip
def test_any_other_spelling_is_no_name(kind: str, text: str) -> None:
    assert parse_period(PeriodKind(kind), text) is None
