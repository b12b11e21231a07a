"""Restored backups: what the operator said of them, and deliveries that they put in doubt."""

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import ColumnElement, func, literal, or_, select
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.bulk_update import transition_rows
from service.deliveries.store.models import Delivery, Installation, Restore

WHY_DOUBTFUL = "the database was restored from a backup; this may have been sent before"


def get_installation(session: Session) -> str:
    """The name that this database shares with its backups, and with nothing else."""
    return str(session.scalars(select(Installation.name)).first())


def is_accepted(session: Session, at: datetime) -> bool:
    """Whether the operator has said that this database was restored, and what was sent up to `at`."""
    newest = session.execute(select(func.max(Restore.until))).scalar_one()
    return newest is not None and at <= newest


def insert_restore(
    session: Session, until: datetime, editions: Mapping[Cadence, date], now: datetime
) -> None:
    told = {str(cadence): on.isoformat() for cadence, on in editions.items()}
    session.add(Restore(until=until, editions=told, accepted_at=now))
    session.flush()


def doubt_of_restored(
    session: Session, edition_id: int, cadence: Cadence, on: date, now: datetime, *, sends_now: bool
) -> int:
    """Put those rows of a new edition in doubt that a restored database has made once more.

    To be called before the edition is counted, since nothing of it can be sent until then.
    """
    for restore in session.scalars(select(Restore)):
        newest = restore.editions.get(cadence)
        if newest is None or on > date.fromisoformat(newest):
            continue
        # An edition that was made by hand is due now, whenever its readers had it before.
        was_due = or_(Delivery.due_at <= restore.until, literal(value=sends_now))
        chosen = (
            Delivery.edition_id == edition_id,
            Delivery.state == DeliveryState.QUEUED,
            was_due,
        )
        return sum(put_in_doubt(session, chosen, now).values())
    return 0


def put_in_doubt(
    session: Session, chosen: tuple[ColumnElement[bool], ...], now: datetime
) -> dict[int | None, int]:
    rows = select(Delivery.id).where(*chosen).order_by(Delivery.id).with_for_update()
    return transition_rows(session, rows, DeliveryState.IN_DOUBT, WHY_DOUBTFUL, now)
