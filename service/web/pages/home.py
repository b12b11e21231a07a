"""The front page and the pages of earlier days: announced papers, ranked."""

from dataclasses import dataclass
from datetime import date, timedelta

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from service.deliveries.store.demo_mark import has_sample_papers
from service.editions.coverage import day_coverage
from service.editions.domain.coverage import Coverage
from service.papers.domain.announcement_days import announcement_date, is_announcement_day
from service.papers.domain.categories import UnknownCategory, expand
from service.papers.domain.paper_order import rank_papers
from service.papers.domain.types import PaperView
from service.papers.store.read import ListedPaper, get_papers, latest_day, list_papers_announced_on
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.presentation.dates import long_date
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.core.signed_links import sign_form
from service.web.views.pagination import Slice, cut, parse_page_number
from service.web.views.sign_up_form import blank_form

PAGE_SIZE = 40

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class DayPage:
    """The data of one day's page. `field` is the requested category, empty for all.

    `outage` says that today's papers could not be read, on a page that shows an earlier day.
    """

    on: date
    field: str
    listed: Slice[PaperView]
    total: int
    coverage: Coverage | None
    earlier: date | None
    later: date | None
    is_trending: bool
    silence: str
    outage: str
    is_sample: bool


@router.get("/")
def show_front(context: Context, field: str = "", page: str = "1") -> HTMLResponse:
    """Show the latest day that has papers."""
    today = announcement_date(context.clock())
    with transaction(context.sessions) as session:
        on = latest_day(session, today)
        day = load_day(session, context.settings, on or today, today, (field, page))
    return show_day(context, day, path="/")


@router.get("/daily/{date_text}")
def show_daily(context: Context, date_text: str, field: str = "", page: str = "1") -> HTMLResponse:
    today = announcement_date(context.clock())
    on = parse_day(date_text, today)
    with transaction(context.sessions) as session:
        day = load_day(session, context.settings, on, today, (field, page))
    return show_day(context, day, path=f"/daily/{on}")


def parse_day(text: str, today: date) -> date:
    """Return the day in an address, which has come. Raises `PageNotFound`."""
    on = parse_date(text)
    if on > today:
        raise PageNotFound(
            f"{long_date(on)} has not come yet",
            "Its papers will be here on the morning they are announced.",
        )
    return on


def parse_date(text: str) -> date:
    """Return the day in an address. Raises `PageNotFound`."""
    try:
        on = date.fromisoformat(text)
    except ValueError:
        on = None
    # ISO 8601 has more spellings than the one that we link to; arXiv's first papers are of 1991.
    if on is None or str(on) != text or on.year < 1991:
        raise PageNotFound("There is no such day", "Days are written like 2026-04-21.")
    return on


def show_day(context: AppContext, day: DayPage, path: str) -> HTMLResponse:
    form = blank_form(context.settings, sign_form(context))
    tabs = _tabs(context.settings, day.field)
    return context.pages.show("front.html", day=day, form=form, path=path, tabs=tabs)


def _tabs(settings: Settings, chosen: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("", *settings.arxiv_categories, chosen)))


def load_day(
    session: Session, settings: Settings, on: date, today: date, chosen: tuple[str, str]
) -> DayPage:
    """Return one day's papers. `chosen` is the category and the page number from the URL."""
    field, page = chosen
    announced = list_papers_announced_on(session, on)
    shown = _in_field(announced, field)
    later = _next_announcement_day(on)
    listed = cut(rank_papers(shown), parse_page_number(page), PAGE_SIZE)
    papers = get_papers(session, [paper.id for paper in listed.items])
    coverage = day_coverage(session, on, settings, today)
    return DayPage(
        on=on,
        field=field,
        listed=Slice(
            tuple(papers[p.id] for p in listed.items), listed.number, listed.pages, listed.first
        ),
        total=len(shown),
        coverage=coverage if coverage and (coverage.announced or coverage.gaps) else None,
        earlier=latest_day(session, on - timedelta(days=1)),
        later=later if later <= today else None,
        is_trending=any(paper.upvotes for paper in announced),
        is_sample=has_sample_papers(session),
        silence="" if shown else _explain_silence(on, today, coverage, field if announced else ""),
        outage=_explain_outage(session, settings, today) if on < today else "",
    )


def _in_field(papers: list[ListedPaper], field: str) -> list[ListedPaper]:
    if not field:
        return papers
    wanted = _codes(field)
    return [paper for paper in papers if wanted & {*paper.categories}]


def _codes(field: str) -> frozenset[str]:
    try:
        return expand(field)
    except UnknownCategory as error:
        raise PageNotFound("There is no such field", str(error)) from error


def _next_announcement_day(on: date) -> date:
    later = on + timedelta(days=1)
    while not is_announcement_day(later):
        later += timedelta(days=1)
    return later


def _explain_outage(session: Session, settings: Settings, today: date) -> str:
    coverage = day_coverage(session, today, settings)
    return coverage.note if coverage and coverage.has_outage else ""


def _explain_silence(on: date, today: date, coverage: Coverage | None, field: str) -> str:
    """Return why there is nothing to show; `field` is the requested one on a day with papers."""
    lost = {gap.category for gap in coverage.gaps if gap.kind.is_lost} if coverage else set()
    if coverage and (lost & _codes(field) if field else coverage.has_outage):
        return coverage.note
    if field:
        return "Nothing was announced in this field on this day."
    if not is_announcement_day(on):
        return "arXiv announces nothing on Saturdays and Sundays. Have a good weekend."
    if on == today and not (coverage and coverage.is_empty):
        return "Today’s papers are not announced yet. They usually come shortly after midnight in New York."
    return coverage.note if coverage and coverage.note else "No papers were announced on this day."
