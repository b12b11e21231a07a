"""The front page, and the pages of a day, a week and a month: announced papers, in a chosen order."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.periods import Period, PeriodKind, parse_period, period_of
from service.papers.store.read import latest_day
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.web.core.admission import SEARCH_IF_WORDS
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.core.page_cache import FORM_TOKEN
from service.web.core.signed_links import sign_form
from service.web.pages.period_page import MOST_PAGES, ListRequest, PeriodPage, load_period
from service.web.views.pagination import parse_page_number
from service.web.views.paper_orders import list_orders
from service.web.views.periods import period_title
from service.web.views.sign_up_form import blank_form

# How a name in an address is written.
_EXAMPLES: Final = {
    PeriodKind.DAILY: "Days are written like 2026-04-21.",
    PeriodKind.WEEKLY: "Weeks are written like 2026-W17, and a year has 52 or 53.",
    PeriodKind.MONTHLY: "Months are written like 2026-04.",
}

router = APIRouter(include_in_schema=False)


async def _read_request(
    field: str = "", sort: str = "", q: str = "", page: str = "1"
) -> ListRequest:
    # FastAPI would make the class itself in a thread, for which a busy process makes visitors wait.
    return ListRequest(field, sort, q, page)


Wanted = Annotated[ListRequest, Depends(_read_request)]


@router.get("/", dependencies=SEARCH_IF_WORDS)
def show_front(context: Context, wanted: Wanted) -> HTMLResponse:
    """Show the latest day that has papers."""
    today = announcement_date(context.clock())

    def load(session: Session) -> PeriodPage:
        day = period_of(PeriodKind.DAILY, latest_day(session, today) or today)
        return load_period(session, context.settings, day, today, wanted)

    return _show(context, load, wanted, today, path="/")


@router.get("/daily/{name}", dependencies=SEARCH_IF_WORDS)
def show_daily(context: Context, name: str, wanted: Wanted) -> HTMLResponse:
    return _show_period(context, PeriodKind.DAILY, name, wanted)


@router.get("/weekly/{name}", dependencies=SEARCH_IF_WORDS)
def show_weekly(context: Context, name: str, wanted: Wanted) -> HTMLResponse:
    return _show_period(context, PeriodKind.WEEKLY, name, wanted)


@router.get("/monthly/{name}", dependencies=SEARCH_IF_WORDS)
def show_monthly(context: Context, name: str, wanted: Wanted) -> HTMLResponse:
    return _show_period(context, PeriodKind.MONTHLY, name, wanted)


def _show_period(
    context: AppContext, kind: PeriodKind, name: str, wanted: ListRequest
) -> HTMLResponse:
    today = announcement_date(context.clock())
    period = find_come(kind, name, today)

    def load(session: Session) -> PeriodPage:
        return load_period(session, context.settings, period, today, wanted)

    return _show(context, load, wanted, today, path=period.path)


def find_come(kind: PeriodKind, name: str, today: date) -> Period:
    """Return a period that has begun, by its name in an address. Raises `PageNotFound`."""
    period = find_period(kind, name)
    if period.first > today:
        raise PageNotFound(
            f"{period_title(period)} has not come yet",
            "Its papers will be here on the morning they are announced.",
        )
    return period


def find_period(kind: PeriodKind, name: str) -> Period:
    """Return the period of a name in an address. Raises `PageNotFound` for any other text."""
    period = parse_period(kind, name)
    if period is None:
        raise PageNotFound(f"There is no such {kind.noun}", _EXAMPLES[kind])
    return period


def _show(
    context: AppContext,
    load: Callable[[Session], PeriodPage],
    wanted: ListRequest,
    today: date,
    path: str,
) -> HTMLResponse:
    def render(page: PeriodPage) -> tuple[int, str]:
        return 422 if page.words.fault else 200, _write(context, page, wanted, path)

    if wanted.q:  # Hardly two visitors write the same words.
        with transaction(context.sessions) as session:
            page = load(session)
        status, text = render(page)
        return HTMLResponse(text.replace(FORM_TOKEN, sign_form(context)), status)
    key = (path, today, wanted.field, wanted.sort, parse_page_number(wanted.page, MOST_PAGES))
    return context.page_cache.show(key, load, render, sign_form(context))


def _write(context: AppContext, page: PeriodPage, wanted: ListRequest, path: str) -> str:
    def link(**changes: str) -> str:
        """Return the address of this list with another field or order, from its first page."""
        chosen = {"field": wanted.field, "sort": wanted.sort, "q": page.words.text} | changes
        query = urlencode({name: value for name, value in chosen.items() if value})
        return f"{path}?{query}" if query else path

    return context.pages.write(
        "front.html",
        page=page,
        form=blank_form(context.settings, FORM_TOKEN),
        path=path,
        link=link,
        tabs=_tabs(context.settings, page.field),
        orders=list_orders(context.settings),
        turning=f"{query}&" if (query := link().partition("?")[2]) else "",
        # A week of two months is found under the month of its Thursday, as ISO 8601 has its year.
        month=period_of(PeriodKind.MONTHLY, _middle(page.period)),
        week=period_of(PeriodKind.WEEKLY, page.period.first),
    )


def _middle(period: Period) -> date:
    return period.first + (period.last - period.first) // 2


def _tabs(settings: Settings, chosen: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("", *settings.arxiv_categories, chosen)))
