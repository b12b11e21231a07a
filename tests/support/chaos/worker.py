"""A real Celery worker in a process of its own, which stops or dies just where it is told to.

The process is forked from one that has imported everything (`multiprocessing`'s fork server), so
a worker is ready in some 50 ms. Nothing in the service knows of this: the clock, the relay's
timeouts and the commits of psycopg are wrapped from outside, in the forked process alone.
"""

from __future__ import annotations

import functools
import gc
import os
import signal
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import celery.apps.worker
import celery.concurrency.solo
import kombu.transport.redis
import psycopg
from sqlalchemy.orm import configure_mappers

import service.platform.clock
import service.sending.smtp.connection as smtp
import workers.runtime
import workers.tasks
from service.editions import publish
from service.messages.identity import make_renderer
from service.platform.settings.settings import Settings
from service.sending.domain import relay_health
from support.chaos.orders import Orders, SharedClock
from support.chaos.plan import ProcessFault
from support.mail.mail_states import make_digest
from support.servers.hosts import enter_host
from workers.app import app

# Imported for their effect: the fork server has them before the first worker is forked.
_WARM = (celery.apps.worker, celery.concurrency.solo, kombu.transport.redis, workers.tasks)
# Compiling the templates and mapping the tables takes longer than most seeds.
_RENDERER = make_renderer(Settings())
_RENDERER.fit(make_digest())
configure_mappers()


def run(orders: Orders) -> None:
    """Run the worker until somebody ends it."""
    if orders.namespace:
        enter_host(orders.namespace)
    _redirect(orders.log_file)
    warnings.simplefilter("ignore")
    # What was imported is no garbage: looking through it takes longer than many a seed.
    gc.freeze()
    os.environ.update(orders.environ, PGAPPNAME=orders.name)
    _set_clock(SharedClock(orders.clock_file, orders.start, orders.skew))
    _shorten(orders.timeout_seconds)
    publish.CHUNK_SIZE = orders.chunk
    # A relay that refused us rests for minutes by a clock that no test can set forward.
    relay_health.REST_SECONDS = tuple(0.3 for _ in relay_health.REST_SECONDS)
    workers.runtime.make_sending_renderer = lambda _settings: _RENDERER
    # Nothing is fetched, and each source's client would read all certificates of this world.
    workers.runtime.build_sources = lambda *_: ()
    workers.runtime.build_oai = workers.runtime.build_api = lambda *_: None
    if orders.spoil:
        orders.spoil()
    if orders.fault:
        _Commits(orders.fault).watch()
    app.Worker(
        pool="solo", queues=["compose", "send"], loglevel="WARNING", quiet=True,
        without_gossip=True, without_mingle=True, without_heartbeat=True,
    ).start()  # fmt: skip


def _redirect(log_file: Path) -> None:
    file = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)


def _set_clock(clock: Callable[[], datetime]) -> None:
    """Every module that holds the real clock by name gets this one."""
    real = service.platform.clock.system_clock
    for module in list(sys.modules.values()):
        if getattr(module, "system_clock", None) is real:
            module.system_clock = clock  # type: ignore[attr-defined]


def _shorten(seconds: float) -> None:
    """Let the sender lose patience with the relay in a fraction of a second."""
    for name in ("COMMAND_SECONDS", "DATA_SECONDS", "BLOCK_SECONDS", "FINAL_DOT_SECONDS"):
        assert hasattr(smtp, name)
        setattr(smtp, name, seconds)


class _Commits:
    """Knows what each transaction of this process moves, and acts after its commit.

    What moved is told by a trigger as a notice to the session, so that it does not matter in which
    words the service says it.
    """

    def __init__(self, fault: ProcessFault) -> None:
        self._fault = fault
        self._counts: Counter[str] = Counter()
        self._moved: defaultdict[int, set[str]] = defaultdict(set)

    def watch(self) -> None:
        connection_class: Any = psycopg.Connection
        begin, commit = connection_class.__init__, connection_class.commit

        @functools.wraps(begin)
        def listening(connection: Any, *args: Any, **kwargs: Any) -> None:
            begin(connection, *args, **kwargs)
            connection.add_notice_handler(functools.partial(self._hear, id(connection)))

        @functools.wraps(commit)
        def acting(connection: Any) -> None:
            commit(connection)
            self._act(self._moved.pop(id(connection), set()))

        connection_class.__init__, connection_class.commit = listening, acting

    def _hear(self, connection: int, told: Any) -> None:
        verb, _, point = (told.message_primary or "").partition(" ")
        if verb == "moved":
            self._moved[connection].add(point)

    def _act(self, points: set[str]) -> None:
        for point in points:
            self._counts[point] += 1
            if point == self._fault.point and self._counts[point] == self._fault.nth:
                os.kill(os.getpid(), signal.SIGKILL if self._fault.is_fatal else signal.SIGSTOP)
