"""What readers say of papers, and what they changed of their topics by a link in a mail."""

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.platform.database.base import Base, enum_type
from service.subscribers.domain.types import OpinionKind


class Opinion(Base):
    """One reader's word on one paper; the last one counts."""

    __tablename__ = "opinions"
    __table_args__ = (UniqueConstraint("subscriber_id", "paper_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"), index=True)
    kind: Mapped[OpinionKind] = mapped_column(enum_type(OpinionKind, "opinion_kind"))
    created_at: Mapped[datetime]
