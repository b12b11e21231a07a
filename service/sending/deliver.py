"""Sending: claim, build, put in flight, send, record. Each step is a short transaction.

No transaction stays open during SMTP. Only the sender's advisory lock is held for the whole run, and
for as long as its messages hang; it tells the sweep that the sender is alive.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.states import DeliveryState
from service.editions.store.editions import close_finished
from service.platform.database.engine import BULK_SECONDS, limit_time, transaction
from service.platform.logs import get_logger
from service.sending.demo_guard import refuse_demo
from service.sending.report import DeliverReport
from service.sending.restore_guard import DatabaseRestored, refuse_restored
from service.sending.send_loop import record_hanging, run_sender
from service.sending.sender import Sender, SendRequest
from service.sending.store.claim import Scope, resolve_in_doubt, sweep_abandoned
from service.sending.store.provider_limits import release_orphans

log = get_logger(__name__)


def deliver(
    sender: Sender,
    edition_id: int | None = None,
    on_window: Callable[[DeliverReport], None] = lambda _: None,
    on_hanging: Callable[[int], None] = lambda _: None,
) -> DeliverReport:
    """Send everything that is due (of one edition, or of all).

    Idempotent and safe to run concurrently on any host: rows claimed by others are skipped.
    `on_window` gets the running report whenever results were recorded, for a progress bar;
    `on_hanging` the number of messages without a reply, when everything else is done and only
    these are awaited.

    Raises `DatabaseRestored` where this database may be a restored backup; then only the alert to
    the operator is sent. Raises `MarkUnwritten` where no sent watermark can be kept. Raises `DemoDatabase` where it is a demo's and there is a relay.
    """
    return _deliver(SendRequest(sender, edition_id, on_hanging=on_hanging), on_window)


def deliver_for(
    sender: Sender,
    longest: timedelta,
    is_ending: Callable[[], bool] = lambda: False,
    scope: Scope = Scope.ALL,
    wake: Callable[[], None] = lambda: None,
) -> DeliverReport:
    """Send what is due in the scope as a worker does: claim for `longest`, and not once `is_ending`.

    `wake` is called when there begins to be more than this process has claimed, so that an idle one begins,
    too; otherwise at the end, if anything was sent. So wake-up tasks do not multiply.

    It does not wait for messages that hang. Their outcomes are recorded by a thread of this process,
    which ends with the last of them, or by the next call. Raises what `deliver` raises.
    """
    stops_at = sender.clock() + longest
    request = SendRequest(
        sender, stops_at=stops_at, scope=scope, leaves_hanging=True, is_ending=is_ending, wake=wake
    )
    try:
        return _deliver(request, lambda _: None)
    finally:
        sender.on_wire.watch(partial(_look, sender))


def _deliver(request: SendRequest, on_window: Callable[[DeliverReport], None]) -> DeliverReport:
    sender = request.sender
    refuse_demo(sender.sessions, sender.settings)
    try:
        refuse_restored(sender.sessions, sender.settings, sender.clock())
    except DatabaseRestored as error:
        run_sender(replace(request, occasion=error.suspicion.occasion), lambda _: None)
        raise
    report = run_sender(request, on_window)
    if request.scope.has_others:
        with transaction(sender.sessions, is_lasting=False) as session:
            close_finished(session, sender.clock())
    return report


def _look(sender: Sender) -> None:
    try:
        finish_hanging(sender)
    except SQLAlchemyError as error:
        log.warning("deliver.unrecorded", reason=type(error).__name__)


def finish_hanging(sender: Sender, *, is_last: bool = False) -> None:
    """Record the replies to messages that outlived their run; with `is_last` await all of them."""
    if sender.on_wire.rows and record_hanging(sender, is_last=is_last).total:
        with transaction(sender.sessions, is_lasting=False) as session:
            close_finished(session, sender.clock())


def sweep(sessions: sessionmaker[Session], now: datetime) -> tuple[int, int]:
    """Recover the rows of dead senders and close finished editions; return (requeued, in doubt)."""
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
    """Resolve every row in doubt of an edition as the operator answers; return how many rows.

    `edition_id` None stands for mails that belong to no edition, which have nothing to carry.
    `answer` is a key of RESOLUTIONS. Only `resend` can send a second copy.
    """
    state, detail = RESOLUTIONS[answer]
    with transaction(sessions) as session:
        limit_time(session, BULK_SECONDS)
        return resolve_in_doubt(session, edition_id, state, detail, now)
