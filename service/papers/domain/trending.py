"""Trends: recent upvotes per hour, as a percentile within a paper's primary category.

**Velocity**, in upvotes per hour, is an exponentially decaying average. Every upvote gained weighs
`2 ** -(hours since / half-life)`, and so does every hour of the paper's life:

    velocity = sum(gain * mean weight of the time in which it came) / (smoothing + sum of weights
               of the hours since the announcement)

Only counts are known, not the moment of a vote, so a gain is spread evenly between its two
observations; votes given here have their moment. Weighing the hours too makes a paper of this morning comparable with one of
yesterday: at a steady rate both get that rate at any age. The smoothing adds hours without a vote
at the start of every paper, so that two votes in the first minute do not rank first.

**Percentile** within the primary category, so that large fields do not crowd out small ones.
Reasons, proofs and measurements on real days are in `docs/trending.md`.
"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

NEUTRAL_PERCENTILE = 50.0

# Velocity breaks ties between equal percentiles of two fields. The share is far below the smallest
# gap of two different percentiles (50 / n / m for fields of n and m papers), so no others change.
_TIE_SHARE = 1e-6

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class TrendScale:
    """How fast attention fades, and how many hours without a vote every paper starts with.

    Both in hours, above zero (else `ValueError`). A half-life of twelve hours is about what two
    real days showed, and one hour of smoothing was best on odd days; see `docs/trending.md`.
    """

    half_life_hours: float = 12.0
    smoothing_hours: float = 1.0

    def __post_init__(self) -> None:
        if self.half_life_hours <= 0 or self.smoothing_hours <= 0:
            raise ValueError("half-life and smoothing must be more than 0 hours")


DEFAULT_SCALE = TrendScale()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One observation of a paper: its total upvotes at an aware moment."""

    observed_at: datetime
    upvotes: int


@dataclass(frozen=True, slots=True)
class OwnVote:
    """A vote given here, or the operator's pick: its aware moment, and how many upvotes it is worth."""

    at: datetime
    upvotes: float


@dataclass(frozen=True, slots=True)
class PaperSignals:
    """A paper with all its snapshots, and the votes given here, in any order."""

    paper_id: int
    primary_category: str
    announced_at: datetime
    snapshots: tuple[Snapshot, ...] = ()
    votes: tuple[OwnVote, ...] = ()

    def has_signal(self, now: datetime) -> bool:
        """Return whether anything was observed by `now`."""
        is_seen = any(snapshot.observed_at <= now for snapshot in self.snapshots)
        return is_seen or any(vote.at <= now for vote in self.votes)


@dataclass(frozen=True, slots=True)
class Trend:
    """`velocity` in upvotes per hour, `percentile` 0 to 100 within the primary category.

    `rank_score` is the sort key across categories: the percentile plus less than a millionth of
    velocity, which breaks ties between equal percentiles of different fields.
    """

    velocity: float
    percentile: float
    rank_score: float


_NEUTRAL = Trend(0.0, NEUTRAL_PERCENTILE, NEUTRAL_PERCENTILE)


def trend(
    papers: Iterable[PaperSignals], now: datetime, scale: TrendScale = DEFAULT_SCALE
) -> dict[int, Trend]:
    """Return the trend of each paper among the given ones (the window), by paper id.

    What is later than `now` (aware) does not count. A paper without a signal is neutral: it
    stands at the median of its field and does not affect others. Raises `ValueError` where two
    papers have the same id.
    """
    ordered = sorted(papers, key=lambda paper: paper.paper_id)
    velocities = {
        paper.paper_id: measure_velocity(paper, now, scale)
        for paper in ordered
        if paper.has_signal(now)
    }
    percentiles = _percentiles(ordered, velocities)
    trends = {
        paper.paper_id: _make_trend(velocities[paper.paper_id], percentiles[paper.paper_id])
        if paper.paper_id in velocities
        else _NEUTRAL
        for paper in ordered
    }
    if len(trends) < len(ordered):
        raise ValueError("two papers of a window have the same id")
    return trends


def measure_velocity(
    paper: PaperSignals, now: datetime, scale: TrendScale = DEFAULT_SCALE
) -> float:
    """Return one paper's upvotes per hour at `now`, recent hours weighing more; never below 0."""
    started_at = min(paper.announced_at, now)
    gained = math.fsum(
        gain * _decay(now - until, scale) * _mean_decay(until - since, scale)
        for since, until, gain in _gains(paper, started_at, now)
    )
    # The moment of these is known. One from before the announcement counts at the announcement.
    gained += math.fsum(
        vote.upvotes * _decay(now - max(vote.at, started_at), scale)
        for vote in paper.votes
        if vote.at <= now
    )
    age = now - started_at
    return gained / (scale.smoothing_hours + age / _HOUR * _mean_decay(age, scale))


def _gains(
    paper: PaperSignals, started_at: datetime, now: datetime
) -> Iterator[tuple[datetime, datetime, int]]:
    """Yield the votes gained at each snapshot, with the interval in which they came.

    Counted from 0 at the announcement. Only counts above every earlier one are gains: a withdrawn
    vote subtracts nothing, a vote given again is not gained twice, and a snapshot in which the
    source left the field out (0) does no harm.
    """
    counts: dict[datetime, int] = {}
    for snapshot in paper.snapshots:
        if snapshot.observed_at <= now:
            # A source may list a paper before its announcement; such votes count at the start.
            at = max(snapshot.observed_at, started_at)
            counts[at] = max(snapshot.upvotes, counts.get(at, 0))
    highest, since = 0, started_at
    for at, upvotes in sorted(counts.items()):
        yield since, at, max(0, upvotes - highest)
        highest, since = max(highest, upvotes), at


def _decay(lag: timedelta, scale: TrendScale) -> float:
    """Return the weight of something `lag` ago: 1 now, halved after each half-life."""
    return float(2.0 ** -(lag / _HOUR / scale.half_life_hours))


def _mean_decay(span: timedelta, scale: TrendScale) -> float:
    """Return the mean of `_decay` over the last `span`: its integral over its length."""
    exponent = span / _HOUR / scale.half_life_hours * math.log(2)
    return -math.expm1(-exponent) / exponent if exponent else 1.0


def _percentiles(
    papers: Iterable[PaperSignals], velocities: Mapping[int, float]
) -> dict[int, float]:
    """Return the percentile of each paper with a signal in its field: the middle of its rank.

    The best of n stands at 100 - 50/n and the last at 50/n, ties share one place, and the only
    paper of a field stands at 50: being first among few proves less than among many.
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
