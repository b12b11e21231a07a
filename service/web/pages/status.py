"""`/status`: whether each day was whole, for everybody to see; the last 30 days as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from service.operations.figures import BatchLine
from service.operations.status import find_history
from service.papers.domain.announcement_days import announcement_date
from service.presentation.dates import short_date
from service.web.core.context import SiteHere

DAYS = 30
CELL, GAP = 16, 3

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class DayCell:
    """One category on one date. `look` is the state, or `none` where nobody asked."""

    x: int
    look: str
    label: str


@dataclass(frozen=True, slots=True)
class StatusRow:
    name: str
    cells: tuple[DayCell, ...]
    text: str


@dataclass(frozen=True, slots=True)
class StatusPicture:
    """A row of squares a category, oldest day first; every square says itself in words."""

    rows: tuple[StatusRow, ...]
    first: date
    last: date
    latest: tuple[BatchLine, ...]
    width: int = DAYS * (CELL + GAP)
    height: int = CELL


@router.get("/status")
def show_status(site: SiteHere) -> HTMLResponse:
    last = announcement_date(site.clock())
    first = last - timedelta(days=DAYS - 1)
    history = find_history(site.sessions, site.settings, first)
    picture = draw_status(history.batches, first, last)
    return site.pages.show("status.html", picture=picture, coverage=history.coverage)


def draw_status(batches: Sequence[BatchLine], first: date, last: date) -> StatusPicture:
    """The picture of batches in a closed span of days."""
    by_name: dict[str, dict[date, BatchLine]] = {}
    for batch in batches:
        if first <= batch.announced_on <= last:
            name = f"{batch.source} {batch.category}".strip()
            by_name.setdefault(name, {})[batch.announced_on] = batch
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    rows = tuple(_draw_row(name, found, days) for name, found in sorted(by_name.items()))
    latest_on = max((batch.announced_on for batch in batches), default=None)
    latest = tuple(batch for batch in batches if batch.announced_on == latest_on)
    return StatusPicture(rows, first, last, latest)


def _draw_row(name: str, found: dict[date, BatchLine], days: Sequence[date]) -> StatusRow:
    cells = tuple(
        DayCell(number * (CELL + GAP), _look(found.get(day)), describe_batch(day, found.get(day)))
        for number, day in enumerate(days)
    )
    whole = sum(cell.look == "complete" for cell in cells)
    asked = sum(cell.look != "none" for cell in cells)
    return StatusRow(name, cells, f"{name}: {whole} of {asked} days complete")


def _look(batch: BatchLine | None) -> str:
    return str(batch.state) if batch else "none"


def describe_batch(day: date, batch: BatchLine | None) -> str:
    """`Tue 21 Apr: complete, 412 papers, 3 late`."""
    if batch is None:
        return f"{short_date(day)}: not asked for"
    parts = [str(batch.state)]
    if batch.announced_count:
        parts.append(f"{batch.announced_count:,} papers")
    if batch.late_count:
        parts.append(f"{batch.late_count:,} late")
    if batch.note:
        parts.append(batch.note)
    return f"{short_date(day)}: {', '.join(parts)}"
