"""Distinct topics and distinct clauses, each stored once with the form in which a morning asks it."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from service.platform.database.base import Base, enum_type
from service.topics.domain.types import ClauseKind, TopicChangeKind


class CompiledTopic(Base):
    """One topic, however many readers have it.

    `form`: 0 or the clause that says which announcements count, then its clauses by id, below zero
    where they are unwanted; empty where the text is no topic any more. `digest` is the SHA-256 of the
    text, since a text can be longer than an index takes. `version`: see `save_compiled.form_version`.
    """

    __tablename__ = "canonicals"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    text: Mapped[str]
    form: Mapped[list[int]]
    version: Mapped[int]


class Clause(Base):
    """One clause, however many topics have it, and what it is looked up by (`ClauseForm`)."""

    __tablename__ = "clauses"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    text: Mapped[str]
    kind: Mapped[ClauseKind] = mapped_column(enum_type(ClauseKind, "clause_kind"))
    keys: Mapped[str]
    version: Mapped[int]


class Topic(Base):
    """A saved interest. `canonical` makes equal topics equal, within a reader and across them.

    `canonical_id` is the row of that text in `canonicals`; it is empty until somebody compiles the
    text (`save_compiled.compile_missing`), and a trigger empties it where the text alone is changed.
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
