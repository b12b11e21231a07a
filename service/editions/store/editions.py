"""Editions: opened once per cadence and date, frozen when composed, counted, closed."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import ScalarSelect, Select, exists, func, literal, select, union_all, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.deliveries.domain.months import IDS, month_of
from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery
from service.deliveries.store.months import make_month
from service.deliveries.store.restores import doubt_of_restored
from service.editions.domain.schedule import covered_days
from service.editions.domain.states import EditionState
from service.editions.store.chunks import open_chunks
from service.editions.store.models import Edition, EditionNote
from service.platform.database.engine import BULK_SECONDS, limit_time, log_on_commit
from service.platform.logs import get_logger

log = get_logger(__name__)


def insert_edition(
    session: Session, cadence: Cadence, on: date, now: datetime, *, sends_now: bool
) -> Edition | None:
    """Insert and return an open edition, or None where another process inserted it first."""
    make_month(session, month_of(now))
    previous = select(func.max(Edition.local_date)).where(
        Edition.cadence == cadence, Edition.local_date < on
    )
    covered = covered_days(cadence, on, session.execute(previous).scalar_one())
    edition = session.scalar(
        insert(Edition)
        .values(
            cadence=cadence,
            local_date=on,
            covers_from=covered[0],
            state=EditionState.OPEN,
            opened_at=now,
            sends_now=sends_now,
            note=func.coalesce(_note_for(cadence, on), ""),
        )
        .on_conflict_do_nothing()
        .returning(Edition)
    )
    if edition is not None:
        values = {"edition_id": edition.id, "cadence": cadence, "date": str(on)}
        log_on_commit(session, log, "edition.opened", **values)
    return edition


def _note_for(cadence: Cadence, on: date) -> ScalarSelect[str]:
    """Select the operator's note for an edition: from now on nothing changes it."""
    is_own = (EditionNote.cadence == cadence, EditionNote.local_date == on)
    return select(EditionNote.note).where(*is_own).scalar_subquery()


def find_edition(session: Session, cadence: Cadence, on: date) -> Edition | None:
    return session.scalar(
        select(Edition).where(Edition.cadence == cadence, Edition.local_date == on)
    )


def other_editions(edition: Edition) -> Select[int]:
    """Select the ids of the other editions of the same cadence."""
    return select(Edition.id).where(Edition.cadence == edition.cadence, Edition.id != edition.id)


def get_edition(session: Session, edition_id: int) -> Edition | None:
    return session.get(Edition, edition_id)


def list_editions(session: Session, since: date) -> Sequence[Edition]:
    return session.scalars(
        select(Edition)
        .where(Edition.local_date >= since)
        .order_by(Edition.local_date, Edition.cadence)
    ).all()


def list_open(session: Session) -> Sequence[Edition]:
    """Return the editions that still have chunks to compose."""
    return session.scalars(
        select(Edition).where(Edition.state == EditionState.OPEN).order_by(Edition.id)
    ).all()


def newest_dates(session: Session) -> dict[Cadence, date]:
    """Return the date of each cadence's newest edition, if it has had one."""
    newest = select(Edition.cadence, func.max(Edition.local_date)).group_by(Edition.cadence)
    return dict(session.execute(newest).all())


def freeze_if_composed(session: Session, edition_id: int, now: datetime) -> bool:
    """Freeze the edition when its last chunk is composed; its deliveries are then counted and sent.

    Idempotent and free of races: the edition's row is locked, and the count is taken once.
    """
    # The session may have read the row before another process froze it.
    edition = session.get_one(Edition, edition_id, with_for_update=True, populate_existing=True)
    if edition.state is not EditionState.OPEN or open_chunks(session, edition_id):
        return False
    limit_time(session, BULK_SECONDS)
    doubt_of_restored(
        session, edition.id, edition.cadence, edition.local_date, now, sends_now=edition.sends_now
    )
    edition.state = EditionState.FROZEN
    edition.frozen_at = now
    edition.candidate_count = session.execute(
        select(func.count()).select_from(Delivery).where(Delivery.edition_id == edition_id)
    ).scalar_one()
    session.flush()
    values = {"edition_id": edition.id, "candidates": edition.candidate_count}
    log_on_commit(session, log, "edition.frozen", **values, papers=edition.paper_count)
    return True


def count_states(
    session: Session, edition_ids: Sequence[int]
) -> dict[int, dict[tuple[DeliveryState, str], int]]:
    """Count the deliveries of some editions by state and, for skips only, by reason."""
    is_skipped = Delivery.state == DeliveryState.SKIPPED
    reason = func.split_part(Delivery.reason, ":", 1).label("reason")
    columns = (Delivery.edition_id, Delivery.state)
    listed = Delivery.edition_id.in_(edition_ids)
    # Reasons are read for skips only, so that all other rows are counted by an index-only scan.
    others = select(*columns, literal("").label("reason"), func.count()).where(listed, ~is_skipped)
    skipped = select(*columns, reason, func.count()).where(listed, is_skipped)
    rows = session.execute(union_all(others.group_by(*columns), skipped.group_by(*columns, reason)))
    counts: dict[int, dict[tuple[DeliveryState, str], int]] = {i: {} for i in edition_ids}
    for edition_id, state, why, count in rows:
        counts[edition_id][state, why] = count
    return counts


def close_finished(session: Session, now: datetime) -> list[int]:
    """Close frozen editions with no delivery left to send; return their ids.

    An edition is locked before its rows are read, as `reopen_editions` locks it after it has changed
    some: or a row that just returned to the queue would stay behind in a closed edition.
    """
    is_frozen = Edition.state == EditionState.FROZEN
    locked = select(Edition.id, Edition.month).where(is_frozen)
    frozen = session.execute(locked.with_for_update(key_share=True, skip_locked=True)).all()
    closed: list[int] = []
    # One by one, because joined with its rows Postgres would look into those of all months.
    for edition_id, month in sorted(frozen):
        unfinished = exists().where(
            Delivery.edition_id == edition_id,
            Delivery.id.between(month * IDS, (month + 1) * IDS - 1),
            Delivery.state.in_([s for s in DeliveryState if not s.is_final]),
        )
        closed += session.scalars(
            update(Edition)
            .where(Edition.id == edition_id, is_frozen, ~unfinished)
            .values(state=EditionState.CLOSED, closed_at=now)
            .returning(Edition.id)
        )
    for edition_id in closed:
        log_on_commit(session, log, "edition.closed", edition_id=edition_id)
    return closed
