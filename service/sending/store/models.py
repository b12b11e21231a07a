"""How each provider takes our mail, one row for each that gave a reason to ask."""

from datetime import datetime

from sqlalchemy import SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from service.platform.database.base import Base, enum_type
from service.sending.domain.provider_limits import BreakerState


class ProviderLimit(Base):
    """The pace and the breaker of one provider, shared by all workers.

    The columns are the fields of `service.sending.domain.provider_limits.Pace`, which says what they mean. A provider
    without a row takes whatever comes.
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
