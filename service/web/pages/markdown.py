"""`/daily/{date}.md` and `/papers/{key}.md`: the same as the pages, as text."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.periods import PeriodKind
from service.papers.store.read import find_paper
from service.platform.database.engine import transaction
from service.presentation.coverage import coverage_text
from service.presentation.dates import long_date
from service.presentation.sanitize import clean
from service.web.core.admission import FEED, PAPER
from service.web.core.conditional import has_etag, make_etag
from service.web.core.context import Context
from service.web.core.errors import PageNotFound
from service.web.pages.home import find_come
from service.web.pages.paper import canonical_key
from service.web.pages.period_page import ListRequest, load_period
from service.web.views.markdown import MEDIA_TYPE, write_day, write_paper

router = APIRouter(include_in_schema=False)


@router.get("/daily/{date_text}.md", dependencies=FEED)
def show_day(
    context: Context, request: Request, date_text: str, field: str = "", page: str = "1"
) -> Response:
    today = announcement_date(context.clock())
    period = find_come(PeriodKind.DAILY, date_text, today)
    with transaction(context.sessions) as session:
        day = load_period(
            session, context.settings, period, today, ListRequest(field=field, page=page)
        )
    note = day.silence or (coverage_text(day.coverage) if day.coverage else "")
    title = f"New papers, {long_date(period.first)}"
    if day.listed.pages > 1:
        title += f", page {day.listed.number} of {day.listed.pages}"
    text = write_day(title, note, day.listed.items, context.settings.base_url)
    return _answer(request, text)


@router.get("/papers/{key:path}.md", dependencies=PAPER)
def show_paper(context: Context, request: Request, key: str) -> Response:
    wanted = clean(key)
    with transaction(context.sessions) as session:
        paper = find_paper(session, wanted) or find_paper(session, canonical_key(wanted))
    if paper is None:
        raise PageNotFound("We do not know this paper", "So there is no text of it, either.")
    return _answer(request, write_paper(paper, context.settings.base_url))


def _answer(request: Request, text: str) -> Response:
    content = text.encode()
    etag = make_etag(content)
    headers = {"ETag": etag, "Cache-Control": "public, max-age=60", "X-Robots-Tag": "noindex"}
    if has_etag(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=MEDIA_TYPE, headers=headers)
