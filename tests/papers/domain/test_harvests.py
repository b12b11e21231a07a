"""Since when changes are harvested."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from service.papers.domain.harvests import harvest_from

TODAY, YESTERDAY = date(2026, 9, 18), date(2026, 9, 17)
MORNING = datetime(2026, 9, 18, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("responded_at", "reread_on", "first"),
    [
        (None, None, date(2026, 9, 11)),
        (None, TODAY, date(2026, 9, 11)),
        (MORNING, TODAY, YESTERDAY),
        (MORNING.astimezone(timezone(timedelta(hours=-6))), TODAY, YESTERDAY),
        (MORNING - timedelta(days=1), YESTERDAY, date(2026, 9, 11)),
        (MORNING - timedelta(days=1), TODAY, date(2026, 9, 16)),
        (MORNING - timedelta(days=30), date(2026, 8, 19), date(2026, 8, 18)),
    ],
)
def test_a_harvest_begins_a_day_before_the_last_answer_and_a_week_ago_once_a_day(
    responded_at: datetime | None, reread_on: date | None, first: date
) -> None:
    assert harvest_from(TODAY, responded_at, reread_on) == first
