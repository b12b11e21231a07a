"""The columns of an import file: yes and no, times, and what a row says of the person."""

from datetime import UTC, datetime

import pytest

from service.deliveries.domain.recipients import SubscriberState
from service.subscribers.domain.import_columns import (
    ImportRow,
    RowFault,
    parse_time,
    parse_truth,
    recognize_columns,
)
from service.subscribers.domain.sign_up import SignUpForm


def parse(header: str, row: str) -> ImportRow:
    columns = recognize_columns(header.split(","))
    assert columns is not None
    return columns.parse_row(2, row.split(","), SignUpForm())


def test_a_row_may_say_how_many_papers_are_in_full() -> None:
    assert parse("email,Full_Cards", "ada@example.org,3").form.full_cards == "3"
    assert parse("email,full_cards", "ada@example.org,").form.full_cards == "10"
    own = parse(
        "email,max_papers,weekly_topics_on,topic1,topic_name1,topic_comes1,topic2,topic_comes2",
        "ada@example.org,12,friday,cats,,weekly,robots,",
    ).form
    assert (own.topics, own.max_papers, own.weekly_topics_on) == (
        ("cats", "robots"),
        "12",
        "friday",
    )
    assert own.measures == ("weekly", "")


def test_a_row_may_name_its_timing() -> None:
    assert parse("email,Timing", "ada@example.org,when_complete").form.timing == "when_complete"
    assert parse("email,timing", "ada@example.org,").form.timing == "at_hour"


def test_an_answer_is_yes_or_no() -> None:
    assert [parse_truth(text, "x") for text in ("", "Yes", "0")] == [None, True, False]
    with pytest.raises(RowFault, match="x must be yes or no, not 'perhaps'"):
        parse_truth("perhaps", "x")


@pytest.mark.parametrize("text", ["soon", "2025-13-45", "0001-01-01T00:00+23:59"])
def test_a_time_that_cannot_be_is_none(text: str) -> None:
    assert parse_time(text) is None


def test_a_time_is_utc() -> None:
    assert parse_time("2025-03-04 06:30:00 +0100") == datetime(2025, 3, 4, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("confirmed_at", "state"),
    [("2025-01-02", SubscriberState.PAUSED), ("", SubscriberState.PENDING)],
)
def test_a_pause_without_proof_of_confirmation_is_pending(
    confirmed_at: str, state: SubscriberState
) -> None:
    row = parse("email,status,confirmed_at", f"ada@example.org,paused,{confirmed_at}")
    assert row.imported.state is state
