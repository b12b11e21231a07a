"""Charts: bars inside the view box, and the text alternative."""

from datetime import UTC, date, datetime, timedelta

import pytest

from service.web.views.charts import HEIGHT, WIDTH, chart_days, chart_upvotes

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


def test_upvotes_are_drawn_by_the_end_of_each_day() -> None:
    def at(day: int, hour: int) -> datetime:
        return datetime(2026, 9, day, hour, tzinfo=UTC)

    chart = chart_upvotes([(at(1, 3), 2), (at(1, 20), 5), (at(3, 1), 10)])
    assert chart
    # A day that nobody looked at has the number of the day before.
    assert [piece.label for piece in chart.pieces] == [
        *("Tue 1 Sep: 5 upvotes", "Wed 2 Sep: 5 upvotes", "Thu 3 Sep: 10 upvotes")
    ]
    assert [piece.height for piece in chart.pieces] == [HEIGHT / 2, HEIGHT / 2, HEIGHT]
    assert chart.text == "10 upvotes by Thu 3 Sep; 5 on Tue 1 Sep."
    assert chart_upvotes([(at(1, 3), 2), (at(1, 20), 5)]) is None
    assert chart_upvotes([]) is None
