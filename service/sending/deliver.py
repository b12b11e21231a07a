"""Sending: claim, build, into flight, onto the wire, record. Each step a short transaction.

Nothing is held open across SMTP but the sender's own lock, which tells the sweep that it lives.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.states import DeliveryState
from service.editions.store.editions import close_finished
from service.platform.database.engine import transaction
from service.sending.restore_guard import DatabaseRestored, refuse_restored
from service.sending.send_loop import DeliverReport, Sender, SendRequest, run_sender
from service.sending.store.claim import resolve_in_doubt, sweep_abandoned
from service.sending.store.provider_limits import release_orphans


def deliver(
    sender: Sender,
    edition_id: int | None = None,
    on_window: Callable[[DeliverReport], None] = lambda _: None,
    longest: timedelta | None = None,
) -> DeliverReport:
    """Send everything that is due (of one edition, or of all).

    Safe to run twice, anywhere, at once: rows that others hold are passed over. `on_window` is
    told the running report whenever results were recorded, for a progress bar. After `longest`
    nothing more is claimed, so that a worker that is asked to stop need not wait for a whole
    edition.

    Raises `DatabaseRestored` where this database is a restored backup. Then nothing leaves but the
    mail that tells the operator so.
    """
    try:
        refuse_restored(sender.sessions, sender.settings)
    except DatabaseRestored as error:
        run_sender(SendRequest(sender, occasion=error.watermark.occasion), lambda _: None)
        raise
    stops_at = sender.clock() + longest if longest else None
    report = run_sender(SendRequest(sender, edition_id, stops_at), on_window)
    with transaction(sender.sessions, is_lasting=False) as session:
        close_finished(session, sender.clock())
    return report


def sweep(sessions: sessionmaker[Session], now: datetime) -> tuple[int, int]:
    """Heal what dead senders left; returns (requeued, in doubt). Finished editions are closed."""
    with transaction(sessions) as session:
        requeued, doubtful = sweep_abandoned(session, now)
        requeued += release_orphans(session, now)
        close_finished(session, now)
    return requeued, doubtful


RESOLUTIONS = {
    "sent": (DeliveryState.SENT, "the operator says it arrived"),
    "resend": (DeliveryState.QUEUED, "the operator asked for it to be sent again"),
    "carry": (DeliveryState.CARRIED, "its papers come again in the next edition, marked"),
}


def resolve(
    sessions: sessionmaker[Session], edition_id: int | None, answer: str, now: datetime
) -> int:
    """The operator's answer for every row in doubt of an edition; returns how many rows.

    None stands for the mails that belong to no edition, which have nothing to carry.

    `answer` is a key of RESOLUTIONS. Only `resend` can ever put a second copy on the wire.
    """
    state, detail = RESOLUTIONS[answer]
    with transaction(sessions) as session:
        return resolve_in_doubt(session, edition_id, state, detail, now)
