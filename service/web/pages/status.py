"""`/status`: a public chart of whether each day of the last 30 was complete, by category."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from service.operations.figures import BatchLine
from service.operations.status import find_history
from service.papers.domain.announcement_days import announcement_date
from service.presentation.dates import short_date
from service.web.core.context import Context
from service.web.views.charts import Chart, ChartPart, draw_cells
from service.web.views.labels import source_title

DAYS = 30
KEYS = {
    "complete": "complete",
    "partial": "partly announced",
    "expected": "expected",
    "closed": "closed at the deadline",
}
ANSWERS = {
    "silent": "announced nothing yet",
    "read": "was read",
    "nothing": "says there is nothing",
    "unreadable": "could not be read",
    "unreachable": "could not be reached",
}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One category: a square a day, each labelled in words."""

    name: str
    chart: Chart


@dataclass(frozen=True, slots=True)
class StatusPicture:
    """The chart, one row a category with the oldest day first, and the latest day's batches."""

    rows: tuple[StatusRow, ...]
    first: date
    last: date
    latest: tuple[BatchLine, ...]


@router.get("/status")
def show_status(context: Context) -> HTMLResponse:
    last = announcement_date(context.clock())
    first = last - timedelta(days=DAYS - 1)
    history = find_history(context.sessions, context.settings, first, last)
    picture = draw_status(history.batches, first, last)
    return context.pages.show(
        "status.html", picture=picture, keys=KEYS, answers=ANSWERS, coverage=history.coverage
    )


def draw_status(batches: Sequence[BatchLine], first: date, last: date) -> StatusPicture:
    """Return the chart of the batches from `first` to `last`, both included."""
    by_name: dict[str, dict[date, BatchLine]] = {}
    for batch in batches:
        if first <= batch.announced_on <= last:
            name = f"{source_title(batch.source)} {batch.category}".strip()
            by_name.setdefault(name, {})[batch.announced_on] = batch
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    rows = tuple(
        _draw_row(name, found, days)
        for name, found in sorted(by_name.items(), key=lambda row: row[0].casefold())
    )
    latest_on = max((batch.announced_on for batch in batches), default=None)
    latest = tuple(batch for batch in batches if batch.announced_on == latest_on)
    return StatusPicture(rows, first, last, latest)


def _draw_row(name: str, found: dict[date, BatchLine], days: Sequence[date]) -> StatusRow:
    looks = [_look(found.get(day)) for day in days]
    squares = [
        ChartPart(1, look, describe_batch(day, found.get(day)))
        for day, look in zip(days, looks, strict=True)
    ]
    known = len(looks) - looks.count("none")
    text = f"{name}: {looks.count('complete')} of {known} days complete"
    return StatusRow(name, draw_cells(squares, text))


def _look(batch: BatchLine | None) -> str:
    """Return the CSS class: the batch's state, or `none` without a batch."""
    return str(batch.state) if batch else "none"


def describe_batch(day: date, batch: BatchLine | None) -> str:
    """Return a label like `Tue 21 Apr: complete, 412 papers, 3 late`."""
    if batch is None:
        return f"{short_date(day)}: not fetched"
    parts = [str(batch.state)]
    if batch.announced_count:
        parts.append(f"{batch.announced_count:,} papers")
    if batch.late_count:
        parts.append(f"{batch.late_count:,} late")
    if batch.note:
        parts.append(batch.note)
    return f"{short_date(day)}: {', '.join(parts)}"
