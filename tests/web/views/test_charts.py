"""Charts: bars inside the view box, and the text alternative."""

from datetime import date, timedelta

import pytest

from service.web.views.charts import HEIGHT, WIDTH, chart_days

DAY = date(2026, 9, 1)


def span(*counts: int) -> list[tuple[date, int]]:
    return [(DAY + timedelta(days=n), count) for n, count in enumerate(counts)]


def test_bars_are_as_high_as_their_share_and_stay_inside() -> None:
    chart = chart_days(span(0, 5, 10, 0, 1000))
    assert [bar.height for bar in chart.pieces] == [2.0, 2.0, HEIGHT]
    for bar in chart.pieces:
        assert bar.x >= 0
        assert bar.x + bar.width <= WIDTH
        assert bar.y + bar.height == pytest.approx(HEIGHT)


def test_a_chart_has_a_text_alternative() -> None:
    text = chart_days(span(1, 0, 3)).text
    assert text == "4 papers from Tue 1 Sep to Thu 3 Sep; most on Thu 3 Sep: 3."
    empty = chart_days(span(0, 0))
    assert (empty.text, empty.pieces) == ("No papers from Tue 1 Sep to Wed 2 Sep.", ())
