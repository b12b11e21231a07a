"""Editions, their papers, and the ranges of subscribers to compose."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Computed, ForeignKey, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from service.deliveries.domain.recipients import Cadence
from service.editions.domain.states import EditionState
from service.platform.database.base import Base, enum_type

# As PostgreSQL prints it, so that models and schema can be compared.
_MONTH = """(((EXTRACT(year FROM (opened_at AT TIME ZONE 'UTC'::text)) - (2000)::numeric)
* (100)::numeric) + EXTRACT(month FROM (opened_at AT TIME ZONE 'UTC'::text)))::smallint"""


class Edition(Base):
    """One publication of one cadence for one local date, which no change of clocks can repeat.

    `covers_from` is the first day whose announcements it has: earlier than usual where editions
    were missed. `month` is that of `opened_at` in UTC, as YYMM; the ids of its deliveries begin with it.
    """

    __tablename__ = "editions"
    __table_args__ = (UniqueConstraint("cadence", "local_date"), UniqueConstraint("id", "month"))

    id: Mapped[int] = mapped_column(primary_key=True)
    cadence: Mapped[Cadence] = mapped_column(enum_type(Cadence, "cadence"))
    local_date: Mapped[date]
    covers_from: Mapped[date | None]
    state: Mapped[EditionState] = mapped_column(enum_type(EditionState, "edition_state"))
    sends_now: Mapped[bool] = mapped_column(server_default=text("false"))
    opened_at: Mapped[datetime]
    frozen_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    candidate_count: Mapped[int | None]
    paper_count: Mapped[int] = mapped_column(server_default="0")
    coverage: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    # The last claimed row, approximately: a hint where the next sender may start its scan.
    passed_due_at: Mapped[datetime | None]
    passed_id: Mapped[int | None]
    # The operator's note as it was when the edition was opened, in Markdown.
    note: Mapped[str] = mapped_column(server_default="")
    month: Mapped[int] = mapped_column(SmallInteger, Computed(_MONTH, persisted=True))


class EditionPaper(Base):
    """A paper in an edition. A paper is in exactly one edition of each cadence."""

    __tablename__ = "edition_papers"
    __table_args__ = (UniqueConstraint("cadence", "paper_id"),)

    edition_id: Mapped[int] = mapped_column(
        ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True
    )
    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )
    cadence: Mapped[Cadence] = mapped_column(enum_type(Cadence, "cadence"))
    is_late: Mapped[bool] = mapped_column(server_default=text("false"))


class EditionExtra(Base):
    """A paper that some digests of an edition have beyond its own: it waited, or is of a gap."""

    __tablename__ = "edition_extras"

    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )
    edition_id: Mapped[int] = mapped_column(
        ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class EditionChunk(Base):
    """A range of subscribers, composed or not yet; its row lock makes composing idempotent."""

    __tablename__ = "edition_chunks"
    __table_args__ = (UniqueConstraint("edition_id", "first_subscriber_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("editions.id", ondelete="CASCADE"))
    first_subscriber_id: Mapped[int]
    last_subscriber_id: Mapped[int]
    composed_at: Mapped[datetime | None]


class EditionRevision(Base):
    """A newer version of a paper, in one edition of a cadence, for topics with replacements."""

    __tablename__ = "edition_revisions"
    __table_args__ = (UniqueConstraint("cadence", "paper_id", "version"),)

    edition_id: Mapped[int] = mapped_column(
        ForeignKey("editions.id", ondelete="CASCADE"), primary_key=True
    )
    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(SmallInteger)
    cadence: Mapped[Cadence] = mapped_column(enum_type(Cadence, "cadence"))


class EditionNote(Base):
    """The operator's note, in Markdown, for the head of an edition that may not be opened yet."""

    __tablename__ = "edition_notes"

    cadence: Mapped[Cadence] = mapped_column(enum_type(Cadence, "cadence"), primary_key=True)
    local_date: Mapped[date] = mapped_column(primary_key=True)
    note: Mapped[str]
    changed_at: Mapped[datetime]
