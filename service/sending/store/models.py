"""The table of provider limits: a row for each provider that ever throttled or refused us."""

from datetime import datetime

from sqlalchemy import SmallInteger
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
