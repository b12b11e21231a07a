"""Distinct topics and distinct clauses, each stored once with the form in which a morning asks it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    ForeignKey,
    SmallInteger,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.platform.database.base import Base, enum_type
from service.topics.domain.types import ClauseKind


class Canonical(Base):
    """One topic, however many readers have it.

    `form`: 0 or the clause that says which announcements count, then its clauses by id, below zero
    where they are unwanted; empty where the text is no topic any more. `digest` is the SHA-256 of the
    text, since a text can be longer than an index takes. `version`: see `canonicals.form_version`.
    """

    __tablename__ = "canonicals"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(unique=True)
    text: Mapped[str]
    form: Mapped[list[int]]
    version: Mapped[int]


class ClauseRow(Base):
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
    text (`canonicals.heal_topics`), and a trigger empties it where the text alone is changed.
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
