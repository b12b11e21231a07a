"""Restored backups: which database this is, whether it is behind a mark, what that leaves in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import ColumnElement, and_, func, literal, not_, or_, select
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.bulk_update import move_rows
from service.deliveries.store.models import Delivery
from service.deliveries.store.models_restores import Installation, Restore
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition
from service.sending.domain.sent_watermark import ALERT_OCCASIONS, Mark, MarkedRow

WHY_DOUBTFUL = "the database was restored from a backup; this may have been sent before"

_UNSENT = (DeliveryState.QUEUED, DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT)


def get_installation(session: Session) -> str:
    """The name that this database shares with its backups, and with nothing else."""
    return str(session.execute(select(Installation.name)).scalars().first())


def find_marked(session: Session, mark: Mark) -> MarkedRow | None:
    """The row that a mark names.

    Never the mail that tells of a restored backup: numbers begin again where the backup was taken,
    so it may have got the number of the very row that is missing, and it alone is sent meanwhile.
    """
    is_of_guard = and_(
        Delivery.kind == DeliveryKind.OPERATOR_ALERT, Delivery.occasion.startswith(ALERT_OCCASIONS)
    )
    found = session.execute(
        select(Delivery.attempt, Delivery.state, Delivery.message_id).where(
            Delivery.id == mark.delivery_id, not_(is_of_guard)
        )
    ).one_or_none()
    return MarkedRow(found.attempt, found.state, bool(found.message_id)) if found else None


def newest_editions(session: Session) -> dict[Cadence, date]:
    """The newest date of each cadence whose digests may be on their way."""
    rows = session.execute(
        select(Edition.cadence, func.max(Edition.local_date))
        .where(Edition.state != EditionState.OPEN)
        .group_by(Edition.cadence)
    )
    return {cadence: on for cadence, on in rows}  # noqa: C416  # rows are not pairs to dict()


def is_accepted(session: Session, mark: Mark) -> bool:
    """Whether the operator has said of this database that it was restored to before this mark."""
    newest = session.execute(select(func.max(Restore.until))).scalar_one()
    return newest is not None and mark.at <= newest


def insert_restore(
    session: Session, until: datetime, editions: Mapping[Cadence, date], now: datetime
) -> None:
    told = {str(cadence): on.isoformat() for cadence, on in editions.items()}
    session.add(Restore(until=until, editions=told, accepted_at=now))
    session.flush()


def doubt_due_until(session: Session, until: datetime, now: datetime) -> dict[int | None, int]:
    """Put every unsent row that was due by then in doubt; returns how many by edition's number.

    The restoring itself is written already.

    Alerts are left: an operator who is told twice is none the worse.
    """
    chosen = (
        Delivery.state.in_(_UNSENT),
        Delivery.due_at <= until,
        Delivery.kind != DeliveryKind.OPERATOR_ALERT,
    )
    doubtful = _doubt(session, chosen, now)
    # What was made by hand between the restoring and the operator's word is due later than that.
    frozen = select(Edition).where(Edition.state == EditionState.FROZEN)
    for edition in session.execute(frozen).scalars().all():
        again = doubt_of_restored(session, edition, now)
        if again:
            doubtful[edition.id] = doubtful.get(edition.id, 0) + again
    return doubtful


def doubt_of_restored(session: Session, edition: Edition, now: datetime) -> int:
    """Put those rows of a new edition in doubt that a restored database has made once more.

    To be called before the edition is counted, since nothing of it can be sent until then.
    """
    for restore in session.execute(select(Restore)).scalars():
        newest = restore.editions.get(edition.cadence)
        if newest is None or edition.local_date > date.fromisoformat(newest):
            continue
        # An edition that was made by hand is due now, whenever its readers had it before.
        was_due = or_(Delivery.due_at <= restore.until, literal(value=edition.sends_now))
        chosen = (
            Delivery.edition_id == edition.id,
            Delivery.state == DeliveryState.QUEUED,
            was_due,
        )
        return sum(_doubt(session, chosen, now).values())
    return 0


def _doubt(
    session: Session, chosen: tuple[ColumnElement[bool], ...], now: datetime
) -> dict[int | None, int]:
    rows = select(Delivery.id).where(*chosen).order_by(Delivery.id).with_for_update()
    return move_rows(session, rows, DeliveryState.IN_DOUBT, WHY_DOUBTFUL, now)
