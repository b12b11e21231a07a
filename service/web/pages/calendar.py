"""The calendar: a month's days with their counts of papers, and the months and years there are."""

from dataclasses import dataclass
from datetime import date

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.periods import Period, PeriodKind, period_of
from service.papers.store.read import latest_day
from service.platform.database.engine import transaction
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.pages.home import find_period
from service.web.pages.period_page import load_archive
from service.web.views.periods import Archive, PeriodCell, period_title

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class CalendarRow:
    """A week of a calendar: a cell for each of its seven days, None for those of another month."""

    week: PeriodCell
    cells: tuple[PeriodCell | None, ...]


@dataclass(frozen=True, slots=True)
class CalendarPage:
    """The data of a month's calendar. `months` are those of its year, `years` the last month of each."""

    month: Period
    count: int
    rows: tuple[CalendarRow, ...]
    months: tuple[PeriodCell, ...]
    years: tuple[Period, ...]
    earlier: Period | None
    later: Period | None
    begins: date | None


@router.get("/calendar")
def show_calendar(context: Context) -> HTMLResponse:
    """Show the month of the latest papers."""
    today = announcement_date(context.clock())
    with transaction(context.sessions) as session:
        latest = latest_day(session, today) or today
    return _show(context, period_of(PeriodKind.MONTHLY, latest), today)


@router.get("/calendar/{name}")
def show_month(context: Context, name: str) -> HTMLResponse:
    today = announcement_date(context.clock())
    month = find_period(PeriodKind.MONTHLY, name)
    if month.first > today:
        raise PageNotFound(f"{period_title(month)} has not come yet", "The calendar ends today.")
    return _show(context, month, today)


def _show(context: AppContext, month: Period, today: date) -> HTMLResponse:
    year = month.first.replace(month=1), month.first.replace(month=12, day=31)
    with transaction(context.sessions) as session:
        archive = load_archive(session, year, today)
    return context.pages.show("calendar.html", page=draw_calendar(month, archive))


def draw_calendar(month: Period, archive: Archive) -> CalendarPage:
    """Return the calendar of a month; `archive` has the days of its year."""
    begins, weeks = archive.first, month.weeks()
    days = archive.cells([period_of(PeriodKind.DAILY, on) for on in month.days()])
    by_day = {cell.period.first: cell for cell in days}
    return CalendarPage(
        month=month,
        count=archive.count(month),
        rows=tuple(
            CalendarRow(cell, tuple(by_day.get(on) for on in cell.period.days()))
            for cell in archive.cells(weeks, within=month)
        ),
        months=archive.cells(_list_months(month.first.year, archive)),
        years=_list_years(archive),
        earlier=month.previous() if begins and month.first > begins else None,
        later=later if (later := month.next()).first <= archive.today else None,
        begins=begins,
    )


def _list_months(year: int, archive: Archive) -> list[Period]:
    """Return the months of a year from the first paper to today."""
    months = (period_of(PeriodKind.MONTHLY, date(year, number, 1)) for number in range(1, 13))
    return [month for month in months if archive.has_page(month)]


def _list_years(archive: Archive) -> tuple[Period, ...]:
    """Return the last month of each year that has papers, the latest year first."""
    begins = archive.first or archive.today
    ends = (
        min(date(year, 12, 1), archive.today)
        for year in range(archive.today.year, begins.year - 1, -1)
    )
    return tuple(period_of(PeriodKind.MONTHLY, on) for on in ends)
