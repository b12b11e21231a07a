"""Any text is a valid topic or a `QueryError`, parsed in a bounded number of steps."""

import random
import sys
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile_texts import ALPHABET, WORST_TEXTS, random_text

from service.topics.domain.language import Query, QueryError, canonical, parse_query

# Below this a text takes some milliseconds; `bench/matching/hostile_texts.py` measures the time.
MOST_STEPS = 150_000


def _read_or_refuse(text: str) -> Query | QueryError:
    try:
        return parse_query(text)
    except QueryError as error:
        return error


@settings(max_examples=400)
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(ALPHABET)).map("".join)))
def test_any_text_is_a_topic_or_a_query_error(text: str) -> None:
    read = _read_or_refuse(text)
    if isinstance(read, QueryError):
        assert 0 <= read.position <= len(text)
        assert read.length >= 1
        assert read.message
        assert read.render().count("\n") == 1
    else:
        written = canonical(read)
        assert canonical(parse_query(written)) == written


def _count_steps(text: str) -> int:
    """Count the calls of Python and C functions to parse `text`, the same in every run."""
    steps = 0

    def count(frame: FrameType | None, event: str, argument: object) -> None:
        nonlocal steps
        steps += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        canonical(parse_query(text))
    except QueryError as error:
        error.render()
    finally:
        sys.setprofile(None)
    return steps


@pytest.mark.slow
@pytest.mark.no_cover
def test_random_texts_are_each_parsed_in_few_steps() -> None:
    chance = random.Random(4)  # the same texts in every run
    assert max(_count_steps(random_text(chance)) for _ in range(20_000)) < MOST_STEPS


@pytest.mark.parametrize("text", WORST_TEXTS, ids=lambda text: text[:12])
def test_the_worst_texts_are_parsed_in_few_steps(text: str) -> None:
    assert _count_steps(text) < MOST_STEPS


def test_steps_are_counted() -> None:
    assert _count_steps("a") < _count_steps("a OR b") < _count_steps(" OR ".join("abcdefgh"))
