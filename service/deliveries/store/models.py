"""The tables of deliveries: rows, events, restores, and copies of sent mails."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.packed_digests import PackedDigest
from service.platform.database.base import Base, enum_type


class Delivery(Base):
    """The row that sends one mail once: an edition's digest, or another email for an occasion.

    `attempt` increases with each claim; only the sender with that attempt may move the row.
    `lease_owner` is the number of the advisory lock that this sender holds. `deferral_count` is how
    often the receiver deferred this mail. A row with a `lane` waits for the limit of the provider
    of that name (`paces`), with `due_at` equal to `send_not_after`. `alert` is the text of a mail to
    the operator; such a row has no subscriber. `sent_at` is when the `relay` accepted the mail, with
    `last_reply`: nearly all rows end so, and have no event. A digest's `id` begins with its
    `edition_month` (`domain/months.py`). Partitions have further indexes and the unique keys:
    7_deliveries.sql.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
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
            # As PostgreSQL prints it.
            text("(edition_id IS NOT NULL OR (send_not_after - created_at) > '5 days'::interval)"),
            "created_at",
            "id",
            postgresql_where=text("state = 'queued' AND lane <> ''"),
        ),
        Index(
            "ix_deliveries_in_doubt",
            "edition_id",
            "subscriber_id",
            postgresql_where=text("state = 'in_doubt'"),
        ),
        Index("ix_deliveries_edition_id_state", "edition_id", "state"),
        Index("ix_deliveries_sent_at", "sent_at", postgresql_where=text("sent_at IS NOT NULL")),
        Index(
            "ix_deliveries_unsent",
            "subscriber_id",
            postgresql_where=text(
                "carried_into_id IS NULL"
                " AND (state IN ('carried', 'failed') OR state = 'skipped' AND reason = 'late')"
            ),
        ),
        ForeignKeyConstraint(
            ["edition_id", "edition_month"], ["editions.id", "editions.month"], ondelete="CASCADE"
        ),
        CheckConstraint("(edition_id IS NOT NULL) = (kind = 'digest')", name="digest_has_edition"),
        CheckConstraint(
            "(edition_id IS NOT NULL) = (id >= 1000000000000)", name="digest_has_month"
        ),
        {"postgresql_partition_by": "RANGE (id)"},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[DeliveryKind] = mapped_column(enum_type(DeliveryKind, "delivery_kind"))
    edition_id: Mapped[int | None]
    edition_month: Mapped[int] = mapped_column(
        SmallInteger, Computed("((id / 1000000000000)::smallint)", persisted=True)
    )
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
    paper_ids: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default=text("'{}'"))
    digest: Mapped[dict[str, Any] | None] = mapped_column(PackedDigest)
    alert: Mapped[dict[str, Any] | None]
    message_id: Mapped[bytes] = mapped_column(server_default="")
    last_reply: Mapped[str] = mapped_column(server_default="")
    sent_at: Mapped[datetime | None]
    relay: Mapped[str] = mapped_column(server_default="")
    carried_into_id: Mapped[int | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class DeliveryEvent(Base):
    """A transition of a delivery, with its reason or the relay's reply; `why` prints them.

    A mail that a relay accepted has no event, because its row says it: see `list_events`. An attempt
    to send also has the SMTP `phase` reached and the relay, if one was connected.
    """

    __tablename__ = "delivery_events"
    # A few pages for millions of rows, which are in the order of this column anyway.
    __table_args__ = (
        Index("ix_delivery_events_created_at", "created_at", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (delivery_id)"},
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    delivery_id: Mapped[int] = mapped_column(primary_key=True, index=True)
    attempt: Mapped[int] = mapped_column(SmallInteger)
    state: Mapped[DeliveryState] = mapped_column(enum_type(DeliveryState, "delivery_state"))
    detail: Mapped[str] = mapped_column(server_default="")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    phase: Mapped[str] = mapped_column(server_default="")
    relay: Mapped[str] = mapped_column(server_default="")


class Installation(Base):
    """One row with a random name, made with the tables and shared by all backups.

    `paperboy demo` sets `is_demo`, and `has_sample_papers` where its papers are invented. `seen_at` is
    when the service last looked for editions to open; `back_at` when it first did after it was down.
    `marked_at` is the time of the newest sent watermark that it knows to be kept; None before the
    first run.
    """

    __tablename__ = "installations"

    name: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    is_demo: Mapped[bool] = mapped_column(server_default=false())
    has_sample_papers: Mapped[bool] = mapped_column(server_default=false())
    seen_at: Mapped[datetime | None]
    back_at: Mapped[datetime | None]
    marked_at: Mapped[datetime | None]


class Restore(Base):
    """The operator's confirmation that this database is a restored backup.

    Rows due up to `until` may have been sent after the backup was taken; `editions` are the newest
    dates of each cadence that were frozen then.
    """

    __tablename__ = "restores"

    id: Mapped[int] = mapped_column(primary_key=True)
    until: Mapped[datetime]
    editions: Mapped[dict[str, Any]]
    accepted_at: Mapped[datetime]


class MailPart(Base):
    """A piece of HTML that many mails of a month share; `key` is its hash, recipes name it by its `id`.

    Month 0 has those of mails that belong to no edition; `stored_at` is when one last needed it.
    """

    __tablename__ = "mail_parts"
    __table_args__ = (UniqueConstraint("month", "key"), {"postgresql_partition_by": "LIST (month)"})

    month: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    key: Mapped[bytes]
    body: Mapped[bytes]
    stored_at: Mapped[datetime]


class MailCopy(Base):
    """The recipe to rebuild a mail's HTML from parts, and 16 bytes of the SHA-256 of the result.

    Copies of digests have no `created_at`: they are dropped with their month.
    """

    __tablename__ = "mail_copies"
    __table_args__ = ({"postgresql_partition_by": "RANGE (delivery_id)"},)

    delivery_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    created_at: Mapped[datetime | None]
    content_hash: Mapped[bytes]
    recipe: Mapped[bytes]
