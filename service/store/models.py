"""The tables. States are database enums, uniqueness is in the database, names follow a convention.

Reading order: papers and how they came (batches, announcements, versions, signals); readers
(subscribers, consents, topics, suppressions); what was published (editions and their papers and
chunks); what was sent (deliveries and their events).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    Index,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from service.domain.types import (
    AnnounceType,
    BatchState,
    Cadence,
    DeliveryKind,
    DeliveryState,
    EditionState,
    PaperEventKind,
    SubscriberState,
    SuppressionReason,
)
from service.store.base import (
    Base,
    announce_type,
    batch_state,
    cadence_type,
    delivery_kind,
    delivery_state,
    edition_state,
    paper_event_kind,
    subscriber_state,
    suppression_reason,
)


class PaperRow(Base):
    """One scholarly work at one source. `first_announced_*` stay empty until it was new here.

    Rows that turn out to be one work (a preprint here and there, its DOI) share a `work_id`, the
    id of the first of them: the ledger and the editions count works, and no row ever moves.
    """

    __tablename__ = "papers"
    __table_args__ = (
        Index("ix_papers_title_lexemes", "title_lexemes", postgresql_using="gin"),
        Index("ix_papers_abstract_lexemes", "abstract_lexemes", postgresql_using="gin"),
        Index("ix_papers_author_keys", "author_keys", postgresql_using="gin"),
        Index("ix_papers_categories", "categories", postgresql_using="gin"),
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
    announced_as: Mapped[AnnounceType | None] = mapped_column(announce_type)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    title_lexemes: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed("to_tsvector('english'::regconfig, title)", persisted=True),
        deferred=True,
    )
    abstract_lexemes: Mapped[Any] = mapped_column(
        TSVECTOR,
        Computed("to_tsvector('english'::regconfig, abstract)", persisted=True),
        deferred=True,
    )


class PaperIdentifier(Base):
    """Every name a paper goes by (`arxiv:…`, `doi:…`): where two papers meet, they are one work."""

    __tablename__ = "paper_identifiers"
    __table_args__ = (UniqueConstraint("value", "paper_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str]
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"), index=True)


class PaperEvent(Base):
    """Something that happened to a paper later: readers who were sent it hear of it once."""

    __tablename__ = "paper_events"
    __table_args__ = (UniqueConstraint("paper_id", "kind", "detail"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"))
    kind: Mapped[PaperEventKind] = mapped_column(paper_event_kind)
    detail: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(index=True)


class PaperVersion(Base):
    """What each version said, raw: a replacement never overwrites what readers were sent."""

    __tablename__ = "paper_versions"
    __table_args__ = (UniqueConstraint("paper_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"))
    version: Mapped[int] = mapped_column(SmallInteger)
    title_raw: Mapped[str]
    abstract_raw: Mapped[str]
    seen_at: Mapped[datetime]


class Batch(Base):
    """What one source announced for one category on one date."""

    __tablename__ = "batches"
    __table_args__ = (UniqueConstraint("source", "category", "announced_on"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    category: Mapped[str] = mapped_column(server_default="")
    announced_on: Mapped[date] = mapped_column(index=True)
    state: Mapped[BatchState] = mapped_column(batch_state)
    announced_count: Mapped[int] = mapped_column(server_default="0")
    expected_count: Mapped[int | None]
    late_count: Mapped[int] = mapped_column(server_default="0")
    bad_count: Mapped[int] = mapped_column(server_default="0")
    etag: Mapped[str] = mapped_column(server_default="")
    note: Mapped[str] = mapped_column(server_default="")
    fetched_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class AnnouncementRow(Base):
    """A paper in a batch: the cross-lists, and how each category called it."""

    __tablename__ = "announcements"
    __table_args__ = (UniqueConstraint("batch_id", "paper_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"))
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"), index=True)
    announce_type: Mapped[AnnounceType] = mapped_column(announce_type)
    version: Mapped[int] = mapped_column(SmallInteger)


class Signal(Base):
    """What others thought of a paper on a day; the last look of a day stays."""

    __tablename__ = "signals"
    __table_args__ = (UniqueConstraint("paper_id", "source", "observed_on"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"))
    source: Mapped[str]
    observed_on: Mapped[date]
    observed_at: Mapped[datetime | None]
    upvotes: Mapped[int] = mapped_column(server_default="0")
    comments: Mapped[int] = mapped_column(server_default="0")
    github_stars: Mapped[int | None]
    github_url: Mapped[str] = mapped_column(server_default="")
    summary: Mapped[str] = mapped_column(server_default="")
    keywords: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))


class Subscriber(Base):
    """One person with one address. `email_key` is the normalised address that must be unique."""

    __tablename__ = "subscribers"
    __table_args__ = (
        CheckConstraint("hour BETWEEN 0 AND 23", name="hour"),
        Index("ix_subscribers_state_cadence", "state", "cadence"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    email_key: Mapped[str] = mapped_column(unique=True)
    state: Mapped[SubscriberState] = mapped_column(subscriber_state)
    cadence: Mapped[Cadence] = mapped_column(cadence_type)
    hour: Mapped[int] = mapped_column(SmallInteger)
    timezone: Mapped[str]
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    unsubscribed_at: Mapped[datetime | None]
    paused_until: Mapped[date | None]
    confirmation_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    locale: Mapped[str] = mapped_column(server_default="")


class Consent(Base):
    """Who agreed to what, when, on which page: GDPR Art. 7(1) wants it demonstrable."""

    __tablename__ = "consents"

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE"), index=True
    )
    action: Mapped[str]
    text_version: Mapped[str]
    page: Mapped[str]
    created_at: Mapped[datetime]


class Topic(Base):
    """A saved interest. `canonical` makes equal topics equal, within a reader and across them."""

    __tablename__ = "topics"
    __table_args__ = (UniqueConstraint("subscriber_id", "canonical"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    query: Mapped[str]
    canonical: Mapped[str] = mapped_column(index=True)
    created_at: Mapped[datetime]


class Suppression(Base):
    """An address we must not mail, as a keyed hash: it outlives the subscriber and names nobody."""

    __tablename__ = "suppressions"

    id: Mapped[int] = mapped_column(primary_key=True)
    address_hash: Mapped[bytes] = mapped_column(unique=True)
    reason: Mapped[SuppressionReason] = mapped_column(suppression_reason)
    detail: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime]


class Gate(Base):
    """A host that asks for politeness: when it may be asked again, whoever asks."""

    __tablename__ = "gates"

    name: Mapped[str] = mapped_column(primary_key=True)
    next_at: Mapped[datetime]
    failure_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")


class Edition(Base):
    """One publication of one cadence for one local date; a date, so that no clock can repeat it."""

    __tablename__ = "editions"
    __table_args__ = (UniqueConstraint("cadence", "local_date"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    cadence: Mapped[Cadence] = mapped_column(cadence_type)
    local_date: Mapped[date]
    state: Mapped[EditionState] = mapped_column(edition_state)
    sends_now: Mapped[bool] = mapped_column(server_default=text("false"))
    opened_at: Mapped[datetime]
    frozen_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    candidate_count: Mapped[int | None]
    paper_count: Mapped[int] = mapped_column(server_default="0")
    coverage: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class EditionPaper(Base):
    """Which papers an edition carries. A paper is in exactly one edition of each cadence."""

    __tablename__ = "edition_papers"
    __table_args__ = (UniqueConstraint("cadence", "paper_id"),)

    edition_id: Mapped[int] = mapped_column(
        ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True
    )
    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )
    cadence: Mapped[Cadence] = mapped_column(cadence_type)
    is_late: Mapped[bool] = mapped_column(server_default=text("false"))


class EditionChunk(Base):
    """A range of readers still to be composed, or composed: what makes compose safe to repeat."""

    __tablename__ = "edition_chunks"
    __table_args__ = (UniqueConstraint("edition_id", "first_subscriber_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("editions.id", ondelete="CASCADE"))
    first_subscriber_id: Mapped[int]
    last_subscriber_id: Mapped[int]
    composed_at: Mapped[datetime | None]


class Delivery(Base):
    """The row that sends one mail once: a digest of an edition, or another email for an occasion.

    `attempt` grows with each claim; only its holder may move the row on. `lease_owner` is the
    number of an advisory lock that the sender's own connection holds while it lives.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("edition_id", "subscriber_id"),
        Index(
            "uq_deliveries_kind_subscriber_id_occasion",
            "kind",
            "subscriber_id",
            "occasion",
            unique=True,
            postgresql_where=text("edition_id IS NULL"),
        ),
        Index("ix_deliveries_due_at", "due_at", "id", postgresql_where=text("state = 'queued'")),
        Index(
            "ix_deliveries_lease_until",
            "lease_until",
            postgresql_where=text("state IN ('claimed', 'in_flight')"),
        ),
        Index("ix_deliveries_edition_id_state", "edition_id", "state"),
        Index("ix_deliveries_subscriber_id", "subscriber_id"),
        CheckConstraint("(edition_id IS NOT NULL) = (kind = 'digest')", name="digest_has_edition"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[DeliveryKind] = mapped_column(delivery_kind)
    edition_id: Mapped[int | None] = mapped_column(ForeignKey("editions.id", ondelete="CASCADE"))
    subscriber_id: Mapped[int | None] = mapped_column(
        ForeignKey("subscribers.id", ondelete="SET NULL")
    )
    occasion: Mapped[str] = mapped_column(server_default="")
    state: Mapped[DeliveryState] = mapped_column(delivery_state)
    reason: Mapped[str] = mapped_column(server_default="")
    attempt: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    due_at: Mapped[datetime]
    send_not_after: Mapped[datetime]
    lease_owner: Mapped[int | None]
    lease_until: Mapped[datetime | None]
    paper_ids: Mapped[list[int]] = mapped_column(server_default=text("'{}'"))
    digest: Mapped[dict[str, Any] | None]
    message_id: Mapped[str] = mapped_column(server_default="")
    last_reply: Mapped[str] = mapped_column(server_default="")
    carried_into_id: Mapped[int | None] = mapped_column(
        ForeignKey("deliveries.id", ondelete="SET NULL")
    )
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class DeliveryEvent(Base):
    """Each step of a delivery with its reason and the relay's words: what `why` tells."""

    __tablename__ = "delivery_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("deliveries.id", ondelete="CASCADE"), index=True
    )
    attempt: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[DeliveryState] = mapped_column(delivery_state)
    detail: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
