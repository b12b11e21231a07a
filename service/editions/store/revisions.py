"""Replacements: newer versions of papers, each in one edition of a cadence, for topics that ask."""

from datetime import timedelta

from sqlalchemy import ColumnElement, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from service.deliveries.domain.recipients import Cadence
from service.editions.domain.schedule import ALWAYS_OPEN, collecting_opens_at, last_covered
from service.editions.store.models import Edition, EditionPaper, EditionRevision
from service.papers.domain.types import AnnounceType
from service.papers.store.models import Announcement, Batch, Paper

_REPLACING = [kind for kind in AnnounceType if not kind.is_first]


def assign_revisions(session: Session, edition: Edition, lookback: timedelta) -> int:
    """Assign every replacement that no edition of the cadence has to the edition; return how many.

    Idempotent by the unique key (cadence, paper, version). A paper that is new in this very edition
    is listed as new, whatever its version.
    """
    on = last_covered(edition.cadence, edition.local_date)
    columns = ["edition_id", "paper_id", "version", "cadence"]
    cadence = literal(edition.cadence, Edition.cadence.type)
    found = (
        select(literal(edition.id), Paper.id, func.max(Announcement.version), cadence)
        .select_from(Paper)
        .join(Announcement, Announcement.paper_id == Paper.id)
        .join(Batch, Batch.id == Announcement.batch_id)
        .where(
            Paper.replaced_on > on - lookback,
            Batch.announced_on > on - lookback,
            Batch.announced_on <= on,
            Announcement.announce_type.in_(_REPLACING),
            Paper.is_withdrawn.is_(False),
            ~exists().where(
                EditionPaper.edition_id == edition.id, EditionPaper.paper_id == Paper.id
            ),
            ~exists().where(
                EditionRevision.cadence == edition.cadence,
                EditionRevision.paper_id == Paper.id,
                EditionRevision.version == Announcement.version,
            ),
            *_is_of_its_days(edition),
        )
        .group_by(Paper.id)
    )
    new = insert(EditionRevision).from_select(columns, found).on_conflict_do_nothing()
    return len(session.execute(new.returning(EditionRevision.paper_id)).all())


def _is_of_its_days(edition: Edition) -> list[ColumnElement[bool]]:
    """Select what came in the days of a first edition of its cadence (see `edition_papers`)."""
    began = edition.covers_from
    if edition.cadence in ALWAYS_OPEN or began is None:
        return []
    daily = aliased(EditionRevision)
    came_before = exists().where(
        daily.cadence == Cadence.DAILY,
        daily.paper_id == Paper.id,
        daily.version == Announcement.version,
        Edition.id == daily.edition_id,
        Edition.opened_at <= collecting_opens_at(began),
    )
    return [or_(Batch.announced_on >= began, ~came_before)]


def get_edition_revisions(session: Session, edition_id: int) -> dict[int, int]:
    """Return the replacements in an edition: paper id -> version."""
    rows = session.execute(
        select(EditionRevision.paper_id, EditionRevision.version).where(
            EditionRevision.edition_id == edition_id
        )
    )
    return {row.paper_id: row.version for row in rows}
