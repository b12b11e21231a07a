"""The Celery application: three queues, and the whole day in one table.

Messages carry ids and mean "there may be work": any of them may be lost, doubled or late. So
nothing here retries, waits or counts; the rows in Postgres do.
"""

from importlib import import_module
from typing import ClassVar

from celery import Celery
from celery.signals import celeryd_init

from service.papers.domain.source_names import JOURNALS, SOURCES
from service.platform.queue import TASK_QUEUES
from workers.process import Process

# What beat rings, and how often in seconds. A bell that nobody heard expires before the next.
BEAT: dict[str, tuple[str, list[str], int]] = {
    **{f"ingest-{s.name}": ("ingest", [s.name], s.poll_seconds) for s in (*SOURCES, JOURNALS)},
    "heal": ("heal", [], 10800),
    "learn-meanings": ("learn_meanings", [], 600),
    "open-editions": ("open_editions", [], 60),
    "deliver": ("deliver", [], 30),
    "sweep": ("sweep", [], 60),
    "bounces": ("bounces", [], 60),
    "report-troubles": ("report_troubles", [], 300),
}

process = Process()


class Configuration:
    """Celery's configuration, which it reads when it first needs it and not at import."""

    task_ignore_result = True
    task_acks_late = True
    worker_prefetch_multiplier = 1
    task_default_queue = "compose"
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
    """Import the tasks, and with them every room: in a worker, before it forks, and not in beat.

    Beat sends tasks by name. `include` would make it import them all the same.
    """
    try:
        import_module("workers.runtime")
        import_module("workers.tasks")
    except Exception as error:
        # Celery logs what a handler raises and goes on; a worker without tasks must not.
        raise SystemExit(f"the tasks cannot be imported: {error!r}") from error
