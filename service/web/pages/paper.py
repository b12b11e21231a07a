"""The page of one paper, with its announcements, versions and similar papers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.identifiers import IdentifierError, canonical_arxiv_id
from service.papers.domain.periods import Period, PeriodKind, period_of
from service.papers.domain.types import AnnounceType, PaperView
from service.papers.store.models import PaperVersion
from service.papers.store.read import find_paper, get_announcements, get_papers, get_snapshots
from service.platform.settings.settings import Settings
from service.presentation.sanitize import clean
from service.similarity.embed_papers import meaning_note, similar_papers
from service.web.core.admission import PAPER
from service.web.core.context import Context
from service.web.core.errors import PageNotFound
from service.web.paper_picture.draw import HEIGHT, WIDTH
from service.web.views.charts import Chart, chart_upvotes
from service.web.views.references import list_references

if TYPE_CHECKING:
    # On NumPy, which is an extra.
    from service.similarity.embeddings.vector_pool import ModelVectors

SIMILAR_COUNT = 6
MOST_VERSIONS = 20
# A paper of a large collaboration has 3,000; a page has a limit of bytes.
MOST_AUTHORS = 200

_VERSIONS = (
    select(PaperVersion.version, PaperVersion.seen_at)
    .where(PaperVersion.paper_id == bindparam("paper_id"))
    .order_by(PaperVersion.version)
)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class AnnouncementLine:
    """One announcement of a paper: date, source, category, type and version."""

    on: date
    source: str
    category: str
    announced_as: AnnounceType
    version: int


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One version: its number, the day it was first seen here, its address at the source or ""."""

    number: int
    seen_on: date | None
    url: str


@dataclass(frozen=True, slots=True)
class PaperPage:
    """The data of a paper's page: `versions` in their order, the week and month it is listed in."""

    paper: PaperView
    announcements: tuple[AnnouncementLine, ...]
    periods: tuple[Period, ...]
    versions: tuple[VersionLine, ...]
    similar: tuple[PaperView, ...]
    upvotes: Chart | None


@router.get("/papers/{key:path}", dependencies=PAPER)
def show_paper(context: Context, key: str) -> Response:
    wanted = clean(key)

    def load(session: Session) -> PaperPage:
        paper = find_paper(session, wanted)
        if paper is None:
            raise PageNotFound(
                "We do not know this paper",
                "It may be older than this service, or in a category that is not watched here.",
            )
        vectors = context.previews.find_vectors(session, announcement_date(context.clock()))
        return load_page(session, context.settings, paper, vectors)

    def render(page: PaperPage) -> tuple[int, str]:
        return 200, context.pages.write(
            "paper.html",
            page=page,
            refs=list_references(page.paper, context.settings.base_url),
            note=meaning_note(context.settings),
            most_authors=MOST_AUTHORS,
            picture_size=(WIDTH, HEIGHT),
        )

    try:
        return context.page_cache.show(("paper", wanted), load, render)
    except PageNotFound:
        canonical = canonical_key(wanted)
        if canonical and canonical != wanted:
            return RedirectResponse(f"/papers/{quote(canonical, safe=':/')}", status_code=301)
        raise


def canonical_key(text: str) -> str:
    """Return the key for an arXiv identifier in any spelling, or an empty string."""
    try:
        return f"arxiv:{canonical_arxiv_id(text)}"
    except IdentifierError:
        return ""


def load_page(
    session: Session, settings: Settings, paper: PaperView, vectors: ModelVectors | None = None
) -> PaperPage:
    """Return a paper with its announcements, versions and similar papers (see `similar_papers`)."""
    versions = session.execute(_VERSIONS, {"paper_id": paper.id})
    return PaperPage(
        paper=paper,
        announcements=tuple(
            AnnouncementLine(
                batch.announced_on, batch.source, batch.category, row.announce_type, row.version
            )
            for batch, row in get_announcements(session, paper.id)
        ),
        periods=tuple(
            period_of(kind, paper.announced_on) for kind in (PeriodKind.WEEKLY, PeriodKind.MONTHLY)
        ),
        versions=_list_versions(paper, {number: seen_at.date() for number, seen_at in versions}),
        similar=_load_similar(session, settings, paper, vectors),
        upvotes=chart_upvotes(get_snapshots(session, [paper.id]).get(paper.id, ())),
    )


def _list_versions(paper: PaperView, seen: Mapping[int, date]) -> tuple[VersionLine, ...]:
    """Return the latest versions; those of arXiv also where they were never seen here."""
    is_arxiv = paper.key.startswith("arxiv:") and "/abs/" in paper.url
    numbers = range(1, paper.version + 1) if is_arxiv else sorted(seen)
    return tuple(
        VersionLine(number, seen.get(number), f"{paper.url}v{number}" if is_arxiv else "")
        for number in numbers[-MOST_VERSIONS:]
    )


def _load_similar(
    session: Session, settings: Settings, paper: PaperView, vectors: ModelVectors | None
) -> tuple[PaperView, ...]:
    nearest = similar_papers(session, settings, paper.id, SIMILAR_COUNT, vectors)
    papers = get_papers(session, [paper_id for paper_id, _ in nearest])
    return tuple(papers[paper_id] for paper_id, _ in nearest)
