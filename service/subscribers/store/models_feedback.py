"""What readers say of papers, and what they changed of their topics by a link in a mail."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from service.platform.database.base import Base, enum_type
from service.subscribers.domain.types import OpinionKind
from service.topics.domain.types import TopicChangeKind


class Opinion(Base):
    """One reader's word on one paper; the last one counts."""

    __tablename__ = "opinions"
    __table_args__ = (UniqueConstraint("subscriber_id", "paper_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    paper_id: Mapped[int] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"), index=True)
    kind: Mapped[OpinionKind] = mapped_column(enum_type(OpinionKind, "opinion_kind"))
    created_at: Mapped[datetime]


class TopicChange(Base):
    """A topic before and after one press of a button: what an undo goes back to.

    `asked` is the clause that was muted, or the author's; the same one counts once for as long as
    it is not undone, so a form that is sent twice is one change. `topic_id` is empty once the topic
    is gone, `before_query` where there was none before.
    """

    __tablename__ = "topic_changes"
    __table_args__ = (
        Index(
            "uq_topic_changes_topic_id_kind_asked",
            "topic_id",
            "kind",
            "asked",
            unique=True,
            postgresql_where=text("undone_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[TopicChangeKind] = mapped_column(enum_type(TopicChangeKind, "topic_change_kind"))
    topic_id: Mapped[int | None] = mapped_column(
        ForeignKey("topics.id", ondelete="SET NULL"), index=True
    )
    asked: Mapped[str]
    before_query: Mapped[str]
    after_query: Mapped[str]
    created_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
