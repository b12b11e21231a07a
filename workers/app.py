"""The Celery application: five queues with their time limits, and the schedule of a day in one table.

Messages carry ids and mean "there may be work". Tasks are idempotent: a message may be lost, doubled
or late, because retries, delays and counts are rows in Postgres.
"""

import gc
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from celery import Celery, Task
from celery.signals import (
    celeryd_after_setup,
    celeryd_init,
    setup_logging,
    task_postrun,
    task_prerun,
    worker_before_create_process,
    worker_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)
from structlog.contextvars import bind_contextvars, clear_contextvars

from service.papers.domain.source_names import JOURNALS, SOURCES
from service.platform.logs import configure_service, get_logger
from service.platform.queue import REQUEST_ID, TASK_QUEUES
from workers.process import Process

if TYPE_CHECKING:
    from celery.worker import WorkController

# What beat enqueues, and every how many seconds.
BEAT: dict[str, tuple[str, list[str], int]] = {
    **{
        f"ingest-{s.name}": ("paperboy.ingest", [s.name], s.poll_seconds)
        for s in (*SOURCES, JOURNALS)
    },
    "heal": ("paperboy.heal", [], 10800),
    "learn-meanings": ("paperboy.learn_meanings", [], 600),
    "open-editions": ("paperboy.open_editions", [], 60),
    "settle-requests": ("paperboy.settle_requests", [], 30),
    "deliver": ("paperboy.deliver", [], 30),
    "deliver-urgent": ("paperboy.deliver_urgent", [], 30),
    "sweep": ("paperboy.sweep", [], 60),
    "settle-submissions": ("paperboy.settle_submissions", [], 300),
    "bounces": ("paperboy.bounces", [], 60),
    "report-troubles": ("paperboy.report_troubles", [], 300),
    "report-day": ("paperboy.report_day", [], 300),
    "apply-retention": ("paperboy.apply_retention", [], 3600),
}

# Queue -> seconds after which a task gets `SoftTimeLimitExceeded`, and after which its process is killed
# in the middle of whatever it does. All tasks are idempotent, so the next wake-up task continues.
# All limits are below the visibility timeout, after which the broker enqueues a message again.
TIME_LIMITS = {
    "paperboy.ingest": (1500, 1800),
    "paperboy.learn": (1500, 1800),
    "paperboy.compose": (540, 600),
    # `deliver` claims for a minute, connects for at most another, and does not wait for messages that
    # hang. At the first limit it records the replies that it has.
    "paperboy.send": (300, 360),
    "paperboy.urgent": (540, 600),
}


def expiry_seconds(task: str, every: int) -> int:
    """Return after how long a message of beat expires, so that a worker that was down finds few.

    Not before the longest task ahead of it in its queue has ended: where each message expired when
    the next was due, a worker that was busy for longer found none.
    """
    return max(every, TIME_LIMITS[TASK_QUEUES[task]][1])


process = Process()
log = get_logger(__name__)


class Configuration:
    """Celery's configuration, read on first use and not at import."""

    task_ignore_result = True
    task_acks_late = True
    worker_prefetch_multiplier = 1
    task_default_queue = "paperboy.compose"
    task_routes: ClassVar = {name: {"queue": queue} for name, queue in TASK_QUEUES.items()}
    task_annotations: ClassVar = {
        name: dict(zip(("soft_time_limit", "time_limit"), TIME_LIMITS[queue], strict=True))
        for name, queue in TASK_QUEUES.items()
    }
    # In KiB: a process that has grown larger than this is replaced after its task.
    worker_max_memory_per_child = 400_000
    broker_connection_retry_on_startup = True
    broker_transport_options: ClassVar = {"visibility_timeout": 3600, "socket_timeout": 30}
    # Longer than the ten minutes a relay may take after the final dot (RFC 5321 §4.5.3.2.6).
    worker_soft_shutdown_timeout = 660
    worker_hijack_root_logger = False
    worker_redirect_stdouts = False
    timezone = "UTC"
    beat_schedule: ClassVar = {
        name: {
            "task": task,
            "args": args,
            "schedule": every,
            "options": {"expires": expiry_seconds(task, every)},
        }
        for name, (task, args, every) in BEAT.items()
    }

    @property
    def broker_url(self) -> str:
        return process.settings.queue_url


app = Celery("paperboy")
app.config_from_object(Configuration())


@celeryd_init.connect
def start_worker(**_: object) -> None:
    """Configure the logs before Celery's own setup, whose warnings come earlier."""
    process.share_ending()
    configure_logging()


@worker_init.connect
def load_tasks(sender: "WorkController", **_: object) -> None:
    """Import the tasks of a worker's queues, and all that they need, before it forks; never in beat.

    Beat sends tasks by name; Celery's `include` would make it import them, too.
    """
    try:
        import_module("workers.tasks").import_tasks(sender.app.amqp.queues.consume_from)
        import_module("workers.runtime").refuse_demo_at_start(process.settings)
    except Exception as error:
        # Celery logs errors of signal handlers and goes on; a worker without tasks must end.
        log.critical("the tasks cannot be imported", exc_info=True)
        raise SystemExit(1) from error


@setup_logging.connect
def configure_logging(**_: object) -> None:
    """Configure the logs of worker and beat, in place of Celery."""
    configure_service()  # For a fault in the settings themselves.
    configure_service(process.settings.log_level, process.settings.log_file)


@celeryd_after_setup.connect
def drop_stdout(**_: object) -> None:
    """Close a worker's stdout: Celery prints its banner and shutdown there, past every logger."""
    if not sys.stdout.isatty():
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.__stdout__.fileno() if sys.__stdout__ else 1)
        os.close(null)


@worker_before_create_process.connect
def share_memory(**_: object) -> None:
    """Keep the collector of a forked process off what the worker has imported, so that they share it."""
    gc.freeze()


@task_prerun.connect
def bind_task(task_id: str, task: Task, **_: object) -> None:
    """Put the task's id, and that of the request that enqueued it, on each of its log lines."""
    clear_contextvars()
    request_id = task.request.get(REQUEST_ID)
    known = {REQUEST_ID: request_id} if request_id else {}
    bind_contextvars(task=task.name, task_id=task_id, **known)


@task_postrun.connect
def unbind_task(**_: object) -> None:
    """Forget the ids of a task that has ended."""
    clear_contextvars()


@worker_shutting_down.connect
def note_shutdown(sig: str, how: str, **_: object) -> None:
    """Let the tasks begin nothing more, and log that the worker was asked to end."""
    process.end()
    log.info("worker.stopping", signal=sig, how=how)


@worker_process_shutdown.connect
@worker_shutdown.connect
def finish_sending(**_: object) -> None:
    """Await the relay's replies to messages that hang, in the process that sent them.

    A process that is only replaced has no time for it: the worker would give it tasks meanwhile.
    """
    sender = process.opened and process.opened.opened_sender
    if sender is not None and process.is_ending():
        import_module("service.sending.deliver").finish_hanging(sender, is_last=True)
