"""The Celery application: three queues, and the schedule of a day in one table.

Messages carry ids and mean "there may be work". Tasks are idempotent: a message may be lost, doubled
or late, because retries, delays and counts are rows in Postgres.
"""

from importlib import import_module
from typing import ClassVar

from celery import Celery
from celery.signals import celeryd_init

from service.papers.domain.source_names import JOURNALS, SOURCES
from service.platform.queue import TASK_QUEUES
from workers.process import Process

# What beat enqueues, and every how many seconds. A message expires when the next one is due.
BEAT: dict[str, tuple[str, list[str], int]] = {
    **{
        f"ingest-{s.name}": ("paperboy.ingest", [s.name], s.poll_seconds)
        for s in (*SOURCES, JOURNALS)
    },
    "heal": ("paperboy.heal", [], 10800),
    "learn-meanings": ("paperboy.learn_meanings", [], 600),
    "open-editions": ("paperboy.open_editions", [], 60),
    "deliver": ("paperboy.deliver", [], 30),
    "sweep": ("paperboy.sweep", [], 60),
    "bounces": ("paperboy.bounces", [], 60),
    "report-troubles": ("paperboy.report_troubles", [], 300),
}

process = Process()


class Configuration:
    """Celery's configuration, read on first use and not at import."""

    task_ignore_result = True
    task_acks_late = True
    worker_prefetch_multiplier = 1
    task_default_queue = "paperboy.compose"
    task_routes: ClassVar = {name: {"queue": queue} for name, queue in TASK_QUEUES.items()}
    broker_connection_retry_on_startup = True
    broker_transport_options: ClassVar = {"visibility_timeout": 3600, "socket_timeout": 30}
    # Longer than the ten minutes a relay may take after the final dot (RFC 5321 §4.5.3.2.6).
    worker_soft_shutdown_timeout = 660
    worker_hijack_root_logger = False
    timezone = "UTC"
    beat_schedule: ClassVar = {
        name: {"task": task, "args": args, "schedule": seconds, "options": {"expires": seconds}}
        for name, (task, args, seconds) in BEAT.items()
    }

    @property
    def broker_url(self) -> str:
        return process.settings.broker_url


app = Celery("paperboy")
app.config_from_object(Configuration())


@celeryd_init.connect
def load_tasks(**_: object) -> None:
    """Import the tasks, and with them every room: in a worker before it forks, never in beat.

    Beat sends tasks by name; Celery's `include` would make it import them, too.
    """
    try:
        import_module("workers.runtime")
        import_module("workers.tasks")
    except Exception as error:
        # Celery logs errors of signal handlers and goes on; a worker without tasks must end.
        raise SystemExit(f"the tasks cannot be imported: {error!r}") from error
