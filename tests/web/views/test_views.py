"""The small parts that pages are made of."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from service.deliveries.domain.recipients import Cadence
from service.topics.topics import TopicError
from service.web.core.rate_limits import GLOBAL, PER_ADDRESS, PER_NETWORK, PER_SCRIPT, checks_for
from service.web.views.category_labels import field_name
from service.web.views.charts import HEIGHT, WIDTH, chart_days
from service.web.views.labels import cadence_name, pace, short_cadence
from service.web.views.pagination import cut, read_number
from service.web.views.sign_up_form import Pointer, TypedForm, point_at

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


def test_a_chart_says_in_words_what_it_shows() -> None:
    text = chart_days(span(1, 0, 3)).text
    assert text == "4 papers from Tue 1 Sep to Thu 3 Sep; most on Thu 3 Sep: 3."
    empty = chart_days(span(0, 0))
    assert (empty.text, empty.pieces) == ("No papers from Tue 1 Sep to Wed 2 Sep.", ())


@pytest.mark.parametrize(
    ("total", "days", "said"),
    [
        (0, 20, "no papers yet"),
        (3, 0, "no papers yet"),
        (80, 20, "about 4 papers a day"),
        (20, 20, "about 1 paper a day"),
        (9, 20, "about 2 papers a week"),
        (1, 21, "about 1 paper a month"),
        (1, 90, "less than one paper a month"),
    ],
)
def test_a_pace_is_told_in_the_unit_that_fits(total: int, days: int, said: str) -> None:
    assert pace(total, days) == said


def test_ipv4_is_counted_by_address_and_by_network() -> None:
    assert checks_for("192.0.2.77", is_from_form=True) == (
        (PER_ADDRESS, "192.0.2.77"),
        (PER_NETWORK, "192.0.2.0/24"),
        (GLOBAL, "all"),
    )


def test_ipv6_is_counted_by_its_line_and_mapped_ipv4_as_ipv4() -> None:
    one = checks_for("2001:db8:1:2:3:4:5:6", is_from_form=True)
    other = checks_for("2001:db8:1:2::1%eth0", is_from_form=True)
    assert one == other == ((PER_ADDRESS, "2001:db8:1:2::/64"), (GLOBAL, "all"))
    mapped = checks_for("::ffff:192.0.2.77", is_from_form=True)
    assert mapped == checks_for("192.0.2.77", is_from_form=True)


def test_scripts_have_a_tighter_limit_of_their_own() -> None:
    checks = checks_for("192.0.2.77", is_from_form=False)
    assert checks[0] == (PER_SCRIPT, "192.0.2.77")
    assert checks[1:] == checks_for("192.0.2.77", is_from_form=True)


def test_an_unreadable_address_is_counted_as_one_visitor() -> None:
    assert checks_for("", is_from_form=True) == checks_for("socket", is_from_form=True)


def test_a_pointer_shows_a_long_topic_around_its_fault() -> None:
    topic = "x" * 100 + ")" + "y" * 100
    pointer = point_at(TopicError(topic, "wrong", 100))
    assert pointer == Pointer("…" + "x" * 36, ")", "y" * 36 + "…")


def test_a_pointer_may_stand_behind_the_end_or_nowhere() -> None:
    assert point_at(TopicError("cats AND", "more", 8)) == Pointer("cats AND", "", "")
    assert point_at(TopicError("cats", "too many")) is None


def test_a_fault_stands_beside_the_topic_it_is_about() -> None:
    typed = TypedForm(topics=("cats", "dogs   )"))
    form = with_fault(typed, TopicError("dogs )", "wrong", 5))
    fault = form.fault_of("topic", 1)
    assert fault
    assert fault.text == "wrong"
    assert form.fault_of("topic", 0) is None
    assert not form.is_schedule_open


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("7", 7), ("0", 1), ("999", 50), ("1e9", 1), ("", 1), ("٣", 1)]
)
def test_a_page_number_is_read_leniently(text: str, number: int) -> None:
    assert read_number(text) == number


def test_a_page_past_the_end_is_the_last_one() -> None:
    assert cut(range(45), 2, 40).items == tuple(range(40, 45))
    assert cut(range(45), 9, 40).number == 2
    assert cut([], 3, 40).pages == 1


def test_a_long_category_without_a_short_name_stays_its_code() -> None:
    assert field_name("cs.CL") == "Language"
    assert field_name("math.AG") == "Algebraic Geometry"
    assert field_name("cs.CE") == "cs.CE"


def test_every_cadence_has_its_words() -> None:
    assert len({cadence_name(cadence) for cadence in Cadence}) == len(Cadence)
    assert [short_cadence(c) for c in Cadence] == ["Daily", "Weekdays", "Mondays"]
    assert short_cadence("hourly") == "hourly"
