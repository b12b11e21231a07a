"""Tables of papers: papers, versions, batches, announcements, signals, events, rate limits."""

from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import (
    Computed,
    Double,
    ForeignKey,
    Index,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from service.papers.domain.tsvector import PARSED_AS, SEPARATORS
from service.papers.domain.types import AnnounceType, BatchState, PaperEventKind, SourceAnswer
from service.platform.database.base import Base, enum_type

_TITLE, _ABSTRACT = (
    f"translate({column}, '{SEPARATORS}', '{PARSED_AS}')" for column in ("title", "abstract")
)

# Without `fastupdate`, by which the words of the last thousand papers wait in a list that each search reads.
_AT_ONCE: Final[dict[str, Any]] = {
    "postgresql_using": "gin",
    "postgresql_with": {"fastupdate": "off"},
}


class Paper(Base):
    """One scholarly work at one source. `first_announced_*` are null until it was new here.

    Rows of one work (a preprint on two servers, its DOI) share a `work_id`, the lowest id among
    them: the ledger and the editions count works, and rows are never merged.
    """

    __tablename__ = "papers"
    __table_args__ = (
        Index("ix_papers_title_lexemes", "title_lexemes", **_AT_ONCE),
        Index("ix_papers_abstract_lexemes", "abstract_lexemes", **_AT_ONCE),
        Index("ix_papers_title_words", "title_words", **_AT_ONCE),
        Index("ix_papers_abstract_words", "abstract_words", **_AT_ONCE),
        Index("ix_papers_author_keys", "author_keys", **_AT_ONCE),
        Index("ix_papers_categories", "categories", **_AT_ONCE),
        Index("ix_papers_work_id", "work_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    work_id: Mapped[int | None] = mapped_column(ForeignKey("papers.id", ondelete="SET NULL"))
    source: Mapped[str]
    identifier: Mapped[str]
    version: Mapped[int] = mapped_column(SmallInteger)
    title: Mapped[str]
    title_raw: Mapped[str]
    abstract: Mapped[str]
    abstract_raw: Mapped[str]
    authors: Mapped[list[str]]
    author_keys: Mapped[list[str]]
    categories: Mapped[list[str]]
    primary_category: Mapped[str] = mapped_column(server_default="")
    url: Mapped[str] = mapped_column(server_default="")
    license: Mapped[str] = mapped_column(server_default="")
    doi: Mapped[str] = mapped_column(server_default="")
    journal_ref: Mapped[str] = mapped_column(server_default="")
    comment: Mapped[str] = mapped_column(server_default="")
    is_withdrawn: Mapped[bool] = mapped_column(server_default=text("false"))
    first_announced_on: Mapped[date | None] = mapped_column(index=True)
    first_announced_at: Mapped[datetime | None]
    announced_as: Mapped[AnnounceType | None] = mapped_column(
        enum_type(AnnounceType, "announce_type")
    )
    replaced_on: Mapped[date | None] = mapped_column(index=True)
    sources: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    trend: Mapped[float] = mapped_column(Double, server_default="50")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    title_lexemes: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed(f"to_tsvector('english'::regconfig, {_TITLE})", persisted=True),
        deferred=True,
    )
    abstract_lexemes: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed(f"to_tsvector('english'::regconfig, {_ABSTRACT})", persisted=True),
        deferred=True,
    )
    title_words: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed(f"strip(to_tsvector('simple'::regconfig, {_TITLE}))", persisted=True),
        deferred=True,
    )
    abstract_words: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed(f"strip(to_tsvector('simple'::regconfig, {_ABSTRACT}))", persisted=True),
        deferred=True,
    )


