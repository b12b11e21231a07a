"""What the public part of the API takes and answers; assistants (MCP) get the same values."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Generic, TypeVar
from urllib.parse import quote

from fastapi import Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.deliveries.domain.recipients import Cadence, Timing
from service.papers.domain.types import AnnounceType, PaperView
from service.platform.settings.settings import Settings
from service.presentation.sanitize import clean
from service.topics.domain.names import LONGEST_NAME
from service.topics.topics import MOST_TOPICS
from service.web.views.pagination import MOST_PAGES

# The topic language itself has smaller limits, and says which; this one bounds what is read at all.
LONGEST_QUERY = 4_000

Item = TypeVar("Item")


def _clean(text: str) -> str:
    """Return a text without characters that no database and no JSON can have."""
    return clean(text).strip()


# After the limits, which count what was sent.
Cleaned = AfterValidator(_clean)

PageNumber = Annotated[int, Query(ge=1, le=MOST_PAGES, description="The page, from 1.")]
Topic = Annotated[
    str,
    Query(
        alias="q",
        min_length=1,
        max_length=LONGEST_QUERY,
        description='A topic in the topic language: words, "phrases", au:name, cat:cs.CL, AND, OR, NOT.',
        examples=["diffusion cat:cs.CV"],
    ),
    Cleaned,
]  # fmt: skip
DayName = Annotated[
    str,
    Path(
        alias="date",
        pattern="^([0-9]{4}-[0-9]{2}-[0-9]{2}|latest)$",
        description="A day such as 2026-09-18, or latest for the last day with papers.",
        examples=["latest"],
    ),
]
PaperKey = Annotated[
    str,
    Path(
        min_length=1,
        max_length=300,
        description="The key of a paper, such as arxiv:2604.14630, or an arXiv identifier.",
        examples=["arxiv:2604.14630"],
    ),
    Cleaned,
]
FieldName = Annotated[
    str,
    Query(max_length=64, description="Only papers of this category or archive, such as cs.CL."),
    Cleaned,
]


class ProblemDetail(BaseModel):
    """One wrong value of a request; `position` is the place in its text, counted from 0."""

    field: str
    detail: str
    position: int | None = None


class ProblemDetails(BaseModel):
    """Why a request failed (RFC 9457). `type` is explained on the page `/api`."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ProblemDetail] | None = None


class PaperSummary(BaseModel):
    """A paper. `url` is its page at the source, `page` its page here.

    `trend` is the percentile (0 to 100) within its primary category. `ai_summary` was written by a
    machine, at Hugging Face; empty where there is none.
    """

    key: str
    title: str
    authors: list[str]
    abstract: str
    categories: list[str]
    primary_category: str
    announced_on: date
    announced_as: AnnounceType
    version: int
    url: str
    page: str
    upvotes: int
    trend: float
    is_withdrawn: bool
    ai_summary: str


class AnnouncementItem(BaseModel):
    """One announcement of a paper."""

    on: date
    source: str
    category: str
    announced_as: AnnounceType
    version: int


class VersionItem(BaseModel):
    """One version of a paper; `seen_on` is the day on which it was first seen here."""

    number: int
    seen_on: date | None
    url: str


class PaperDetail(PaperSummary):
    """A paper with what happened to it, and similar papers."""

    comment: str
    doi: str
    journal_ref: str
    code_url: str
    announcements: list[AnnouncementItem]
    versions: list[VersionItem]
    similar: list[PaperSummary]


class Listed(BaseModel):
    """One page of a list. `next` and `previous` are addresses, which the header `Link` has, too."""

    next: str | None = None
    previous: str | None = None

    def neighbours(self) -> dict[str, dict[str, int]]:
        """Return what the addresses of `next` and `previous` change in that of this page."""
        raise NotImplementedError


