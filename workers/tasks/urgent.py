"""Tasks of the queue that waits behind no edition."""

from datetime import timedelta

from service.platform.queue import wake_senders
from service.sending.deliver import deliver_for
from service.sending.deliver import sweep as sweep_left
from service.sending.restore_guard import alerting_restored, refuse_restored
from service.sending.store.claim import Scope
from service.subscribers.settle_requests import MOST_AT_ONCE
from service.subscribers.settle_requests import settle_requests as settle_waiting
from workers.app import app, process
from workers.openings import open_what_is_due

# So short that a thousand confirmations leave room for what is in their queue with them.
LONGEST_URGENT = timedelta(seconds=5)


@app.task(name="paperboy.open_editions")
def open_editions() -> None:
    """Open the editions that are due, enqueue their chunks, and compose catch-up mails."""
    here = process.runtime
    with alerting_restored(here.sessions, here.settings, here.clock(), here.enqueue):
        # An edition that was sent before is not made again until it is known what was sent.
        refuse_restored(here.sessions, here.settings, here.clock())
        open_what_is_due(here)


@app.task(name="paperboy.settle_requests")
def settle_requests() -> None:
    """Queue the mails that forms asked for, and enqueue sending."""
    here = process.runtime
    settled = settle_waiting(here.sessions, here.settings, here.clock())
    if settled:
        here.enqueue("deliver_urgent")
    if settled == MOST_AT_ONCE:
        here.enqueue("settle_requests")


@app.task(name="paperboy.deliver_urgent")
def deliver_urgent() -> None:
    """Send due mail of no edition for some seconds; again if anything was sent."""
    here = process.runtime
    with alerting_restored(here.sessions, here.settings, here.clock(), here.enqueue):
        if deliver_for(here.sender, LONGEST_URGENT, process.is_ending, Scope.URGENT).total:
            here.enqueue("deliver_urgent")


@app.task(name="paperboy.sweep")
def sweep() -> None:
    """Requeue what dead senders left behind, and enqueue sending if there is any."""
    here = process.runtime
    with alerting_restored(here.sessions, here.settings, here.clock(), here.enqueue):
        # Rows of a restored backup are not new work.
        refuse_restored(here.sessions, here.settings, here.clock())
        requeued, _ = sweep_left(here.sessions, here.clock())
        if requeued:
            wake_senders(here.enqueue)
