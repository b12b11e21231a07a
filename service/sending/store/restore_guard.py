"""Queries of the restore guard: the row of a watermark, and rows to put in doubt."""

from datetime import date, datetime

from sqlalchemy import and_, func, not_, select
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import OPERATOR_KINDS, DeliveryKind, DeliveryState
from service.deliveries.store.models import Delivery
from service.deliveries.store.restores import doubt_of_restored, put_in_doubt
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition
from service.sending.domain.sent_watermark import ALERT_OCCASIONS, SentWatermark, WatermarkedRow

_UNSENT = (DeliveryState.QUEUED, DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT)


def find_watermarked(session: Session, watermark: SentWatermark) -> WatermarkedRow | None:
    """Return the row that a watermark names.

    The guard's own alert is never returned: ids continue from where the backup was taken, so it may
    have the id of the very row that is missing, and it is the only mail sent meanwhile.
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
    """Return the newest date of each cadence whose digests may have been sent."""
    rows = session.execute(
        select(Edition.cadence, func.max(Edition.local_date))
        .where(Edition.state != EditionState.OPEN)
        .group_by(Edition.cadence)
    )
    return {cadence: on for cadence, on in rows}  # noqa: C416  # rows are not pairs to dict()


def doubt_due_until(session: Session, until: datetime, now: datetime) -> dict[int | None, int]:
    """Put every unsent row due by `until` in doubt; return how many, by edition id.

    Call it after `insert_restore`. Mails to the operator are left out, because a second one does no
    harm.
    """
    chosen = (
        Delivery.state.in_(_UNSENT),
        Delivery.due_at <= until,
        Delivery.kind.not_in(OPERATOR_KINDS),
    )
    doubtful = put_in_doubt(session, chosen, now)
    # Editions published by hand since the restore are due later than `until`.
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
