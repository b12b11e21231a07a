"""What is gaining attention now: upvotes per hour, lately, compared within a paper's own field.

**Velocity**, in upvotes per hour. Every upvote gained weighs `2 ** -(hours since / half-life)`,
and so does every hour of the paper's life; velocity is the first sum over the second:

    velocity = sum(gain * mean weight of the time in which it came) / (smoothing + sum of weights
               of the hours since the announcement)

Nobody saw the moment of a vote, only two counts, so a gain is spread evenly between its two looks.
Weighing the hours too is what makes a paper of this morning comparable with one of yesterday:
at a steady pace both get that pace, however old they are. The smoothing is a stretch of hours
without a vote that every paper starts with, lest two votes in the first minute lead the page.

**Percentile** within the primary category, so that small fields are not drowned by large ones.
Reasons, proofs and what was measured on real days are in `docs/trending.md`.
"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

NEUTRAL_PERCENTILE = 50.0

# Between two fields, equal percentiles are settled by velocity. The share is far below the smallest
# gap of two different percentiles (50 / n / m for fields of n and m papers), so it settles no more.
_TIE_SHARE = 1e-6

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class TrendScale:
    """How fast attention fades, and how many hours without a vote every paper starts with.

    Both in hours, both above zero (else `ValueError`). A half-life of twelve hours is about what
    two real days showed, and one hour of smoothing was best on odd days; see `docs/trending.md`.
    """

    half_life_hours: float = 12.0
    smoothing_hours: float = 1.0

    def __post_init__(self) -> None:
        if self.half_life_hours <= 0 or self.smoothing_hours <= 0:
            raise ValueError("half-life and smoothing are hours, and more than zero")


DEFAULT_PACE = TrendScale()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at a paper: how many upvotes it had in all at an aware moment."""

    observed_at: datetime
    upvotes: int


@dataclass(frozen=True, slots=True)
class PaperSignals:
    """A paper with every look at it; the order of the looks says nothing."""

    paper_id: int
    primary_category: str
    announced_at: datetime
    snapshots: tuple[Snapshot, ...] = ()


@dataclass(frozen=True, slots=True)
class Trend:
    """`velocity` in upvotes per hour, `percentile` 0 to 100 within the primary category.

    `rank_score` is what to sort by across categories: the percentile, and within less than a
    millionth the velocity, which settles equal percentiles of different fields.
    """

    velocity: float
    percentile: float
    rank_score: float


_NEUTRAL = Trend(0.0, NEUTRAL_PERCENTILE, NEUTRAL_PERCENTILE)


def trend(
    papers: Iterable[PaperSignals], now: datetime, pace: TrendScale = DEFAULT_PACE
) -> dict[int, Trend]:
    """The trend of each paper among the given ones, which are the window, by paper id.

    Looks later than `now` (aware) do not count. A paper that nobody looked at yet has no signal:
    it is neutral, stands at the median of its field and moves nobody else. Raises `ValueError`
    where two papers have the same id.
    """
    asked = sorted(papers, key=lambda paper: paper.paper_id)
    velocities = {
        paper.paper_id: measure_velocity(paper, now, pace)
        for paper in asked
        if any(look.observed_at <= now for look in paper.snapshots)
    }
    percentiles = _percentiles(asked, velocities)
    trends = {
        paper.paper_id: _make_trend(velocities[paper.paper_id], percentiles[paper.paper_id])
        if paper.paper_id in velocities
        else _NEUTRAL
        for paper in asked
    }
    if len(trends) < len(asked):
        raise ValueError("two papers of a window have the same id")
    return trends


def measure_velocity(paper: PaperSignals, now: datetime, pace: TrendScale = DEFAULT_PACE) -> float:
    """Upvotes per hour of one paper at `now`, the recent hours weighing more; never below 0."""
    started_at = min(paper.announced_at, now)
    gained = math.fsum(
        gain * _decay(now - until, pace) * _mean_decay(until - since, pace)
        for since, until, gain in _gains(paper, started_at, now)
    )
    age = now - started_at
    return gained / (pace.smoothing_hours + age / _HOUR * _mean_decay(age, pace))


def _gains(
    paper: PaperSignals, started_at: datetime, now: datetime
) -> Iterator[tuple[datetime, datetime, int]]:
    """Votes that were new at each look, with the stretch of time in which they came.

    Counted from 0 at the announcement. New is what is above every earlier count: a withdrawn vote
    takes nothing away, a vote given again is not gained twice, and a source that once forgot the
    field and so said 0 does no harm.
    """
    counts: dict[datetime, int] = {}
    for look in paper.snapshots:
        if look.observed_at <= now:
            # A source may list a paper before it is announced here; such votes came at the start.
            at = max(look.observed_at, started_at)
            counts[at] = max(look.upvotes, counts.get(at, 0))
    highest, since = 0, started_at
    for at, upvotes in sorted(counts.items()):
        yield since, at, max(0, upvotes - highest)
        highest, since = max(highest, upvotes), at


def _decay(lag: timedelta, pace: TrendScale) -> float:
    """The weight of something that long ago: 1 now, half of it after each half-life."""
    return float(2.0 ** -(lag / _HOUR / pace.half_life_hours))


def _mean_decay(span: timedelta, pace: TrendScale) -> float:
    """The mean of `_decay` over the last `span`: its integral, over its length."""
    exponent = span / _HOUR / pace.half_life_hours * math.log(2)
    return -math.expm1(-exponent) / exponent if exponent else 1.0


def _percentiles(
    papers: Iterable[PaperSignals], velocities: Mapping[int, float]
) -> dict[int, float]:
    """Where each paper with a signal stands in its field: the middle of its own rank's share.

    The best of n stands at 100 - 50/n and the last at 50/n, equals share one place, and the only
    paper of a field stands in the middle: being first among few proves less than among many.
    """
    fields: defaultdict[str, list[float]] = defaultdict(list)
    seen = [paper for paper in papers if paper.paper_id in velocities]
    for paper in seen:
        fields[paper.primary_category].append(velocities[paper.paper_id])
    for field in fields.values():
        field.sort()
    return {
        paper.paper_id: _percentile(velocities[paper.paper_id], fields[paper.primary_category])
        for paper in seen
    }


def _percentile(velocity: float, field: list[float]) -> float:
    below_twice = bisect_left(field, velocity) + bisect_right(field, velocity)
    return 50.0 * below_twice / len(field)


def _make_trend(velocity: float, percentile: float) -> Trend:
    return Trend(velocity, percentile, percentile + _TIE_SHARE * velocity / (1 + velocity))
