"""The words for when a topic's papers come."""

import pytest

from service.topics.domain.measure import (
    OFFERED,
    MeasureError,
    describe_measure,
    parse_measure,
    write_measure,
)
from service.topics.domain.types import MOST_AT_LEAST, TopicMeasure


@pytest.mark.parametrize("measure", [*OFFERED, TopicMeasure(at_least=MOST_AT_LEAST)])
def test_what_is_written_is_read_again(measure: TopicMeasure) -> None:
    assert parse_measure(write_measure(measure)) == measure


@pytest.mark.parametrize(
    ("text", "measure"),
    [
        ("", TopicMeasure()),
        (" At  once ", TopicMeasure()),
        ("WEEKLY", TopicMeasure(is_weekly=True)),
        ("3", TopicMeasure(at_least=3)),
        ("at_least 3, weekly", TopicMeasure(is_weekly=True, at_least=3)),
    ],
)
def test_people_may_write_it_in_their_way(text: str, measure: TopicMeasure) -> None:
    assert parse_measure(text) == measure


@pytest.mark.parametrize("text", ["daily", "at least 0", "at least 51", "weekly 3 or so", "٣"])
def test_other_words_are_refused_with_those_that_are_read(text: str) -> None:
    with pytest.raises(MeasureError, match="weekly, at least 3"):
        parse_measure(text)


def test_the_form_says_it_in_words() -> None:
    assert describe_measure(TopicMeasure()) == "as they come"
    assert describe_measure(TopicMeasure(True, 3)) == "once a week, when 3 are together"
