"""Tasks of the queue that sends editions, and the mails of imports."""

from datetime import timedelta
from functools import partial

from service.sending.deliver import deliver_for
from service.sending.restore_guard import alerting_restored
from service.sending.store.claim import Scope
from workers.app import app, process

# Other tasks wait for a running one, so `deliver` ends after this long and enqueues itself.
LONGEST_DELIVER = timedelta(seconds=60)


@app.task(name="paperboy.deliver")
def deliver() -> None:
    """Send due digests, and an import's mails, for a minute, with every process that is idle."""
    here = process.runtime
    here.editions.forget_frozen(here.sessions)
    wake = partial(here.enqueue, "deliver")
    with alerting_restored(here.sessions, here.settings, here.clock(), here.enqueue):
        deliver_for(here.sender, LONGEST_DELIVER, process.is_ending, Scope.OTHERS, wake)
