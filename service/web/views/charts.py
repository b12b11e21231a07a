"""Charts as values for the templates: what is drawn, and what it says in words.

There is one value, `Chart`, and one macro that writes it, `_chart.html`. All builders take `ChartPart`s,
which say themselves, so that every chart has the same alternative for whoever does not see it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from service.presentation.dates import short_date
from service.presentation.phrases import count_of

WIDTH, HEIGHT = 300, 44
BAR_HEIGHT = 12
CELL = 16
_GAP = 3
# A day with one paper must be seen beside a day with a thousand, and one row among a million.
_SHORTEST = 2.0
_NARROWEST = 3.0


@dataclass(frozen=True, slots=True)
class ChartPart:
    """Something to be drawn: how many, the look (a class of the style sheet) and what it says."""

    count: int
    look: str
    label: str


@dataclass(frozen=True, slots=True)
class ChartRectangle:
    """A rectangle in units of the chart's view box; `label` is what it says."""

    x: float
    y: float
    width: float
    height: float
    look: str
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing; `text` says it to whoever does not see it. `ends` are the first and last day."""

    pieces: tuple[ChartRectangle, ...]
    text: str
    width: int
    height: int
    ends: tuple[date, date] | None = None
    has_baseline: bool = False


def draw_columns(columns: Mapping[date, Sequence[ChartPart]], text: str) -> Chart:
    """Draw a column a day on a baseline, its parts stacked from the ground up; needs a day."""
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


def draw_shares(parts: Sequence[ChartPart], nothing: str) -> Chart:
    """Draw one bar over the whole width, each part with its share; `nothing` says an empty one."""
    pieces, x = [], 0.0
    for part, width in zip(parts, _share([part.count for part in parts]), strict=True):
        shown = ChartRectangle(round(x, 1), 0, round(width, 1), BAR_HEIGHT, part.look, part.label)
        pieces.append(shown)
        x += width
    text = ", ".join(part.label for part in parts) or nothing
    return Chart(tuple(pieces), text, WIDTH, BAR_HEIGHT)


def _share(counts: Sequence[int]) -> list[float]:
    """Widths in proportion, none too narrow to be seen; together they are the whole."""
    whole = sum(counts)
    widths = [max(_NARROWEST, WIDTH * count / whole) for count in counts]
    scale = WIDTH / sum(widths) if widths else 1.0
    return [width * scale for width in widths]


def draw_cells(parts: Sequence[ChartPart], text: str) -> Chart:
    """Draw a row of squares, all alike but for their look."""
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


def describe_days(per_day: Sequence[tuple[date, int]]) -> str:
    """Return what the columns show, as a sentence."""
    total = sum(count for _, count in per_day)
    span = say_span([on for on, _ in per_day])
    if total == 0:
        return f"No papers {span}."
    busiest, most = max(per_day, key=lambda day: day[1])
    return f"{count_of(total, 'paper')} {span}; most on {short_date(busiest)}: {most}."


def say_span(days: Sequence[date]) -> str:
    """Return `from Tue 1 Sep to Thu 3 Sep`."""
    return f"from {short_date(days[0])} to {short_date(days[-1])}"
