"""Trending: the properties of the formula, on examples and on generated windows."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.oracles import rank_trends

from service.papers.domain.trending import (
    NEUTRAL_PERCENTILE,
    PaperSignals,
    Snapshot,
    Trend,
    TrendScale,
    measure_velocity,
    trend,
)

NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
FIELDS = ("cs.CV", "cs.CL", "math.AG")


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def paper_of(
    *looks: tuple[float, int], paper_id: int = 1, field: str = "cs.CV", age: float = 10
) -> PaperSignals:
    """Return a paper announced `age` hours ago, with snapshots of (hours ago, upvotes)."""
    snapshots = tuple(Snapshot(NOW - hours(ago), upvotes) for ago, upvotes in looks)
    return PaperSignals(paper_id, field, NOW - hours(age), snapshots)


ages = st.integers(0, 200).map(lambda quarters: quarters / 4)
looks = st.lists(st.tuples(ages, st.integers(0, 500)), max_size=5)


@st.composite
def windows(draw: st.DrawFn, min_size: int = 0) -> list[PaperSignals]:
    ids = draw(st.lists(st.integers(1, 99), unique=True, min_size=min_size, max_size=8))
    return [
        paper_of(*draw(looks), paper_id=i, field=draw(st.sampled_from(FIELDS)), age=draw(ages))
        for i in ids
    ]


@st.composite
def windows_and_one(draw: st.DrawFn) -> tuple[list[PaperSignals], PaperSignals]:
    window = draw(windows(min_size=1))
    return window, draw(st.sampled_from(window))


def with_more(paper: PaperSignals, more: int, since: datetime) -> PaperSignals:
    """Return the paper with `more` upvotes from a moment on, and unchanged before."""
    return replace(
        paper,
        snapshots=tuple(
            replace(look, upvotes=look.upvotes + more) if look.observed_at >= since else look
            for look in paper.snapshots
        ),
    )


def scaled(paper: PaperSignals, factor: int) -> PaperSignals:
    times = tuple(replace(look, upvotes=look.upvotes * factor) for look in paper.snapshots)
    return replace(paper, snapshots=times)


def is_clearly_less(one: float, other: float) -> bool:
    """Return whether a number is less by more than floating-point rounding."""
    return one < other * (1 - 1e-9)


# --- velocity, by example


def test_a_steady_rate_gives_nearly_that_velocity_at_any_age() -> None:
    scale = TrendScale(half_life_hours=12, smoothing_hours=1e-9)
    for age in (1, 10, 100):
        hourly = [(ago, 3 * (age - ago)) for ago in range(age)]
        assert measure_velocity(paper_of(*hourly, age=age), NOW, scale) == pytest.approx(3)


def test_the_formula_in_numbers() -> None:
    """12 upvotes seen now, 12 hours after the announcement: at 12 hours' half-life the weights
    run from 1/2 to 1, their mean is 1 / (2 ln 2) = 0.7213 and their sum 8.656.
    """
    velocity = measure_velocity(paper_of((0, 12), age=12), NOW, TrendScale(12, 1))
    assert velocity == pytest.approx(12 * 0.7213475 / (1 + 12 * 0.7213475))


def test_without_an_earlier_snapshot_all_upvotes_came_since_the_announcement() -> None:
    assert measure_velocity(paper_of((0, 8), age=4), NOW) == measure_velocity(
        paper_of((4, 0), (0, 8), age=4), NOW
    )


def test_a_snapshot_on_the_straight_line_between_two_others_changes_nothing() -> None:
    few = measure_velocity(paper_of((8, 10), (0, 30)), NOW)
    assert measure_velocity(paper_of((8, 10), (4, 20), (0, 30)), NOW) == pytest.approx(few)


def test_of_two_equal_counts_the_one_gained_later_has_the_higher_velocity() -> None:
    early = paper_of((8, 20), (0, 20))
    late = paper_of((8, 0), (0, 20))
    assert measure_velocity(early, NOW) < measure_velocity(late, NOW)


def test_a_withdrawn_vote_is_not_negative_and_is_not_gained_twice() -> None:
    up = measure_velocity(paper_of((6, 20)), NOW)
    assert measure_velocity(paper_of((6, 20), (3, 5)), NOW) == up
    assert measure_velocity(paper_of((6, 20), (3, 5), (0, 20)), NOW) == up


def test_repeated_snapshots_change_nothing() -> None:
    once = measure_velocity(paper_of((6, 20), (1, 30)), NOW)
    assert measure_velocity(paper_of((6, 20), (6, 20), (1, 30), (1, 30)), NOW) == once


def test_of_two_counts_at_one_moment_the_higher_is_used() -> None:
    once = measure_velocity(paper_of((6, 20)), NOW)
    assert measure_velocity(paper_of((6, 20), (6, 11)), NOW) == once
    assert measure_velocity(paper_of((6, 11), (6, 20)), NOW) == once


def test_snapshots_after_now_do_not_count() -> None:
    seen = paper_of((6, 20))
    assert measure_velocity(paper_of((6, 20), (-1, 500)), NOW) == measure_velocity(seen, NOW)


def test_votes_before_the_announcement_count_at_the_announcement() -> None:
    before = measure_velocity(paper_of((30, 20), age=10), NOW)
    assert before == measure_velocity(paper_of((10, 20), age=10), NOW)


def test_a_paper_announced_in_the_future_is_as_new_as_can_be() -> None:
    assert measure_velocity(paper_of((2, 6), age=-5), NOW, TrendScale(12, 2)) == 3


def test_two_votes_in_the_first_minute_do_not_rank_first_on_a_busy_day() -> None:
    flash, busy = paper_of((0, 2), age=1 / 60), paper_of((0, 60), age=12)
    assert measure_velocity(flash, NOW) < measure_velocity(busy, NOW)


def test_the_time_zone_of_a_moment_does_not_matter() -> None:
    here, there = paper_of((6, 20)), timezone(hours(8))
    moved = replace(
        here,
        announced_at=here.announced_at.astimezone(there),
        snapshots=tuple(
            replace(look, observed_at=look.observed_at.astimezone(there)) for look in here.snapshots
        ),
    )
    assert measure_velocity(moved, NOW) == measure_velocity(here, NOW)


@pytest.mark.parametrize("hours", [(0, 1), (-1, 1), (12, 0), (12, -1)])
def test_a_scale_of_zero_hours_is_refused(hours: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="more than 0 hours"):
        TrendScale(*hours)


# --- percentile and order, by example


def test_the_percentile_is_the_middle_of_a_papers_place_in_its_field() -> None:
    trends = trend([paper_of((0, 10 * i), paper_id=i) for i in range(1, 5)], NOW)
    assert [trends[i].percentile for i in range(1, 5)] == [12.5, 37.5, 62.5, 87.5]


def test_ties_share_one_percentile() -> None:
    trends = trend([paper_of((0, 7), paper_id=i) for i in (1, 2, 3)], NOW)
    assert {one.percentile for one in trends.values()} == {50.0}


def test_the_best_of_a_small_field_is_not_crowded_out_by_a_large_field() -> None:
    large = [paper_of((0, 100 + i), paper_id=i) for i in range(20)]
    small = [paper_of((0, i), paper_id=100 + i, field="math.AG") for i in range(5)]
    order = rank_trends(trend([*large, *small], NOW))
    assert order.index(104) < 5


def test_of_two_fields_equal_percentiles_the_faster_paper_comes_first() -> None:
    papers = [paper_of((0, 9)), paper_of((0, 5), paper_id=2, field="math.AG")]
    assert rank_trends(trend(papers, NOW)) == (1, 2)


def test_equal_papers_come_newest_id_first() -> None:
    papers = [paper_of((0, 9), paper_id=i) for i in (2, 3, 1)]
    assert rank_trends(trend(papers, NOW)) == (3, 2, 1)


def test_a_paper_that_was_only_seen_later_is_neutral_now() -> None:
    seen = [paper_of((0, 5)), paper_of((0, 9), paper_id=2)]
    trends = trend([*seen, paper_of((-1, 50), paper_id=3)], NOW)
    assert trends[3] == Trend(0.0, NEUTRAL_PERCENTILE, NEUTRAL_PERCENTILE)
    assert [trends[i].percentile for i in (1, 2)] == [25.0, 75.0]


def test_two_papers_with_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="same id"):
        trend([paper_of((0, 1)), paper_of()], NOW)


# --- the same for every window


@given(windows_and_one(), st.integers(1, 300), ages)
def test_more_upvotes_gained_never_rank_lower(
    case: tuple[list[PaperSignals], PaperSignals], more: int, ago: float
) -> None:
    window, lucky = case
    luckier = with_more(lucky, more, NOW - hours(ago))
    before = trend(window, NOW)
    after = trend([luckier if paper is lucky else paper for paper in window], NOW)
    i = lucky.paper_id
    assert after[i].velocity >= before[i].velocity
    assert rank_trends(after).index(i) <= rank_trends(before).index(i)


@given(looks, ages, ages)
def test_velocity_decays_over_time(seen: list[tuple[float, int]], age: float, later: float) -> None:
    paper = paper_of(*seen, age=age)
    then = measure_velocity(paper, NOW + hours(later))
    assert not is_clearly_less(measure_velocity(paper, NOW), then)


@given(looks, ages, ages)
def test_the_same_counts_are_worth_less_on_an_older_paper(
    seen: list[tuple[float, int]], age: float, older: float
) -> None:
    young = measure_velocity(paper_of(*seen, age=age), NOW)
    assert not is_clearly_less(young, measure_velocity(paper_of(*seen, age=age + older), NOW))


@given(looks, ages)
def test_an_old_paper_without_new_votes_has_nearly_no_velocity(
    seen: list[tuple[float, int]], age: float
) -> None:
    at_rest = measure_velocity(paper_of(*seen, age=age), NOW + timedelta(days=30))
    assert 0 <= at_rest < 1e-9


@given(windows(), st.sampled_from(FIELDS), st.integers(2, 1000))
def test_scaling_one_fields_upvotes_changes_no_order_within_it_or_among_the_others(
    window: list[PaperSignals], field: str, factor: int
) -> None:
    before = trend(window, NOW)
    after = trend([scaled(p, factor) if p.primary_category == field else p for p in window], NOW)
    others = [p.paper_id for p in window if p.primary_category != field]
    assert {i: after[i] for i in others} == {i: before[i] for i in others}
    # A paper without signals has no upvotes to scale and stays at the median: see the next test.
    own = [p.paper_id for p in window if p.primary_category == field and p.snapshots]
    for one in own:
        for other in own:
            if is_clearly_less(before[one].velocity, before[other].velocity):
                assert after[one].rank_score < after[other].rank_score


@given(windows(), st.sampled_from(FIELDS))
def test_a_paper_without_a_signal_is_neutral_and_changes_no_other(
    window: list[PaperSignals], field: str
) -> None:
    silent = paper_of(paper_id=1000, field=field)
    before, after = trend(window, NOW), trend([*window, silent], NOW)
    assert after[1000] == Trend(0.0, NEUTRAL_PERCENTILE, NEUTRAL_PERCENTILE)
    assert {i: after[i] for i in before} == before


@given(windows())
def test_within_a_field_as_many_papers_rank_above_a_silent_one_as_below(
    window: list[PaperSignals],
) -> None:
    trends = trend(window, NOW)
    for field in FIELDS:
        seen = [p for p in window if p.primary_category == field and p.snapshots]
        speeds = [trends[p.paper_id].velocity for p in seen]
        assume(len(set(speeds)) == len(speeds))
        percentiles = [trends[p.paper_id].percentile for p in seen]
        above = sum(percentile > NEUTRAL_PERCENTILE for percentile in percentiles)
        assert above == sum(percentile < NEUTRAL_PERCENTILE for percentile in percentiles)


@given(windows(), st.randoms(use_true_random=False))
def test_neither_the_order_of_papers_nor_of_snapshots_matters(
    window: list[PaperSignals], random: Random
) -> None:
    mixed = []
    for paper in window:
        seen = list(paper.snapshots)
        random.shuffle(seen)
        mixed.append(replace(paper, snapshots=tuple(seen)))
    random.shuffle(mixed)
    assert trend(mixed, NOW) == trend(window, NOW)
    assert rank_trends(trend(mixed, NOW)) == rank_trends(trend(window, NOW))


@given(windows())
def test_the_order_holds_every_paper_once_and_follows_the_score(window: list[PaperSignals]) -> None:
    trends = trend(window, NOW)
    order = rank_trends(trends)
    assert sorted(order) == sorted(paper.paper_id for paper in window)
    scores = [trends[i].rank_score for i in order]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < one.percentile < 100 and one.velocity >= 0 for one in trends.values())


@pytest.mark.real
def test_on_real_snapshots_papers_of_one_age_and_field_rank_by_upvotes(real_data: Path) -> None:
    with gzip.open(real_data / "bulk" / "dev" / "hf_upvote_snapshots.jsonl.gz", "rt") as lines:
        taken = [json.loads(line) for line in lines]
    assert taken
    for look in taken:
        seen_at = datetime.fromisoformat(look["fetched_at"])
        announced_at = datetime.fromisoformat(f"{look['date']}T00:00+00:00")
        counts = dict(enumerate(look["upvotes"].values()))
        papers = [
            PaperSignals(i, "", announced_at, (Snapshot(seen_at, upvotes),))
            for i, upvotes in counts.items()
        ]
        order = rank_trends(trend(papers, seen_at))
        assert list(order) == sorted(counts, key=lambda i: (counts[i], i), reverse=True)
