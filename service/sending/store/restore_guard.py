"""Restored backups: which database this is, whether it is behind a mark, what that leaves in doubt."""

from datetime import date, datetime

from sqlalchemy import and_, func, not_, select
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.models import Delivery
from service.deliveries.store.restores import doubt_of_restored, put_in_doubt
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition
from service.sending.domain.sent_watermark import ALERT_OCCASIONS, SentWatermark, WatermarkedRow

_UNSENT = (DeliveryState.QUEUED, DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT)


def find_watermarked(session: Session, watermark: SentWatermark) -> WatermarkedRow | None:
    """The row that a mark names.

    Never the mail that tells of a restored backup: numbers begin again where the backup was taken,
    so it may have got the number of the very row that is missing, and it alone is sent meanwhile.
    """
    is_of_guard = and_(
        Delivery.kind == DeliveryKind.OPERATOR_ALERT, Delivery.occasion.startswith(ALERT_OCCASIONS)
    )
    found = session.execute(
        select(Delivery.attempt, Delivery.state, Delivery.message_id).where(
            Delivery.id == watermark.delivery_id, not_(is_of_guard)
        )
    ).one_or_none()
    return WatermarkedRow(found.attempt, found.state, bool(found.message_id)) if found else None


def newest_editions(session: Session) -> dict[Cadence, date]:
    """The newest date of each cadence whose digests may be on their way."""
    rows = session.execute(
        select(Edition.cadence, func.max(Edition.local_date))
        .where(Edition.state != EditionState.OPEN)
        .group_by(Edition.cadence)
    )
    return {cadence: on for cadence, on in rows}  # noqa: C416  # rows are not pairs to dict()


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
    doubtful = put_in_doubt(session, chosen, now)
    # What was made by hand between the restoring and the operator's word is due later than that.
    frozen = select(Edition).where(Edition.state == EditionState.FROZEN)
    for edition in session.scalars(frozen).all():
        again = doubt_of_restored(
            session,
            edition.id,
            edition.cadence,
            edition.local_date,
            now,
            sends_now=edition.sends_now,
        )
        if again:
            doubtful[edition.id] = doubtful.get(edition.id, 0) + again
    return doubtful
