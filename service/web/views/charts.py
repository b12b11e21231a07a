"""Charts as values for the templates: flat bars on a baseline, and what they say in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from service.presentation.dates import short_date
from service.presentation.phrases import count_of

WIDTH, HEIGHT = 300, 44
_GAP = 3
# A day with one paper must be seen beside a day with a thousand.
_SHORTEST = 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One day, in units of the chart's view box; `label` is what it says."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars of a span of days. `text` is the alternative for whoever does not see them."""

    bars: tuple[Bar, ...]
    first: date
    last: date
    text: str
    width: int = WIDTH
    height: int = HEIGHT


def chart_days(per_day: Sequence[tuple[date, int]]) -> BarChart:
    """The chart of a count per day, one bar a day, first day first; needs at least one day."""
    most = max(count for _, count in per_day)
    step = WIDTH / len(per_day)
    bars = tuple(
        _bar(number * step, step - _GAP, count, most, f"{short_date(on)}: {count}")
        for number, (on, count) in enumerate(per_day)
        if count
    )
    return BarChart(bars, per_day[0][0], per_day[-1][0], describe_days(per_day))


def _bar(x: float, width: float, count: int, most: int, label: str) -> Bar:
    height = max(_SHORTEST, round(HEIGHT * count / most, 1))
    return Bar(round(x, 1), round(HEIGHT - height, 1), round(width, 1), height, label)


def describe_days(per_day: Sequence[tuple[date, int]]) -> str:
    """What the bars show, as a sentence."""
    total = sum(count for _, count in per_day)
    span = f"from {short_date(per_day[0][0])} to {short_date(per_day[-1][0])}"
    if total == 0:
        return f"No papers {span}."
    busiest, most = max(per_day, key=lambda day: day[1])
    return f"{count_of(total, 'paper')} {span}; most on {short_date(busiest)}: {most}."
