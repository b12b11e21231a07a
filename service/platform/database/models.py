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
    ForeignKey,
    Index,
    SmallInteger,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.deliveries.store import models_restores  # noqa: F401  # who knows one knows all
from service.papers.domain.types import (
    Cadence,
    DeliveryKind,
    DeliveryState,
    EditionState,
    SubscriberState,
    SuppressionReason,
)
from service.papers.store import models_paper_changes  # noqa: F401  # who knows one knows all
from service.papers.store.models import (
    AnnouncementRow,
    Batch,
    Gate,
    PaperEvent,
    PaperIdentifier,
    PaperRow,
    PaperVersion,
    Signal,
)
from service.platform.database.base import (
    Base,
    WrittenJson,
    cadence_type,
    delivery_kind,
    delivery_state,
    edition_state,
    subscriber_state,
    suppression_reason,
)
from service.sending.store import models_provider_limits  # noqa: F401  # who knows one knows all
from service.subscribers.store import models_feedback  # noqa: F401  # who knows one knows all
from service.topics.store import models  # noqa: F401  # who knows one knows all

__all__ = [
    "AnnouncementRow",
    "Batch",
    "Consent",
    "Delivery",
    "DeliveryEvent",
    "Edition",
    "EditionChunk",
    "EditionPaper",
    "Gate",
    "PaperEvent",
    "PaperIdentifier",
    "PaperRow",
    "PaperVersion",
    "Signal",
    "Subscriber",
    "Suppression",
    "Topic",
]


class Subscriber(Base):
    """One person with one address. `email_key` is the normalised address that must be unique.

    `has_empty_digests`: wants a short mail where nothing matched. `has_catch_up`: wants what a
    pause, which began at `paused_at`, will have missed; `catch_up_since` is the day from which it
    is to be gathered. `moves_from_id`: this row holds the address to which another reader wants to
    move (pending), or which that reader has left (unsubscribed).
    """

    __tablename__ = "subscribers"
    __table_args__ = (
        CheckConstraint("hour BETWEEN 0 AND 23", name="hour"),
        Index("ix_subscribers_state_cadence", "state", "cadence"),
        Index(
            "ix_subscribers_moves_from_id",
            "moves_from_id",
            postgresql_where=text("moves_from_id IS NOT NULL"),
        ),
        Index(
            "ix_subscribers_catch_up_since",
            "catch_up_since",
            postgresql_where=text("catch_up_since IS NOT NULL"),
        ),
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
    has_suggestions: Mapped[bool] = mapped_column(server_default=text("true"))
    has_empty_digests: Mapped[bool] = mapped_column(server_default=text("false"))
    has_catch_up: Mapped[bool] = mapped_column(server_default=text("false"))
    paused_at: Mapped[datetime | None]
    catch_up_since: Mapped[date | None]
    moves_from_id: Mapped[int | None] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE")
    )
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
    """A saved interest. `canonical` makes equal topics equal, within a reader and across them.

    `canonical_id` is the row of that text in `canonicals`; it is empty until somebody compiles the
    text (`canonicals.heal_topics`), and a trigger empties it where the text alone is changed.
    Mails name a topic by its id, so a row stays for as long as its topic does, wherever the reader
    moves it: `position` is its place among the reader's own, ties in order of id.
    """

    __tablename__ = "topics"
    __table_args__ = (UniqueConstraint("subscriber_id", "canonical"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    query: Mapped[str]
    canonical: Mapped[str] = mapped_column(index=True)
    canonical_id: Mapped[int | None] = mapped_column(ForeignKey("canonicals.id"), index=True)
    position: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    created_at: Mapped[datetime]


class Suppression(Base):
    """An address we must not mail, as a keyed hash: it outlives the subscriber and names nobody."""

    __tablename__ = "suppressions"

    id: Mapped[int] = mapped_column(primary_key=True)
    address_hash: Mapped[bytes] = mapped_column(unique=True)
    reason: Mapped[SuppressionReason] = mapped_column(suppression_reason)
    detail: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime]


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
    # Where a sender that begins may begin: about the last row that was claimed. Only a hint.
    passed_due_at: Mapped[datetime | None]
    passed_id: Mapped[int | None]


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
    `deferral_count` is how often the receiver put this mail off. A row in a `lane` waits for the
    provider of that name (`paces`), with `due_at` at the end of its time. `alert` is what a mail
    to the operator says; such a row has no subscriber.
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
            "ix_deliveries_queued",
            "edition_id",
            "due_at",
            "id",
            postgresql_where=text("state = 'queued'"),
        ),
        Index(
            "ix_deliveries_lease_until",
            "lease_until",
            postgresql_where=text("state IN ('claimed', 'in_flight')"),
        ),
        Index(
            "ix_deliveries_lane",
            "lane",
            "id",
            postgresql_where=text("state = 'queued' AND lane <> ''"),
        ),
        Index(
            "uq_deliveries_alert_occasion",
            "occasion",
            unique=True,
            postgresql_where=text("kind = 'operator_alert'"),
        ),
        Index(
            "ix_deliveries_in_doubt",
            "edition_id",
            "subscriber_id",
            postgresql_where=text("state = 'in_doubt'"),
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
    deferral_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    lane: Mapped[str] = mapped_column(server_default="")
    due_at: Mapped[datetime]
    send_not_after: Mapped[datetime]
    lease_owner: Mapped[int | None]
    lease_until: Mapped[datetime | None]
    paper_ids: Mapped[list[int]] = mapped_column(server_default=text("'{}'"))
    digest: Mapped[dict[str, Any] | None] = mapped_column(WrittenJson)
    alert: Mapped[dict[str, Any] | None]
    message_id: Mapped[str] = mapped_column(server_default="")
    last_reply: Mapped[str] = mapped_column(server_default="")
    carried_into_id: Mapped[int | None] = mapped_column(
        ForeignKey("deliveries.id", ondelete="SET NULL")
    )
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class DeliveryEvent(Base):
    """Each step of a delivery with its reason and the relay's words: what `why` tells.

    Of a try also how far it got (`phase`) and through which relay, where there was one.
    """

    __tablename__ = "delivery_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("deliveries.id", ondelete="CASCADE"), index=True
    )
    attempt: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[DeliveryState] = mapped_column(delivery_state)
    detail: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    phase: Mapped[str] = mapped_column(server_default="")
    relay: Mapped[str] = mapped_column(server_default="")
