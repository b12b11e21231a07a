"""The operator's charts: shares of an edition and bounces by cause."""

from datetime import datetime, timedelta

import pytest

from service.operations.dashboard import BounceDay
from service.web.operator.charts import draw_bounces, draw_edition
from service.web.views.charts import WIDTH


def test_one_row_among_a_million_is_visible_and_the_bar_has_full_width() -> None:
    picture = draw_edition({"sent": 1_000_000, "in_doubt": 1, "skipped": 0})
    assert [piece.look for piece in picture.pieces] == ["sent", "doubtful"]
    assert picture.pieces[1].width > 2.5
    assert sum(piece.width for piece in picture.pieces) == pytest.approx(WIDTH, abs=0.2)
    assert picture.text == "1,000,000 sent, 1 in doubt or carried over"
    empty = draw_edition({})
    assert (empty.pieces, empty.text) == ((), "no digests yet")


def test_bounces_are_stacked_by_cause(now: datetime) -> None:
    days = [
        BounceDay(now.date() - timedelta(days=1), {}),
        BounceDay(now.date(), {"address": 2, "full": 1, "policy": 1, "complaint": 1, "auto_reply": 9}),
    ]  # fmt: skip
    picture = draw_bounces(days)
    assert [(p.look, p.label.partition(": ")[2]) for p in picture.pieces] == [
        ("reader", "3 × address or mailbox"),
        ("ours", "1 × policy, content or configuration"),
        ("complaint", "1 × complaint"),
    ]
    assert min(piece.y for piece in picture.pieces) == 0
    assert draw_bounces(days[:1]).text == "No bounces or complaints from Thu 17 Sep to Thu 17 Sep."
