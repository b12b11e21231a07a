"""The doorbell: a Celery message says "there may be work", and carries nothing but ids.

It knows the tasks by name and imports no worker. A bell that cannot be rung is not an error: every
row it would have told of is in Postgres, and beat rings again within the minute.
"""

from collections.abc import Callable

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from service.platform.logs import get_logger

# Task -> queue. Tasks, actions and log events share one name.
TASK_QUEUES = {
    "ingest": "ingest",
    "heal": "ingest",
    "learn_meanings": "ingest",
    "open_editions": "compose",
    "compose": "compose",
    "deliver": "send",
    "sweep": "send",
    # With the sources: a slow mail server must not hold up the sending.
    "bounces": "ingest",
    # Where it is not the sending itself that hangs.
    "report_troubles": "ingest",
}

Enqueue = Callable[..., None]

log = get_logger(__name__)


def make_enqueue(broker_url: str) -> Enqueue:
    """A bell on a broker: `enqueue("compose", 17)`. It gives up within seconds and never raises."""
    app = Celery("paperboy", broker=broker_url, set_as_current=False)
    app.conf.update(
        broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 2},
        broker_connection_timeout=2,
    )

    def enqueue(task: str, *ids: int | str) -> None:
        try:
            app.send_task(task, args=ids, queue=TASK_QUEUES[task], retry=False)
        except (OSError, OperationalError, RedisError) as error:
            log.warning("enqueue.failed", task=task, reason=str(error))

    return enqueue
