"""Atom, RSS and JSON feeds: the results of a search, and the papers of each day.

An entry's identifier is the URL of its page, which never changes. Unchanged feeds are answered with
304 (conditional requests, RFC 9110, section 13).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from markupsafe import Markup, escape
from sqlalchemy.orm import Session

from service.editions.coverage import day_coverage
from service.editions.domain.coverage import Coverage
from service.messages.contexts.base import BRAND
from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.paper_order import rank_papers
from service.papers.domain.types import PaperView
from service.papers.store.read import get_papers, latest_day, list_papers_announced_on
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.presentation.coverage import coverage_text
from service.presentation.dates import long_date
from service.presentation.phrases import count_of
from service.presentation.sanitize import clean
from service.topics.domain.names import derive_name
from service.topics.like_clauses import topic_condition
from service.topics.store.recent import find_newest_ids, select_changed_at
from service.topics.topics import TopicError, validate_topic
from service.web.core.admission import FEED
from service.web.core.conditional import has_etag, make_etag
from service.web.core.context import AppContext, Context
from service.web.views.feed_formats import Entry, Feed, write_atom, write_json, write_rss

# When an empty feed changed.
NO_CHANGE: Final = datetime(1970, 1, 1, tzinfo=UTC)
MOST_ENTRIES: Final = 50
MOST_DAYS: Final = 5
PAPERS_A_DAY: Final = 25
# Papers come once a day, so feed readers may serve frequent requests from their own cache.
_MAX_AGE_SECONDS = 900
# The last part of a feed's address -> its content type, and what writes it.
_FORMATS: Final[Mapping[str, tuple[str, Callable[[Feed], bytes]]]] = {
    "atom": ("application/atom+xml; charset=utf-8", write_atom),
    "rss": ("application/rss+xml; charset=utf-8", write_rss),
    "json": ("application/feed+json; charset=utf-8", write_json),
}

router = APIRouter(include_in_schema=False)


@router.get("/feeds/search.atom", dependencies=FEED)
def show_search_atom(context: Context, request: Request, q: str = "") -> Response:
    return _answer_search(context, request, q, "atom")


@router.get("/feeds/search.rss", dependencies=FEED)
def show_search_rss(context: Context, request: Request, q: str = "") -> Response:
    return _answer_search(context, request, q, "rss")


@router.get("/feeds/search.json", dependencies=FEED)
def show_search_json(context: Context, request: Request, q: str = "") -> Response:
    return _answer_search(context, request, q, "json")


@router.get("/feeds/daily.atom", dependencies=FEED)
def show_daily_atom(context: Context, request: Request) -> Response:
    return _answer_daily(context, request, "atom")


@router.get("/feeds/daily.rss", dependencies=FEED)
def show_daily_rss(context: Context, request: Request) -> Response:
    return _answer_daily(context, request, "rss")


def _answer_daily(context: AppContext, request: Request, form: str) -> Response:
    """Return one entry a day with its top papers: the digest without topics, as a feed."""
    url = f"{base_of(context)}/feeds/daily.{form}"
    with transaction(context.sessions) as session:
        today = announcement_date(context.clock())
        feed = _load_days(session, context.settings, base_of(context), url, today)
    return answer_feed(request, feed, form)


def _answer_search(context: AppContext, request: Request, text: str, form: str) -> Response:
    topic = clean(text).strip()
    try:
        with transaction(context.sessions) as session:
            papers = _find(session, context.settings, topic)
            newest = changed_at(session, [paper.id for paper in papers])
    except TopicError as error:
        return PlainTextResponse(f"{' '.join(str(error).split())}\n", status_code=422)
    query = quote(topic, safe="")
    feed = Feed(
        title=f"{derive_name(topic)} · {BRAND}",
        url=f"{base_of(context)}/feeds/search.{form}?q={query}",
        page_url=f"{base_of(context)}/search?q={query}",
        entries=tuple(_paper_entry(paper, base_of(context)) for paper in papers),
        changed_at=newest,
    )
    return answer_feed(request, feed, form)


def base_of(context: AppContext) -> str:
    """Return the site's address without a slash at its end."""
    return context.settings.base_url.rstrip("/")


