"""Celery tasks: each calls one action and enqueues the next. None is longer than twelve lines.

A module has the tasks of the queue with its name. A worker imports those of the queues that it serves,
so that what reads other hosts takes no memory where mails are sent.
"""

from collections.abc import Iterable
from importlib import import_module

from service.platform.queue import PREFIX, TASK_QUEUES


def import_tasks(queues: Iterable[str]) -> None:
    """Import the tasks of these queues, by their names on the broker; of others there are none."""
    for queue in sorted(set(TASK_QUEUES.values()).intersection(queues)):
        import_module(f"{__name__}.{queue.removeprefix(PREFIX)}")
