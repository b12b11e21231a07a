"""Charts as values for the templates: rectangles with labels, and a text alternative.

The macro in `_chart.html` renders a `Chart` as SVG. All builders take `ChartPart`s with labels, so
that every chart is accessible to screen readers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from service.presentation.dates import short_date
from service.presentation.phrases import count_of

WIDTH, HEIGHT = 300, 44
BAR_HEIGHT = 12
CELL = 16
_GAP = 3
# Minimum sizes: one paper stays visible beside a thousand, and one row beside a million.
_SHORTEST = 2.0
_NARROWEST = 3.0
_FEWEST_DAYS, _MOST_DAYS = 2, 60


@dataclass(frozen=True, slots=True)
class ChartPart:
    """A part of a chart. `look` is its CSS class."""

    count: int
    look: str
    label: str


@dataclass(frozen=True, slots=True)
class ChartRectangle:
    """A rectangle with its label, in units of the chart's view box."""

    x: float
    y: float
    width: float
    height: float
    look: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart. `text` is its alternative for screen readers, `ends` are the first and last day."""

    pieces: tuple[ChartRectangle, ...]
    text: str
    width: int
    height: int
    ends: tuple[date, date] | None = None
    has_baseline: bool = False


def draw_columns(columns: Mapping[date, Sequence[ChartPart]], text: str) -> Chart:
    """Draw a column a day on a baseline, stacked from the bottom up; needs at least one day."""
    most = max(1, *(sum(part.count for part in parts) for parts in columns.values()))
    step = WIDTH / len(columns)
    pieces: list[ChartRectangle] = []
    for number, parts in enumerate(columns.values()):
        x, bottom = round(number * step, 1), float(HEIGHT)
        for part in parts:
            height = max(_SHORTEST, round(HEIGHT * part.count / most, 1))
            bottom = max(0.0, round(bottom - height, 1))
            width = round(step - _GAP, 1)
            pieces.append(ChartRectangle(x, bottom, width, height, part.look, part.label))
    days = list(columns)
    return Chart(tuple(pieces), text, WIDTH, HEIGHT + 1, (days[0], days[-1]), has_baseline=True)


def draw_shares(parts: Sequence[ChartPart], empty_text: str) -> Chart:
    """Draw one bar over the whole width, divided by share; `empty_text` describes an empty one."""
    pieces, x = [], 0.0
    for part, width in zip(parts, _share([part.count for part in parts]), strict=True):
        shown = ChartRectangle(round(x, 1), 0, round(width, 1), BAR_HEIGHT, part.look, part.label)
        pieces.append(shown)
        x += width
    text = ", ".join(part.label for part in parts) or empty_text
    return Chart(tuple(pieces), text, WIDTH, BAR_HEIGHT)


def _share(counts: Sequence[int]) -> list[float]:
    """Return proportional widths, each at least a minimum before scaling; their sum is `WIDTH`."""
    total = sum(counts)
    widths = [max(_NARROWEST, WIDTH * count / total) for count in counts]
    scale = WIDTH / sum(widths) if widths else 1.0
    return [width * scale for width in widths]


def draw_cells(parts: Sequence[ChartPart], text: str) -> Chart:
    """Draw a row of squares of equal size."""
    step = CELL + _GAP
    pieces = [
        ChartRectangle(n * step, 0, CELL, CELL, part.look, part.label)
        for n, part in enumerate(parts)
    ]
    return Chart(tuple(pieces), text, len(parts) * step, CELL)


def chart_days(per_day: Sequence[tuple[date, int]]) -> Chart:
    """Draw papers per day, first day first; needs at least one day."""
    columns = {
        on: [ChartPart(count, "", f"{short_date(on)}: {count}")] if count else []
        for on, count in per_day
    }
    return draw_columns(columns, describe_days(per_day))


def chart_upvotes(observed: Sequence[tuple[datetime, int]]) -> Chart | None:
    """Draw a paper's upvotes by the end of each UTC day, oldest first; None for fewer than two days.

    `observed`: when, and how many upvotes it had, oldest first. A day without an observation has those
    of the day before; the last two months are drawn.
    """
    last_of = {at.date(): count for at, count in observed}
    if len(last_of) < _FEWEST_DAYS:
        return None
    first, last = min(last_of), max(last_of)
    columns, count = {}, 0
    for number in range((last - first).days + 1):
        on = first + timedelta(days=number)
        count = last_of.get(on, count)
        label = f"{short_date(on)}: {count_of(count, 'upvote')}"
        columns[on] = [ChartPart(count, "", label)] if count else []
    drawn = list(columns)[-_MOST_DAYS:]
    text = f"{count_of(count, 'upvote')} by {short_date(last)}; {last_of[first]} on {short_date(first)}."
    return draw_columns({on: columns[on] for on in drawn}, text)


def describe_days(per_day: Sequence[tuple[date, int]]) -> str:
    """Return a sentence that describes the columns."""
    total = sum(count for _, count in per_day)
    span = describe_span([on for on, _ in per_day])
    if total == 0:
        return f"No papers {span}."
    busiest, most = max(per_day, key=lambda day: day[1])
    return f"{count_of(total, 'paper')} {span}; most on {short_date(busiest)}: {most}."


def describe_span(days: Sequence[date]) -> str:
    """Return `from Tue 1 Sep to Thu 3 Sep`."""
    return f"from {short_date(days[0])} to {short_date(days[-1])}"
