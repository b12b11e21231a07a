"""Atom and RSS feeds of whole weeks and whole months: one entry each, with its best papers."""

from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from markupsafe import escape
from sqlalchemy import literal
from sqlalchemy.orm import Session

from service.messages.contexts.base import BRAND
from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.periods import Period, PeriodKind, period_of
from service.papers.store.periods import BY_TREND, PaperChoice, list_ranked
from service.papers.store.read import get_papers, latest_day
from service.platform.database.engine import transaction
from service.presentation.phrases import count_of
from service.web.core.admission import FEED
from service.web.core.context import AppContext, Context
from service.web.pages.feeds import (
    PAPERS_A_DAY,
    answer_feed,
    base_of,
    changed_at,
    list_titles,
    morning,
)
from service.web.views.feed_formats import Entry, Feed
from service.web.views.periods import period_title

MOST_PERIODS: Final = 5
_TITLES: Final = {
    PeriodKind.WEEKLY: "Papers of the week",
    PeriodKind.MONTHLY: "Papers of the month",
}

router = APIRouter(include_in_schema=False)


@router.get("/feeds/weekly.atom", dependencies=FEED)
def show_weekly_atom(context: Context, request: Request) -> Response:
    return _answer(context, request, PeriodKind.WEEKLY, "atom")


@router.get("/feeds/weekly.rss", dependencies=FEED)
def show_weekly_rss(context: Context, request: Request) -> Response:
    return _answer(context, request, PeriodKind.WEEKLY, "rss")


@router.get("/feeds/monthly.atom", dependencies=FEED)
def show_monthly_atom(context: Context, request: Request) -> Response:
    return _answer(context, request, PeriodKind.MONTHLY, "atom")


@router.get("/feeds/monthly.rss", dependencies=FEED)
def show_monthly_rss(context: Context, request: Request) -> Response:
    return _answer(context, request, PeriodKind.MONTHLY, "rss")


def _answer(context: AppContext, request: Request, kind: PeriodKind, form: str) -> Response:
    base = base_of(context)
    current = period_of(kind, announcement_date(context.clock()))
    with transaction(context.sessions) as session:
        # An entry is made once its period is over, so that it does not change while it is read.
        on = latest_day(session, current.first - timedelta(days=1))
        entries: list[Entry] = []
        best: list[int] = []
        while on and len(entries) < MOST_PERIODS:
            period = period_of(kind, on)
            entry, ids = _make_entry(session, period, base)
            entries.append(entry)
            best += ids
            on = latest_day(session, period.first - timedelta(days=1))
        feed = Feed(
            title=f"{_TITLES[kind]} · {BRAND}",
            url=f"{base}/feeds/{kind}.{form}",
            page_url=base + current.path,
            entries=tuple(entries),
            changed_at=changed_at(session, best),
        )
    return answer_feed(request, feed, form)


def _make_entry(session: Session, period: Period, base: str) -> tuple[Entry, list[int]]:
    """Return the entry of a period, and the ids of its best papers."""
    window = (0, PAPERS_A_DAY)
    ranked, total = list_ranked(session, PaperChoice(period.span), literal(0), BY_TREND, window)
    ids = [each.id for each in ranked]
    papers = get_papers(session, ids)
    title = f"{period_title(period)}: {count_of(total, 'new paper')}"
    listed = list_titles([papers[paper_id] for paper_id in ids], base)
    more = f'<p><a href="{escape(base + period.path)}">All of them</a></p>'
    published_at = morning(period.last + timedelta(days=1))
    return Entry(base + period.path, title, listed + more, published_at), ids
