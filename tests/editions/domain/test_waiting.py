"""Which papers of a topic come today, and which wait."""

from collections.abc import Mapping
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.deliveries.domain.digest import Digest, DigestEntry, DigestGroup, TopicWait
from service.deliveries.domain.recipients import Cadence
from service.editions.domain.merge import join_waiting, limit_papers
from service.editions.domain.waiting import (
    LONGEST_WAIT,
    DigestDay,
    TopicMatch,
    WaitingTopic,
    describe_waits,
    hold_topics,
)
from service.topics.domain.types import TopicMeasure

MONDAY = date(2026, 11, 23)
WEEKLY, THREE = TopicMeasure(is_weekly=True), TopicMeasure(at_least=3)
THURSDAYS = 3


def day(
    after_monday: int = 0, cadence: Cadence = Cadence.DAILY, weekday: int = THURSDAYS
) -> DigestDay:
    return DigestDay(MONDAY + timedelta(days=after_monday), cadence, weekday)


def match(topic_id: int, *new: int) -> TopicMatch:
    return TopicMatch(topic_id, f"Topic {topic_id}", frozenset(new))


def held(
    measures: Mapping[int, TopicMeasure],
    on: DigestDay,
    *matches: TopicMatch,
    **more: list[WaitingTopic],
) -> dict[int, tuple[int, ...]]:
    found = hold_topics(matches, measures, more.get("waiting", []), on)
    return {number: one.paper_ids for number, one in found.items()}


def test_a_weekly_topic_waits_for_its_weekday() -> None:
    for number in (0, 1, 2, 4, 5, 6):
        assert held({1: WEEKLY}, day(number), match(1, 7)) == {1: (7,)}
    assert held({1: WEEKLY}, day(3), match(1, 7)) == {}
    before = [WaitingTopic(1, MONDAY, (5, 6))]
    assert held({1: WEEKLY}, day(1), match(1, 7), waiting=before) == {1: (5, 6, 7)}
    assert held({1: WEEKLY}, day(3), match(1), waiting=before) == {}


def test_a_weekly_topic_comes_with_the_next_digest_where_that_of_its_day_was_missed() -> None:
    before = [WaitingTopic(1, MONDAY, (5,))]
    assert held({1: WEEKLY}, day(4), match(1, 7), waiting=before) == {}


def test_a_weekdays_digest_brings_the_topics_of_a_weekend_on_monday() -> None:
    weekend = [day(n, Cadence.WEEKDAYS, weekday=6) for n in (4, 7)]
    before = [WaitingTopic(1, MONDAY + timedelta(days=1), (5,))]
    assert held({1: WEEKLY}, weekend[0], match(1), waiting=before) == {1: (5,)}
    assert held({1: WEEKLY}, weekend[1], match(1), waiting=before) == {}


@pytest.mark.parametrize("cadence", [Cadence.WEEKLY, Cadence.WEEKLY_SUNDAY, Cadence.MONTHLY])
def test_digests_of_weeks_and_months_have_every_weekly_topic(cadence: Cadence) -> None:
    assert held({1: WEEKLY}, day(1, cadence), match(1, 7)) == {}


def test_papers_wait_until_there_are_enough_or_four_weeks_are_over() -> None:
    before = [WaitingTopic(1, MONDAY, (5,))]
    assert held({1: THREE}, day(1), match(1, 7), waiting=before) == {1: (5, 7)}
    assert held({1: THREE}, day(1), match(1, 7, 8), waiting=before) == {}
    assert held({1: THREE}, day(27), match(1), waiting=before) == {1: (5,)}
    assert held({1: THREE}, day(28), match(1), waiting=before) == {}
    both = TopicMeasure(is_weekly=True, at_least=2)
    assert held({1: both}, day(2), match(1, 7, 8)) == {1: (7, 8)}
    assert held({1: both}, day(3), match(1, 7)) == {1: (7,)}
    assert held({1: both}, day(3), match(1, 7, 8)) == {}


def test_a_paper_that_another_topic_shows_does_not_wait() -> None:
    assert held({1: THREE}, day(), match(1, 7, 8), match(2, 8)) == {1: (7,)}
    assert held({1: THREE, 2: WEEKLY}, day(3), match(1, 7), match(2, 7)) == {1: ()}


def test_a_topic_that_comes_at_once_again_brings_what_waited() -> None:
    assert held({}, day(), match(1), waiting=[WaitingTopic(1, MONDAY, (5,))]) == {}


@given(
    st.lists(st.integers(0, 3), min_size=70, max_size=70),
    st.sampled_from([Cadence.DAILY, Cadence.WEEKDAYS, Cadence.WEEKLY, Cadence.MONTHLY]),
    st.booleans(),
    st.integers(1, 6),
    st.integers(0, 6),
)
def test_no_paper_waits_longer_than_four_weeks_and_the_next_digest(
    counts: list[int], cadence: Cadence, is_weekly: bool, at_least: int, weekday: int
) -> None:
    measures = {1: TopicMeasure(is_weekly, at_least)}
    waiting: list[WaitingTopic] = []
    came, arrived = dict[int, date](), dict[int, date]()
    for number, count in enumerate(counts):
        on = day(number, cadence, weekday)
        if cadence is Cadence.WEEKDAYS and on.on.weekday() >= 5:
            continue
        new = range(number * 10, number * 10 + count)
        arrived |= dict.fromkeys(new, on.on)
        found = hold_topics([match(1, *new)], measures, waiting, on)
        if 1 not in found:
            ids = [*new, *(i for one in waiting for i in one.paper_ids)]
            assert not came.keys() & {*ids}
            came |= dict.fromkeys(ids, on.on)
        waiting = [one for one in found.values() if one.paper_ids]
    assert came.keys() | {i for one in waiting for i in one.paper_ids} == arrived.keys()
    longest = LONGEST_WAIT + timedelta(days=2)
    assert all(on - arrived[i] <= longest for i, on in came.items())


def test_a_mail_names_what_waits_and_how_long() -> None:
    waits = describe_waits(
        [
            WaitingTopic(1, MONDAY, (5, 6)),
            WaitingTopic(2, MONDAY, (7,)),
            WaitingTopic(3, MONDAY, ()),
        ],
        {1: "Robots", 2: "Cells", 3: "Rain"},
        {1: WEEKLY, 2: THREE, 3: WEEKLY},
        day(3),
    )
    assert waits == (
        TopicWait("Robots", 2, MONDAY + timedelta(days=10)),
        TopicWait("Cells", 1, MONDAY + LONGEST_WAIT, 3),
    )


def group(topic_id: int, *ids: int) -> DigestGroup:
    return DigestGroup(f"Topic {topic_id}", tuple(map(DigestEntry, ids)), topic_id)


def test_what_waited_stands_among_the_new_papers_of_its_topic_in_the_order_of_topics() -> None:
    digest = Digest((group(2, 22, 20), group(3, 30)), cut_ids=(31, 11))
    waited = Digest((group(1, 10, 11), group(3, 30, 29)))
    joined = join_waiting(digest, waited, [1, 2, 3], sorted)
    assert joined.groups == (group(1, 10, 11), group(2, 22, 20), group(3, 29, 30))
    assert joined.cut_ids == (31,)


def test_a_limited_digest_names_what_it_leaves_out() -> None:
    digest = Digest((group(1, 10, 11), group(2, 20, 21)), cut_ids=(22,))
    assert limit_papers(digest, 3) == Digest((group(1, 10, 11), group(2, 20)), (21, 22))
    assert limit_papers(digest, 4) is digest
    assert limit_papers(digest, 1).cut_ids == (11, 20, 21, 22)
