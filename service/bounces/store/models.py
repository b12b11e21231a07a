"""What came back, one row an event: what a reader's standing is computed from."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from service.deliveries.domain.states import BounceVerdict
from service.platform.database.base import Base, enum_type


class BounceEvent(Base):
    """A bounce or complaint that names one of our deliveries, or an address on a provider's word.

    `key` is the event's own and unique, since providers and mailboxes bring the same one twice.
    `settled_at` is empty while the delivery could not take its new state yet, because the bounce
    was faster than the sender's own record. Rows go with their reader: they quote the address.
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
    delivery_id: Mapped[int | None] = mapped_column(
        ForeignKey("deliveries.id", ondelete="SET NULL")
    )
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
