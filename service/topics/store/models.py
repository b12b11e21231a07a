"""Tables of topics, their changes, and the compiled topics and clauses that matching evaluates."""

from datetime import date, datetime

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.platform.database.base import Base, enum_type
from service.topics.domain.types import MOST_AT_LEAST, ClauseKind, TopicChangeKind


class CompiledTopic(Base):
    """A distinct topic in compiled form, shared by all subscribers who have it.

    `form`: 0 or the id of the clause about announcements, then the ids of the clauses, negative
    where they are excluded. `digest` is the SHA-256 of the text, which can be too long for an
    index. `version`: see `save_compiled.form_version`.
    """

    __tablename__ = "canonicals"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    text: Mapped[str]
    form: Mapped[list[int]]
    version: Mapped[int]


class Clause(Base):
    """A distinct clause, shared by all topics that have it, with its keys (`CompiledClause`)."""

    __tablename__ = "clauses"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    text: Mapped[str]
    kind: Mapped[ClauseKind] = mapped_column(enum_type(ClauseKind, "clause_kind"))
    keys: Mapped[str]
    version: Mapped[int]


class Topic(Base):
    """A saved interest of one subscriber. Topics with the same meaning have the same `canonical`.

    `canonical_id` is the row of that text in `canonicals`; it is null until the text is compiled
    (`save_compiled.compile_missing`), and a trigger sets it to null where the text alone changes.
    Links in mails hold a topic's id, so a topic keeps its row when it is edited or moved.
    `is_weekly`: its papers wait for the subscriber's weekday; `at_least` so many come together.
    `position` is its place among the subscriber's topics, ties in order of id. `name` is what pages
    and mails call it (`domain.names`), different for all topics of a subscriber.
    """

    __tablename__ = "topics"
    __table_args__ = (
        UniqueConstraint("subscriber_id", "canonical"),
        CheckConstraint(f"at_least BETWEEN 1 AND {MOST_AT_LEAST}", name="at_least"),
        Index(
            "ix_topics_measured",
            "subscriber_id",
            postgresql_where=text("is_weekly OR at_least > 1"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    name: Mapped[str]
    query: Mapped[str]
    canonical: Mapped[str] = mapped_column(index=True)
    canonical_id: Mapped[int | None] = mapped_column(ForeignKey("canonicals.id"), index=True)
    position: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    created_at: Mapped[datetime]
    is_weekly: Mapped[bool] = mapped_column(server_default=text("false"))
    at_least: Mapped[int] = mapped_column(SmallInteger, server_default=text("1"))


class WaitingPapers(Base):
    """Papers that a topic matched and that wait for a later digest; the first since `since_on`.

    `topic_id` is null where the topic is deleted: then they come with the next digest.
    """

    __tablename__ = "waiting_papers"

    id: Mapped[int] = mapped_column(primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        ForeignKey("subscribers.id", ondelete="CASCADE"), index=True
    )
    topic_id: Mapped[int | None] = mapped_column(
        ForeignKey("topics.id", ondelete="SET NULL"), index=True
    )
    since_on: Mapped[date]
    paper_ids: Mapped[list[int]] = mapped_column(ARRAY(Integer))


class TopicChange(Base):
    """A topic's text before and after a change by a link, for undo.

    `clause` is the muted clause, or the author's clause. The unique index makes a form that is sent
    twice one change until it is undone. `topic_id` is null once the topic is deleted;
    `before_query` is empty where the change created the topic.
    """

    __tablename__ = "topic_changes"
    __table_args__ = (
        Index(
            "uq_topic_changes_topic_id_kind_clause",
            "topic_id",
            "kind",
            "clause",
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
    clause: Mapped[str]
    before_query: Mapped[str]
    after_query: Mapped[str]
    created_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
