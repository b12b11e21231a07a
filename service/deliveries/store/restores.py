"""Restored backups: the operator's confirmations, and the deliveries that they put in doubt."""

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import ColumnElement, func, literal, or_, select, text, update
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import OPERATOR_KINDS, DeliveryState
from service.deliveries.store.bulk_update import transition_rows
from service.deliveries.store.models import Delivery, Installation, Restore

WHY_DOUBTFUL = "the database was restored from a backup; this may have been sent before"


def get_installation(session: Session) -> str:
    """Return the installation's name, which only this database and its backups share."""
    return str(session.scalars(select(Installation.name)).first())


def get_marked_at(session: Session) -> datetime | None:
    """Return the time of the newest sent watermark that this database remembers."""
    return session.scalars(select(Installation.marked_at)).first()


def lock_first_mark(session: Session) -> bool:
    """Return whether this database has no watermark yet; then others wait until the commit."""
    return session.scalars(select(Installation.marked_at).with_for_update()).first() is None


def remember_mark(session: Session, at: datetime) -> None:
    session.execute(update(Installation).values(marked_at=at))


def find_last_sent(session: Session) -> datetime | None:
    """Return when this database last recorded a mail to a subscriber as sent."""
    return session.scalars(
        select(func.max(Delivery.sent_at)).where(
            Delivery.sent_at.is_not(None), Delivery.kind.not_in(OPERATOR_KINDS)
        )
    ).one()


def is_accepted(session: Session, at: datetime) -> bool:
    """Return whether the operator confirmed a restore that covers mail sent until `at`."""
    newest = session.execute(select(func.max(Restore.until))).scalar_one()
    return newest is not None and at <= newest


def insert_restore(
    session: Session, until: datetime, editions: Mapping[Cadence, date], now: datetime
) -> None:
    dates = {str(cadence): on.isoformat() for cadence, on in editions.items()}
    session.add(Restore(until=until, editions=dates, accepted_at=now))
    session.flush()


# More rows than a table gets between a backup and its restore. Deliveries' numbers (`months.IDS`) have
# room for 999 gaps, a bigint for nine billion; deliveries name their papers by four octets, which have
# room for two hundred smaller ones.
_GAP, _GAP_OF_PAPERS = 1_000_000_000, 10_000_000
_MOVE_SEQUENCES = text("""
SELECT setval(
  format('%I.%I', schemaname, sequencename)::regclass,
  coalesce(last_value, 0) + CASE sequencename WHEN 'papers_id_seq' THEN :of_papers ELSE :gap END
)
FROM pg_sequences WHERE schemaname = current_schema()
""")


def pass_used_ids(session: Session) -> None:
    """Move every sequence past all ids that were used after the backup.

    Mails that were sent since then name them, in links, return paths and Message-IDs.
    """
    session.execute(_MOVE_SEQUENCES, {"gap": _GAP, "of_papers": _GAP_OF_PAPERS}).all()


def is_made_again(session: Session, cadence: Cadence, on: date, opened_at: datetime) -> bool:
    """Return whether a restored database made an edition again, which was opened before its backup."""
    return any(
        restore.until < opened_at and _may_have_sent(restore, cadence, on)
        for restore in session.scalars(select(Restore))
    )


def _may_have_sent(restore: Restore, cadence: Cadence, on: date) -> bool:
    """Return whether the edition of a date may have been sent before the database was restored."""
    newest = restore.editions.get(cadence)
    return newest is not None and on <= date.fromisoformat(newest)


def doubt_of_restored(
    session: Session, edition_id: int, cadence: Cadence, on: date, now: datetime, *, sends_now: bool
) -> int:
    """Put rows of a new edition in doubt if a restored database made it a second time.

    Return how many. Call it before the edition is frozen, because no row can be claimed until then.
    """
    for restore in session.scalars(select(Restore)):
        if not _may_have_sent(restore, cadence, on):
            continue
        # An edition published by hand is due now, although its subscribers got it earlier.
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
