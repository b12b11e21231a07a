"""Search all stored papers, with the topic language."""

from dataclasses import dataclass
from threading import Lock

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.types import PaperView
from service.papers.store.paper_changes import begin_snapshot
from service.papers.store.read import get_papers
from service.platform.database.engine import transaction
from service.presentation.sanitize import clean
from service.topics.domain.language import leaf_texts
from service.topics.topics import TopicError, read_topic
from service.web.core.admission import SEARCH
from service.web.core.context import AppContext, Context
from service.web.views.pagination import MOST_PAGES, Slice, parse_page_number
from service.web.views.sign_up_form import point_at

PAGE_SIZE = 20
# Exact counts end here: counting further would cost more than the search itself.
MOST_COUNTED = 100
# On later pages, results are counted this many pages past the one shown.
_PAGES_AHEAD = 4
# One after the other: two that compute in turns are both late, the first as late as the second.
_rendering = Lock()

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of search results. `words` are the query's words, to be highlighted.

    `is_cut` is true where there are more than `total`.
    """

    listed: Slice[PaperView]
    total: int
    is_cut: bool
    words: tuple[str, ...]


@router.get("/search", dependencies=SEARCH)
def show_search(context: Context, q: str = "", page: str = "1") -> Response:
    text, number = clean(q).strip(), parse_page_number(page)
    if not text:
        return context.pages.show("search.html", query="", found=None)

    def load(session: Session) -> SearchPage:
        return search(context, session, text, number)

    def render(found: SearchPage) -> tuple[int, str]:
        with _rendering:
            return 200, context.pages.write("search.html", query=text, found=found)

    try:
        if "like:" in text.casefold():
            # What is like a text changes with each day's words, of which the cache is not told.
            with transaction(context.sessions) as session:
                begin_snapshot(session)
                found = load(session)
            return HTMLResponse(render(found)[1])
        return context.page_cache.show(("search", text, number), load, render)
    except TopicError as error:
        return context.pages.show(
            "search.html",
            status=422,
            query=text,
            found=None,
            fault=str(error),
            pointer=point_at(error),
        )


def search(context: AppContext, session: Session, text: str, number: int) -> SearchPage:
    """Return page `number` of the papers that match `text`, newest first. Raises `TopicError`.

    The transaction must be that of a `begin_snapshot`.
    """
    topic = read_topic(session, text)
    most = min(max(MOST_COUNTED, (number + _PAGES_AHEAD) * PAGE_SIZE), MOST_PAGES * PAGE_SIZE)
    until = announcement_date(context.clock())
    ids = context.previews.find_newest(session, topic, until, most + 1)
    total = min(len(ids), most)
    pages = max(1, -(-total // PAGE_SIZE))
    number = min(number, pages)
    start = (number - 1) * PAGE_SIZE
    shown = ids[start : min(start + PAGE_SIZE, total)]
    papers = get_papers(session, shown)
    return SearchPage(
        Slice(tuple(papers[paper_id] for paper_id in shown), number, pages, start + 1),
        total,
        len(ids) > total,
        tuple(sorted(leaf_texts(topic[0]))),
    )
