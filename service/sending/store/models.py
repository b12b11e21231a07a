"""The tables of provider limits, one for each provider that ever refused us, of warm-ups and of pauses."""

from datetime import date, datetime

from sqlalchemy import Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from service.platform.database.base import Base, enum_type
from service.sending.domain.provider_limits import BreakerState


class ProviderLimit(Base):
    """The rate and the circuit breaker of one provider, shared by all workers.

    The columns are the fields of `ProviderLimitView`, documented there. A provider without a row
    has no limit.
    """

    __tablename__ = "paces"

    provider: Mapped[str] = mapped_column(primary_key=True)
    rate: Mapped[float | None]
    changed_at: Mapped[datetime]
    free_at: Mapped[datetime | None]
    recent: Mapped[str] = mapped_column(server_default="")
    breaker: Mapped[BreakerState] = mapped_column(
        enum_type(BreakerState, "breaker_state"), server_default="closed"
    )
    opened_at: Mapped[datetime | None]
    open_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    probe_at: Mapped[datetime | None]
    last_reply: Mapped[str] = mapped_column(server_default="")


class WarmUpCount(Base):
    """How many mails a provider got from a new domain on a day (UTC).

    The row with an empty `provider` stands for the day; of earlier days only that one is kept.
    """

    __tablename__ = "warm_up_counts"

    domain: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    provider: Mapped[str] = mapped_column(primary_key=True)
    sent_count: Mapped[int]


class SendingPause(Base):
    """A pause of all sending, with who began and ended it; the one without an end is in force.

    Rows in force have an empty `ended_by`, so the unique index allows only one of them.
    """

    __tablename__ = "sending_pauses"
    __table_args__ = (
        Index(
            "uq_sending_pauses_open",
            "ended_by",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    began_at: Mapped[datetime]
    began_by: Mapped[str]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str] = mapped_column(server_default="")