def _find(session: Session, settings: Settings, topic: str) -> list[PaperView]:
    ids = find_newest_ids(
        session, topic_condition(session, settings, validate_topic(session, topic)), MOST_ENTRIES
    )
    papers = get_papers(session, ids)
    found = [papers[paper_id] for paper_id in ids]
    return found if settings.ai_summaries else [replace(each, summary="") for each in found]


def changed_at(session: Session, paper_ids: Sequence[int]) -> datetime:
    """Return when the last of these papers came or changed."""
    return select_changed_at(session, paper_ids) or NO_CHANGE


def _paper_entry(paper: PaperView, base: str) -> Entry:
    return Entry(
        url=_paper_url(paper, base),
        title=paper.title,
        html=str(
            Markup("<p><b>AI summary:</b> {}</p>").format(paper.summary)
            if paper.summary
            else Markup("<p>{}</p>").format(paper.abstract)
        ),
        published_at=morning(paper.announced_on),
        authors=paper.authors,
        tags=paper.categories,
        source_url=paper.url,
    )


def _paper_url(paper: PaperView, base: str) -> str:
    return f"{base}/papers/{quote(paper.key, safe=':/')}"


def morning(on: date) -> datetime:
    """Return a day as an instant. It must be stable, or feed readers show old entries as new."""
    return datetime.combine(on, time(), UTC)


def _load_days(session: Session, settings: Settings, base: str, url: str, today: date) -> Feed:
    """Return the latest days with papers, and today without any if its source could not be read."""
    entries: list[Entry] = []
    all_ids: list[int] = []
    on = latest_day(session, today)
    outage = day_coverage(session, today, settings)
    if on != today and outage and outage.has_outage:
        entries.append(_day_entry(today, [], 0, outage, base))
    while on is not None and len(entries) < MOST_DAYS:
        listed = list_papers_announced_on(session, on)
        best = [paper.id for paper in rank_papers(listed)[:PAPERS_A_DAY]]
        papers = get_papers(session, best)
        coverage = day_coverage(session, on, settings, today)
        entries.append(_day_entry(on, [papers[i] for i in best], len(listed), coverage, base))
        all_ids += [paper.id for paper in listed]
        on = latest_day(session, on - timedelta(days=1))
    return Feed(
        title=f"New papers · {BRAND}",
        url=url,
        page_url=f"{base}/",
        entries=tuple(entries),
        changed_at=changed_at(session, all_ids),
    )


def _day_entry(
    on: date, best: Sequence[PaperView], count: int, coverage: Coverage | None, base: str
) -> Entry:
    title = f"{long_date(on)}: {count_of(count, 'new paper')}"
    covered = f"<p>{escape(coverage_text(coverage))}</p>" if coverage else ""
    return Entry(f"{base}/daily/{on}", title, covered + list_titles(best, base), morning(on))


def list_titles(papers: Sequence[PaperView], base: str) -> str:
    """Return the titles as HTML, each with a link to the paper's page."""
    items = "".join(
        f'<li><a href="{escape(_paper_url(paper, base))}">{escape(clean(paper.title))}</a></li>'
        for paper in papers
    )
    return f"<ol>{items}</ol>" if items else ""


def answer_feed(request: Request, feed: Feed, form: str) -> Response:
    """Return the feed, or 304 where the client has it. If-None-Match overrides If-Modified-Since."""
    kind, write = _FORMATS[form]
    content = write(feed)
    etag = make_etag(content)
    headers = {
        "ETag": etag,
        "Last-Modified": format_datetime(feed.changed_at, usegmt=True),
        "Cache-Control": f"public, max-age={_MAX_AGE_SECONDS}",
        "X-Robots-Tag": "noindex",
    }
    if _is_known(request, etag, feed.changed_at):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)


def _is_known(request: Request, etag: str, changed_at: datetime) -> bool:
    if "if-none-match" in request.headers:
        return has_etag(request, etag)
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
    except ValueError:
        return False
    # HTTP dates have whole seconds.
    return since.tzinfo is not None and changed_at.replace(microsecond=0) <= since
