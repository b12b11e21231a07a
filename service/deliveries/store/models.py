"""A delivery and its events."""

from datetime import datetime
from typing import Any
from uuid import UUID

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

from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.platform.database.base import Base, WrittenJson, enum_type


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
    kind: Mapped[DeliveryKind] = mapped_column(enum_type(DeliveryKind, "delivery_kind"))
    edition_id: Mapped[int | None] = mapped_column(ForeignKey("editions.id", ondelete="CASCADE"))
    subscriber_id: Mapped[int | None] = mapped_column(
        ForeignKey("subscribers.id", ondelete="SET NULL")
    )
    occasion: Mapped[str] = mapped_column(server_default="")
    state: Mapped[DeliveryState] = mapped_column(enum_type(DeliveryState, "delivery_state"))
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
    state: Mapped[DeliveryState] = mapped_column(enum_type(DeliveryState, "delivery_state"))
    detail: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    phase: Mapped[str] = mapped_column(server_default="")
    relay: Mapped[str] = mapped_column(server_default="")


class Installation(Base):
    """One row: a random name given when the tables were made. Backups have it, too."""

    __tablename__ = "installations"

    name: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())


class Restore(Base):
    """The operator's word that this database is a restored backup.

    Whatever was due up to `until` may have been sent by the time of which the backup knows nothing;
    `editions` are the newest dates of each cadence that were made then.
    """

    __tablename__ = "restores"

    id: Mapped[int] = mapped_column(primary_key=True)
    until: Mapped[datetime]
    editions: Mapped[dict[str, Any]]
    accepted_at: Mapped[datetime]


class MailPart(Base):
    """A stretch of HTML that many mails show, named by a hash of it."""

    __tablename__ = "mail_parts"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    body: Mapped[bytes]


class MailCopy(Base):
    """How a mail's HTML is put together, and the SHA-256 of what that must give."""

    __tablename__ = "mail_copies"

    delivery_id: Mapped[int] = mapped_column(
        ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    content_hash: Mapped[bytes]
    recipe: Mapped[bytes]
    created_at: Mapped[datetime]
