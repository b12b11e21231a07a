"""The Celery application: three queues, and the whole day in one table.

Messages carry ids and mean "there may be work": any of them may be lost, doubled or late. So
nothing here retries, waits or counts; the rows in Postgres do.
"""

from __future__ import annotations

from celery import Celery

from service.platform.queue import TASK_QUEUES
from workers.runtime import broker_url

# What beat rings, and how often in seconds. A bell that nobody heard expires before the next.
BEAT = {
    "ingest-arxiv": ("ingest", ["arxiv"], 600),
    "ingest-huggingface": ("ingest", ["huggingface"], 1800),
    "ingest-biorxiv": ("ingest", ["biorxiv"], 3600),
    "ingest-medrxiv": ("ingest", ["medrxiv"], 3600),
    "ingest-journals": ("ingest", ["journal"], 3600),
    "heal": ("heal", [], 10800),
    "learn-meanings": ("learn_meanings", [], 600),
    "open-editions": ("open_editions", [], 60),
    "deliver": ("deliver", [], 30),
    "sweep": ("sweep", [], 60),
    "bounces": ("bounces", [], 60),
    "report-troubles": ("report_troubles", [], 300),
}

app = Celery("paperboy", broker=broker_url(), include=["workers.tasks"])
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    task_default_queue="compose",
    task_routes={name: {"queue": queue} for name, queue in TASK_QUEUES.items()},
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 3600, "socket_timeout": 30},
    # Longer than the ten minutes a relay may take after the final dot (RFC 5321 §4.5.3.2.6).
    worker_soft_shutdown_timeout=660,
    worker_hijack_root_logger=False,
    timezone="UTC",
    beat_schedule={
        name: {"task": task, "args": args, "schedule": seconds, "options": {"expires": seconds}}
        for name, (task, args, seconds) in BEAT.items()
    },
)
