"""The papers of an edition: each work is assigned to one edition of a cadence."""

from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session, aliased

from service.deliveries.domain.recipients import Cadence
from service.editions.domain.schedule import ALWAYS_OPEN, collecting_opens_at, last_covered
from service.editions.store.models import Edition, EditionPaper
from service.papers.domain.types import AnnounceType
from service.papers.store.models import Paper


def assign_papers(session: Session, edition: Edition, lookback: timedelta) -> int:
    """Assign every work that no edition of the cadence has carried to the edition; return how many.

    By assignment and not by a window of times: a paper committed a second after the last edition
    was opened, or days late, is simply not assigned yet. The unique key (cadence, paper) makes this
    idempotent; of several papers that are one work, the one announced first is taken.
    """
    on = last_covered(edition.cadence, edition.local_date)
    columns = ["edition_id", "paper_id", "cadence", "is_late"]
    cadence = literal(edition.cadence, Edition.cadence.type)
    free = (
        select(literal(edition.id), Paper.id, cadence, _is_late(session, edition))
        .ext(distinct_on(_work(Paper)))
        .where(
            Paper.first_announced_on <= on,
            Paper.first_announced_on > on - lookback,
            Paper.announced_as.in_([t for t in AnnounceType if t.is_first]),
            Paper.is_withdrawn.is_(False),
            ~_is_carried(edition.cadence),
            *_is_of_its_days(edition),
        )
        .order_by(_work(Paper), Paper.first_announced_on, Paper.id)
    )
    new = insert(EditionPaper).from_select(columns, free).on_conflict_do_nothing()
    return len(session.execute(new.returning(EditionPaper.paper_id)).all())


def _is_of_its_days(edition: Edition) -> list[ColumnElement[bool]]:
    """Select papers that came in the days of a first edition of its cadence, and not before.

    A cadence has its first edition when it gets its first reader, who wants no papers of earlier days.
    What came before is in a daily edition; a paper that was found late is in a later one.
    """
    began = edition.covers_from
    if edition.cadence in ALWAYS_OPEN or began is None:
        return []
    came_before = _is_carried(Cadence.DAILY, collecting_opens_at(began))
    return [or_(Paper.first_announced_on >= began, ~came_before)]


def _is_late(session: Session, edition: Edition) -> ColumnElement[bool]:
    """Select whether a paper was announced on a day that the previous edition covered."""
    earlier: date | None = session.execute(
        select(func.max(Edition.local_date)).where(
            Edition.cadence == edition.cadence, Edition.local_date < edition.local_date
        )
    ).scalar_one()
    if earlier is None:
        return literal(value=False)
    return Paper.first_announced_on <= last_covered(edition.cadence, earlier)


def _is_carried(cadence: Cadence, by: datetime | None = None) -> ColumnElement[bool]:
    """Select whether an edition of the cadence, opened `by` then, has the paper's work by any key."""
    carried = aliased(Paper)
    found = exists().where(
        EditionPaper.cadence == cadence,
        EditionPaper.paper_id == carried.id,
        _work(carried) == _work(Paper),
    )
    if by is None:
        return found
    return found.where(Edition.id == EditionPaper.edition_id, Edition.opened_at <= by)


def _work(paper: type[Paper]) -> ColumnElement[int]:
    return func.coalesce(paper.work_id, paper.id)


def get_edition_papers(session: Session, edition_id: int) -> dict[int, bool]:
    """Return the edition's papers: id -> whether it is late."""
    rows = session.execute(
        select(EditionPaper.paper_id, EditionPaper.is_late).where(
            EditionPaper.edition_id == edition_id
        )
    )
    return dict(rows.all())


def count_late_by_day(session: Session, edition_id: int) -> dict[date, int]:
    """Count the edition's late papers by the day on which they were announced."""
    rows = session.execute(
        select(Paper.first_announced_on, func.count())
        .join(EditionPaper, EditionPaper.paper_id == Paper.id)
        .where(EditionPaper.edition_id == edition_id, EditionPaper.is_late)
        .group_by(Paper.first_announced_on)
        .order_by(Paper.first_announced_on)
    )
    return {on: count for on, count in rows if on is not None}
