"""Distinct topics and distinct clauses, each stored once with the form in which a morning asks it."""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from service.papers.domain.types import ClauseKind
from service.platform.database.base import Base, clause_kind


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
    kind: Mapped[ClauseKind] = mapped_column(clause_kind)
    keys: Mapped[str]
    version: Mapped[int]
