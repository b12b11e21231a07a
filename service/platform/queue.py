"""Wake-up tasks: a Celery message says "there may be work" and carries nothing but ids.

Tasks are known by name here, so no worker is imported. A message that cannot be queued is no error:
the rows are in Postgres, and beat enqueues every task again within minutes.
"""

from collections.abc import Callable

from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from structlog.contextvars import get_contextvars

from service.platform.logs import get_logger

# Names on the broker begin with this: others may use the same one.
PREFIX = "paperboy."

_QUEUES = {
    "ingest": "ingest",
    "heal": "ingest",
    # It takes minutes of processor time, so it shares no queue.
    "learn_meanings": "learn",
    "compose": "compose",
    "deliver": "send",
    # What waits behind no edition.
    "open_editions": "urgent",
    "settle_requests": "urgent",
    "deliver_urgent": "urgent",
    "sweep": "urgent",
    # With the sources, so that a slow mail server does not delay sending.
    "bounces": "ingest",
    # Not with sending, whose trouble it may have to report.
    "report_troubles": "ingest",
    "report_day": "ingest",
    "apply_retention": "ingest",
    # Waits for its sources.
    "settle_submissions": "ingest",
}
# Task -> queue, as the broker knows them.
TASK_QUEUES = {f"{PREFIX}{task}": f"{PREFIX}{queue}" for task, queue in _QUEUES.items()}
# Worker -> the queues that it serves. Tasks that read what strangers wrote, or wait for their hosts,
# never share a process with sending; composing reads only our rows. A morning's edition holds both
# processes of `worker-send` for as long as it lasts (decision 0017).
WORKER_QUEUES = {
    "worker-urgent": f"{PREFIX}urgent",
    "worker-send": f"{PREFIX}compose,{PREFIX}send",
    "worker-default": f"{PREFIX}ingest",
    "worker-learn": f"{PREFIX}learn",
}

# The header of a message, and the name in log lines, with the id of the web request that it comes from.
REQUEST_ID = "request_id"

Enqueue = Callable[..., None]

log = get_logger(__name__)


def ping_broker(broker_url: str, seconds: float) -> None:
    """Raise OSError or OperationalError where the broker does not let us in within seconds."""
    timeouts = {"socket_connect_timeout": seconds, "socket_timeout": seconds}
    with Connection(  # type: ignore[no-untyped-call]  # kombu has no annotations
        broker_url, connect_timeout=seconds, transport_options=timeouts
    ) as connection:
        try:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=seconds)
        except _refusals(connection) as error:
            raise OperationalError(str(error)) from error


def _refusals(connection: Connection) -> tuple[type[Exception], ...]:
    """Return the errors of a broker's client, such as a wrong password for RabbitMQ."""
    return (*connection.connection_errors, *connection.channel_errors)


def wake_senders(enqueue: Enqueue) -> None:
    """Enqueue both tasks that send: of digests, and of mail that waits behind none."""
    enqueue("deliver")
    enqueue("deliver_urgent")


def make_enqueue(broker_url: str) -> Enqueue:
    """Return a function that enqueues a task: `enqueue("compose", 17)`.

    It gives up within seconds, logs that, and never raises. The id of the request in whose context
    it is called goes along in a header, and on from one task to the next.
    """
    app = Celery("paperboy", broker=broker_url, set_as_current=False)
    app.conf.update(
        broker_transport_options={"socket_connect_timeout": 2, "socket_timeout": 2},
        broker_connection_timeout=2,
    )
    refusals: tuple[type[Exception], ...] = (
        OSError,
        OperationalError,
        RedisError,
        *_refusals(app.connection_for_write()),
    )

    def enqueue(task: str, *ids: int | str) -> None:
        name = f"{PREFIX}{task}"
        queue = TASK_QUEUES[name]
        request_id = get_contextvars().get(REQUEST_ID)
        headers = {REQUEST_ID: request_id} if request_id else None
        try:
            sent = app.send_task(name, args=ids, queue=queue, retry=False, headers=headers)
            log.info("enqueue", enqueued=name, enqueued_id=sent.id)
        except refusals as error:
            log.warning("enqueue.failed", task=task, reason=str(error))

    return enqueue
