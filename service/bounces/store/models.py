"""The tables of bounce events, quarantined mails and tokens of webhook calls."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Integer, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from service.deliveries.domain.states import BounceVerdict
from service.platform.database.base import Base, enum_type


class BounceEvent(Base):
    """A bounce or complaint about one of our deliveries, or about an address a provider names.

    `key` is unique for the event, since providers and mailboxes deliver the same one twice.
    `settled_at` is null while the delivery cannot take its new state, because the bounce came
    before the sender's own record. Rows are deleted with the subscriber: they quote the address.
    """

    __tablename__ = "bounce_events"
    __table_args__ = (
        Index("ix_bounce_events_subscriber_id", "subscriber_id"),
        Index("ix_bounce_events_delivery_id", "delivery_id"),
        Index("ix_bounce_events_created_at", "created_at"),
        Index("ix_bounce_events_unsettled", "id", postgresql_where=text("settled_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    source: Mapped[str]
    # No foreign key, so that dropping a month of deliveries searches for none of its bounces.
    delivery_id: Mapped[int | None]
    subscriber_id: Mapped[int | None] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE")
    )
    verdict: Mapped[BounceVerdict] = mapped_column(enum_type(BounceVerdict, "bounce_verdict"))
    weight: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    code: Mapped[str] = mapped_column(server_default="")
    detail: Mapped[str] = mapped_column(server_default="")
    occurred_at: Mapped[datetime]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class QuarantinedMail(Base):
    """A mail to the bounce address that could not be parsed within its budget.

    `key` is a hash of its content, so that one that is read twice is reported once. `place` is where
    it was moved to, `size` its octets, or as many as were read.
    """

    __tablename__ = "quarantined_mails"
    __table_args__ = (Index("ix_quarantined_mails_created_at", "created_at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    source: Mapped[str]
    reason: Mapped[str]
    place: Mapped[str]
    size: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime]


class WebhookToken(Base):
    """A token that a provider signed: a hash of it, and of the event that it came with."""

    __tablename__ = "webhook_tokens"
    __table_args__ = (Index("ix_webhook_tokens_created_at", "created_at"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[str]
    created_at: Mapped[datetime]