class PaperIdentifier(Base):
    """A name of a paper (`arxiv:…`, `doi:…`); two papers that share one are the same work."""

    __tablename__ = "paper_identifiers"
    __table_args__ = (UniqueConstraint("value", "paper_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str]
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"), index=True)


class PaperEvent(Base):
    """A later change of a paper, reported once to the subscribers who were sent the paper."""

    __tablename__ = "paper_events"
    __table_args__ = (UniqueConstraint("paper_id", "kind", "detail"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"))
    kind: Mapped[PaperEventKind] = mapped_column(enum_type(PaperEventKind, "paper_event_kind"))
    detail: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(index=True)


class PaperVersion(Base):
    """The raw text of each version: a replacement never overwrites what subscribers were sent."""

    __tablename__ = "paper_versions"
    __table_args__ = (UniqueConstraint("paper_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"))
    version: Mapped[int] = mapped_column(SmallInteger)
    title_raw: Mapped[str]
    abstract_raw: Mapped[str]
    seen_at: Mapped[datetime]


class Batch(Base):
    """What one source announced for one category on one date, and how complete it is.

    `fetched_at` is the time of the last good answer, `failed_at` that of a bad one since then,
    `listed_at` that of the last request for the listing. `failure` is why the source could not be
    read or reached, "" where it could. `listed_on` is the day that its listing showed at the last
    look, `listed_ids` the new papers it named for this day.
    """

    __tablename__ = "batches"
    __table_args__ = (UniqueConstraint("source", "category", "announced_on"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    category: Mapped[str] = mapped_column(server_default="")
    announced_on: Mapped[date] = mapped_column(index=True)
    state: Mapped[BatchState] = mapped_column(enum_type(BatchState, "batch_state"))
    answer: Mapped[SourceAnswer] = mapped_column(
        enum_type(SourceAnswer, "source_answer"), server_default="silent"
    )
    failure: Mapped[str] = mapped_column(server_default="")
    listed_on: Mapped[date | None]
    listed_ids: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    announced_count: Mapped[int] = mapped_column(server_default="0")
    expected_count: Mapped[int | None]
    late_count: Mapped[int] = mapped_column(server_default="0")
    bad_count: Mapped[int] = mapped_column(server_default="0")
    etag: Mapped[str] = mapped_column(server_default="")
    failed_at: Mapped[datetime | None]
    listed_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(server_default="")
    fetched_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Announcement(Base):
    """A paper in a batch, with the type under which that category announced it."""

    __tablename__ = "announcements"
    __table_args__ = (UniqueConstraint("batch_id", "paper_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"))
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"), index=True)
    announce_type: Mapped[AnnounceType] = mapped_column(enum_type(AnnounceType, "announce_type"))
    version: Mapped[int] = mapped_column(SmallInteger)


class Signal(Base):
    """A paper's upvotes, stars and the like on one UTC day, as last observed that day."""

    __tablename__ = "signals"
    __table_args__ = (UniqueConstraint("paper_id", "source", "observed_on"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"))
    source: Mapped[str]
    observed_on: Mapped[date]
    observed_at: Mapped[datetime]
    upvotes: Mapped[int] = mapped_column(server_default="0")
    comments: Mapped[int] = mapped_column(server_default="0")
    github_stars: Mapped[int | None]
    github_url: Mapped[str] = mapped_column(server_default="")
    summary: Mapped[str] = mapped_column(server_default="")
    keywords: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))


class Vote(Base):
    """A subscriber's vote for a paper: one for each mailbox, however its address is spelled.

    `mailbox` is a hash of the mailbox, `domain` that of the address, `confirmed_at` when the
    subscriber confirmed, null where the operator vouched for them: all as of the vote. `weight` is
    fixed then, too (`domain/votes`). A withdrawn vote may be given again and counts from its first day.
    """

    __tablename__ = "votes"
    __table_args__ = (
        UniqueConstraint("paper_id", "subscriber_id"),
        UniqueConstraint("paper_id", "mailbox"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"))
    subscriber_id: Mapped[int] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE"), index=True
    )
    mailbox: Mapped[bytes]
    domain: Mapped[str]
    confirmed_at: Mapped[datetime | None]
    weight: Mapped[float] = mapped_column(Double)
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime] = mapped_column(index=True)
    withdrawn_at: Mapped[datetime | None]


class Pick(Base):
    """The operator's choice of a paper, and the sentence that says why."""

    __tablename__ = "picks"

    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    sentence: Mapped[str]
    picked_at: Mapped[datetime] = mapped_column(index=True)


class Gate(Base):
    """The rate limit of one host, or of a group: when the next request may start, from any process.

    With a `reason` the host refused us at `closed_at`, and the gate is closed until `next_at`.
    """

    __tablename__ = "gates"

    name: Mapped[str] = mapped_column(primary_key=True)
    next_at: Mapped[datetime]
    failure_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    forbidden_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    closed_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(server_default="")


class Harvest(Base):
    """How far a category's changes were harvested by OAI-PMH, in harvests that ended.

    `responded_at` is the server's own time at the start of the last one; `reread_on` is the date on
    which the last days were read again.
    """

    __tablename__ = "harvests"

    category: Mapped[str] = mapped_column(primary_key=True)
    responded_at: Mapped[datetime | None]
    reread_on: Mapped[date | None]


class PaperChange(Base):
    """A paper that a transaction inserted, deleted, or changed in what previews read or in vectors.

    Paper 0 stands for anything that pages of papers show: a trend, a vote, the state of a batch.
    Written by triggers, to invalidate caches. `changed_in` is the transaction id (xid8), which a
    snapshot includes or not. Kept for two days.
    """

    __tablename__ = "paper_changes"

    changed_in: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    paper_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
