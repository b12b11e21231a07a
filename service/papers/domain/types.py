"""The value types of papers, announcements and batches: frozen and free of side effects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class AnnounceType(StrEnum):
    """How a source announced a paper in one category (arXiv's `arxiv:announce_type`).

    `listed` is ours: a source such as Hugging Face names a paper without announcing it.
    """

    NEW = "new"
    CROSS = "cross"
    REPLACE = "replace"
    REPLACE_CROSS = "replace-cross"
    LISTED = "listed"

    @property
    def is_first(self) -> bool:
        """Return whether this announcement can make a paper new to a subscriber."""
        return self in {AnnounceType.NEW, AnnounceType.CROSS, AnnounceType.LISTED}


class BatchState(StrEnum):
    """The states of a batch, in order; see `docs/completeness.md`."""

    EXPECTED = "expected"
    PARTIAL = "partial"
    COMPLETE = "complete"
    CLOSED = "closed"


class SourceAnswer(StrEnum):
    """What a source last answered about a batch; closing the batch does not change it.

    `silent`: it announced nothing for the day (an empty answer, or another day's papers), and
    nothing confirms it. `read`: papers of the day were read. `nothing`: the source said that it
    announces nothing. `unreadable`: an answer came and could not be read. `unreachable`: no answer
    came, or a refusal.
    """

    SILENT = "silent"
    READ = "read"
    NOTHING = "nothing"
    UNREADABLE = "unreadable"
    UNREACHABLE = "unreachable"


class PaperEventKind(StrEnum):
    """What can happen to a paper after it was announced."""

    WITHDRAWN = "withdrawn"
    REVISED = "revised"
    PUBLISHED = "published"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class ParsedAnnouncement:
    """One paper as one source announced it in one category: raw text, exactly as it came.

    `key` is canonical and without version (`arxiv:2604.14630`). `categories` are in the source's
    order; `primary_category` is None where the source does not say. `authors` are whole names.
    `refused` names the values that were left out because they were absurd (`record_limits`).
    """

    key: str
    source: str
    identifier: str
    version: int
    announce_type: AnnounceType
    title: str
    abstract: str
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    primary_category: str | None = None
    url: str = ""
    license: str = ""
    doi: str = ""
    journal_ref: str = ""
    comment: str = ""
    is_withdrawn: bool = False
    published_at: datetime | None = None
    signals: Signals | None = None
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signals:
    """A paper's upvotes, stars and the like on a day; every field is optional at its source."""

    upvotes: int = 0
    comments: int = 0
    github_stars: int | None = None
    github_url: str = ""
    summary: str = ""
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry that could not be read; it is counted and the rest of the batch is used.

    `position` counts from 0, and is -1 for an entry that only the database refused.
    """

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedBatch:
    """The parsed content of one answer of a source.

    `rendered_on` is the day on which the source says it made the answer (no proof of freshness);
    `is_skip_day` is true where the source itself says that nothing is announced that day;
    `is_truncated` where the answer reached the source's own limit.
    """

    announcements: tuple[ParsedAnnouncement, ...]
    bad_entries: tuple[BadEntry, ...] = ()
    rendered_on: date | None = None
    is_skip_day: bool = False
    is_truncated: bool = False


@dataclass(frozen=True, slots=True)
class PaperView:
    """A stored paper for ranking, pages and messages: readable text, no TeX.

    `announced_as` and `announced_on` are its first announcement here; `is_late` says that it
    belongs to an earlier day than its edition. `trend` is the percentile (0 to 100) within its
    primary category, 50 without signals. `doi` is that of the published article, as far as its source
    says; a journal's name is in `journal_ref`. `votes` are those of subscribers here, `pick` the
    operator's sentence about a paper that they chose, "" for others.
    """

    id: int
    key: str
    source: str
    identifier: str
    title: str
    abstract: str
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    primary_category: str
    announced_as: AnnounceType
    announced_on: date
    url: str
    version: int = 1
    comment: str = ""
    is_withdrawn: bool = False
    is_late: bool = False
    upvotes: int = 0
    github_url: str = ""
    summary: str = ""
    trend: float = 50.0
    doi: str = ""
    journal_ref: str = ""
    votes: int = 0
    pick: str = ""
