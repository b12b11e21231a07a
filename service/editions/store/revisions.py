"""Replacements: each newer version of a paper in one edition of a cadence, for topics that ask."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.editions.store.models import Edition, EditionPaper
from service.editions.store.models_revisions import EditionRevision
from service.papers.domain.types import AnnounceType
from service.papers.store.models import AnnouncementRow, Batch, PaperRow

_REPLACING = [kind for kind in AnnounceType if not kind.is_first]


def assign_revisions(session: Session, edition: Edition, lookback: timedelta) -> int:
    """Give the edition every replacement that no edition of its cadence has told of; returns how many.

    The unique key (cadence, paper, version) makes it one edition for each version. A paper that is
    new in this very edition is told of as new, whatever its version.
    """
    is_new_here = (
        select(literal(1))
        .where(EditionPaper.edition_id == edition.id, EditionPaper.paper_id == PaperRow.id)
        .exists()
    )
    is_told = (
        select(literal(1))
        .where(
            EditionRevision.cadence == edition.cadence,
            EditionRevision.paper_id == PaperRow.id,
            EditionRevision.version == AnnouncementRow.version,
        )
        .exists()
    )
    found = (
        select(
            literal(edition.id),
            PaperRow.id,
            func.max(AnnouncementRow.version),
            literal(edition.cadence, Edition.cadence.type),
        )
        .select_from(PaperRow)
        .join(AnnouncementRow, AnnouncementRow.paper_id == PaperRow.id)
        .join(Batch, Batch.id == AnnouncementRow.batch_id)
        .where(
            PaperRow.replaced_on > edition.local_date - lookback,
            Batch.announced_on > edition.local_date - lookback,
            Batch.announced_on <= edition.local_date,
            AnnouncementRow.announce_type.in_(_REPLACING),
            PaperRow.is_withdrawn.is_(False),
            ~is_new_here,
            ~is_told,
        )
        .group_by(PaperRow.id)
    )
    assigned = session.execute(
        insert(EditionRevision)
        .from_select(["edition_id", "paper_id", "version", "cadence"], found)
        .on_conflict_do_nothing()
        .returning(EditionRevision.paper_id)
    ).all()
    return len(assigned)


def get_edition_revisions(session: Session, edition_id: int) -> dict[int, int]:
    """The replacements an edition tells of: paper id -> version."""
    rows = session.execute(
        select(EditionRevision.paper_id, EditionRevision.version).where(
            EditionRevision.edition_id == edition_id
        )
    )
    return {row.paper_id: row.version for row in rows}
