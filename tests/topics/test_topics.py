"""Validation of topics, with the position of an error, and their preview."""

from datetime import date, timedelta

import pytest
from sqlalchemy.orm import Session
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers

from service.papers.domain.types import AnnounceType
from service.platform.settings.settings import Settings
from service.topics.domain.language import canonical
from service.topics.topics import TopicError, check_topics, preview_topic, validate_topic


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ('lora AND "open', 9, "quote"),
        ("graphs AND the", 11, "“the” is too common"),
        ("cat:cs.NOPE", None, "cs.NOPE"),
        ("", None, "."),
        ("(a OR b", None, "."),
    ],
)
def test_an_invalid_topic_raises_an_error_with_position_and_reason(
    session: Session, text: str, position: int | None, words: str
) -> None:
    with pytest.raises(TopicError, match=words) as refused:
        validate_topic(session, text)
    assert refused.value.topic == text
    assert refused.value.position is not None
    assert 0 <= refused.value.position <= len(text)
    if position is not None:
        assert refused.value.position == position
    assert str(refused.value)


@pytest.mark.parametrize("text", ["a\x00b", "lora \x00", '"\x00"', "au:\x00", "x" * 100_000])
def test_text_that_postgres_cannot_store_is_refused_or_cleaned(session: Session, text: str) -> None:
    try:
        read = canonical(validate_topic(session, text))
    except TopicError as error:
        read = str(error)
    assert read
    assert "\x00" not in read


def test_each_distinct_topic_is_checked_once(session: Session) -> None:
    checked = check_topics(session, ["LoRA  AND cat:cs.cl", '"open', "lora AND cat:cs.CL", '"open'])
    assert list(checked) == ["LoRA  AND cat:cs.cl", '"open', "lora AND cat:cs.CL"]
    first, refused, second = checked.values()
    assert isinstance(first, str)
    assert isinstance(second, str)
    assert validate_topic(session, first) == validate_topic(session, second)
    assert isinstance(refused, TopicError)
    assert refused.topic == '"open'


def test_a_preview_counts_every_day_and_shows_the_newest(
    session: Session, settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Graph networks")], THURSDAY)
    friday = [
        make_announcement(2, "Deep graph networks"),
        make_announcement(3, "Something else"),
        make_announcement(4, "Graph networks again"),
        make_announcement(5, "Graph networks", announce_type=AnnounceType.REPLACE, version=2),
    ]
    store_papers(session, friday, FRIDAY)
    preview = preview_topic(session, settings, '"graph networks"', FRIDAY, days=3, limit=2)
    wednesday = THURSDAY - timedelta(days=1)
    assert preview.per_day == ((wednesday, 0), (THURSDAY, 1), (FRIDAY, 2))
    assert preview.total == 3
    assert [paper.identifier for paper in preview.newest] == ["2609.00004", "2609.00002"]


def test_a_preview_of_days_without_papers_is_empty(session: Session, settings: Settings) -> None:
    preview = preview_topic(session, settings, "lora", date(2026, 1, 1))
    assert (len(preview.per_day), preview.total, preview.newest) == (30, 0, ())
