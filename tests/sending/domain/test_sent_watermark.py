"""The sent watermark: its text, and the comparison with a database."""

import json
from datetime import UTC, date, datetime

import pytest

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState
from service.sending.domain.sent_watermark import (
    SentWatermark,
    WatermarkedRow,
    WatermarkUnreadable,
    is_older_than,
    parse_watermark,
    write_watermark,
)

S = DeliveryState
WATERMARK = SentWatermark(
    "6f1e", 17, 2, datetime(2026, 9, 18, 5, tzinfo=UTC), {Cadence.DAILY: date(2026, 9, 18)}
)


def test_a_watermark_is_read_as_it_was_written() -> None:
    text = write_watermark(WATERMARK)
    assert "\n" not in text
    assert parse_watermark(text) == WATERMARK


@pytest.mark.parametrize(
    "changes",
    [
        {"at": "2026-09-18T05:00:00"},
        {"at": 5},
        {"attempt": "two"},
        {"delivery_id": None},
        {"editions": ["daily"]},
        {"editions": {"hourly": "2026-09-18"}},
        {"editions": {"daily": "Friday"}},
    ],
)
def test_an_unreadable_watermark_raises(changes: dict[str, object]) -> None:
    value = json.loads(write_watermark(WATERMARK))
    with pytest.raises(WatermarkUnreadable):
        parse_watermark(json.dumps({**value, **changes}))
    with pytest.raises(WatermarkUnreadable):
        parse_watermark(write_watermark(WATERMARK)[:-5])


@pytest.mark.parametrize(
    ("row", "behind"),
    [
        (None, True),
        (WatermarkedRow(1, S.SENT, True), True),
        (WatermarkedRow(1, S.QUEUED, True), True),
        (WatermarkedRow(2, S.CLAIMED, True), True),
        (WatermarkedRow(2, S.QUEUED, False), True),
        (WatermarkedRow(2, S.QUEUED, True), False),
        (WatermarkedRow(2, S.IN_FLIGHT, True), False),
        (WatermarkedRow(2, S.SENT, True), False),
        (WatermarkedRow(3, S.CLAIMED, True), False),
    ],
)
def test_a_row_at_an_earlier_step_shows_an_older_database(
    row: WatermarkedRow | None, behind: bool
) -> None:
    assert is_older_than(WATERMARK, row) is behind
