"""Search in everything that was ever announced here, in the language of topics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from service.actions.topics import TopicError, read_topic
from service.domain.query import leaf_texts
from service.domain.types import Paper
from service.mail.safety import clean
from service.store.engine import transaction
from service.store.reading import count_by_day, find_papers
from service.store.topic_sql import to_sql
from service.web.forms import point_at
from service.web.paging import MOST_PAGES, Slice, read_number
from service.web.site import SiteHere

PAGE_SIZE = 20
# Before arXiv itself.
_EVER = date(1900, 1, 1)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Found:
    """One page of the papers for a query. `words` are the query's own, to be marked."""

    listed: Slice[Paper]
    total: int
    words: tuple[str, ...]


@router.get("/search")
def show_search(site: SiteHere, q: str = "", page: str = "1") -> HTMLResponse:
    text = clean(q).strip()
    if not text:
        return site.pages.show("search.html", query="", found=None)
    try:
        with transaction(site.sessions) as session:
            found = search(session, text, read_number(page))
    except TopicError as error:
        return site.pages.show(
            "search.html",
            status=422,
            query=text,
            found=None,
            fault=str(error),
            pointer=point_at(error),
        )
    return site.pages.show("search.html", query=text, found=found)


def search(session: Session, text: str, number: int) -> Found:
    """Page `number` of the papers that `text` finds, newest first. Raises `TopicError`."""
    query = read_topic(session, text)
    condition = to_sql(query)
    total = sum(count_by_day(session, condition, _EVER).values())
    pages = min(max(1, -(-total // PAGE_SIZE)), MOST_PAGES)
    number = min(number, pages)
    start = (number - 1) * PAGE_SIZE
    papers = find_papers(session, condition, None, start + PAGE_SIZE)[start:]
    return Found(
        Slice(tuple(papers), number, pages, start + 1), total, tuple(sorted(leaf_texts(query)))
    )