class Paged(Listed, Generic[Item]):
    """One page of a numbered list; past its end is the last page."""

    items: list[Item]
    page: int
    pages: int
    total: int

    def neighbours(self) -> dict[str, dict[str, int]]:
        later = {"next": {"page": self.page + 1}} if self.page < self.pages else {}
        return later | ({"previous": {"page": self.page - 1}} if self.page > 1 else {})


class SearchResults(Paged[PaperSummary]):
    """Papers that match, newest first. With `is_cut` there are more than `total`."""

    topic: str
    is_cut: bool


class Day(Paged[PaperSummary]):
    """The papers of one day, best first. `note` says what is missing, or why there are none."""

    on: date
    field: str
    note: str
    announced: int | None
    checked: int | None
    is_complete: bool | None
    earlier: date | None
    later: date | None


class DayCount(BaseModel):
    """How many papers a topic had on a day."""

    on: date
    count: int


class TopicIdea(BaseModel):
    """Another topic, what it changes, and how many papers it had in 30 days."""

    topic: str
    says: str
    count: int


class PreviewAnswer(BaseModel):
    """What a topic would have brought in the last 30 days; `papers` are the newest of them."""

    topic: str
    canonical: str
    total: int
    volume: str
    days_known: int
    days: list[DayCount]
    papers: list[PaperSummary]
    narrower: list[TopicIdea]
    instead: list[TopicIdea]


class ReadyTopicItem(BaseModel):
    """A ready-made topic."""

    name: str
    line: str
    query: str


class ReadyField(BaseModel):
    """A field of research with its ready-made topics."""

    name: str
    topics: list[ReadyTopicItem]


class ReadyTopics(BaseModel):
    """All ready-made topics."""

    fields: list[ReadyField]


class TopicInput(BaseModel):
    """A topic to subscribe to; without a name it gets one, without `comes` its papers come at once."""

    model_config = ConfigDict(extra="forbid")

    query: Annotated[str, Field(min_length=1, max_length=LONGEST_QUERY), Cleaned]
    name: Annotated[str, Field(max_length=LONGEST_NAME), Cleaned] = ""
    comes: Annotated[str, Field(max_length=40, examples=["weekly, at least 3"]), Cleaned] = ""


Address = Annotated[
    str,
    Field(
        min_length=3,
        max_length=320,
        examples=["ada@example.org"],
        json_schema_extra={"format": "email"},
    ),
    Cleaned,
]
Topics = Annotated[list[TopicInput], Field(max_length=MOST_TOPICS)]


class SignUp(BaseModel):
    """A sign-up. Without topics the best papers of each day come; an hour is in `timezone`."""

    model_config = ConfigDict(extra="forbid")

    email: Address
    topics: Topics = Field(default_factory=list)
    cadence: Cadence = Cadence.DAILY
    hour: Annotated[int, Field(ge=0, le=23, strict=True)] | None = None
    timezone: Annotated[str, Field(max_length=64), Cleaned] = ""
    timing: Timing = Timing.AT_HOUR


class Accepted(BaseModel):
    """The answer to a sign-up, which is the same for every address."""

    detail: str


def show_paper(paper: PaperView, settings: Settings) -> PaperSummary:
    """Return a stored paper as the API shows it."""
    return PaperSummary(**_fields_of(paper, settings))


def show_papers(papers: Iterable[PaperView], settings: Settings) -> list[PaperSummary]:
    """Return stored papers as the API shows them."""
    return [show_paper(paper, settings) for paper in papers]


def _fields_of(paper: PaperView, settings: Settings) -> dict[str, object]:
    names = set(PaperSummary.model_fields) - {"page", "ai_summary", "authors", "categories"}
    return {name: getattr(paper, name) for name in names} | {
        "authors": list(paper.authors),
        "categories": list(paper.categories),
        "page": f"{settings.base_url}/papers/{quote(paper.key, safe=':/')}",
        "ai_summary": paper.summary if settings.ai_summaries else "",
    }
