"""A real Celery worker in its own process, which stops or dies exactly at its fault's point.

The process is forked from one that has imported everything (`multiprocessing`'s fork server), so a
worker is ready in some 50 ms. Its runtime is made here, with the seed's clock and timeouts; psycopg's
commits are wrapped in the forked process only.
"""

import functools
import gc
import os
import signal
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import celery.apps.worker
import celery.concurrency.solo
import kombu.transport.redis
import psycopg
from sqlalchemy.orm import configure_mappers

from service.editions.publish import Opening
from service.messages.identity import make_renderer
from service.platform.database.engine import make_engine, make_sessions
from service.platform.logs import configure
from service.platform.queue import make_enqueue
from service.platform.settings.settings import Settings
from service.sending.domain.relay_health import REST_SECONDS
from service.sending.sender import Sender
from service.sending.smtp.limits import SMTP_LIMITS, SmtpLimits
from service.sending.smtp.rate_limit import open_rate
from service.sending.smtp.transport import SmtpTransport
from support.chaos.orders import Orders, SharedClock
from support.chaos.plan import QUEUES, ProcessFault
from support.mail.invented_digests import make_digest
from support.servers.hosts import enter_host
from workers.app import app, process
from workers.runtime import Runtime
from workers.sources import OpenSources
from workers.tasks import import_tasks

# Imported for their effect: the fork server has them before the first worker is forked.
_WARM = (celery.apps.worker, celery.concurrency.solo, kombu.transport.redis)
import_tasks(QUEUES)
# Compiling the templates and mapping the tables takes longer than most seeds.
_RENDERER = make_renderer(Settings())
_RENDERER.fit(make_digest())
configure_mappers()


def run(orders: Orders) -> None:
    """Run the worker until it is killed."""
    if orders.namespace:
        enter_host(orders.namespace)
    _redirect(orders.log_file)
    warnings.simplefilter("ignore")
    # Imported objects are no garbage; to traverse them takes longer than many a seed.
    gc.freeze()
    os.environ.update(orders.environ, PGAPPNAME=orders.name)
    process.use(_make_runtime(orders, process.settings))
    if orders.fault:
        _Commits(orders.fault).watch()
    app.Worker(
        pool="solo", queues=list(QUEUES), loglevel="WARNING", quiet=True,
        without_gossip=True, without_mingle=True, without_heartbeat=True,
    ).start()  # fmt: skip


def _redirect(log_file: Path) -> None:
    file = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)


def _make_runtime(orders: Orders, here: Settings) -> Runtime:
    configure(here.log_level)
    clock = SharedClock(orders.clock_file, orders.start, orders.skew)
    sessions = make_sessions(make_engine(here.database_url))
    transport = SmtpTransport(
        here.relays,
        connections=here.send_connections,
        rate=open_rate(here),
        limits=_limits(orders.timeout_seconds, orders.hanging_seconds),
    )
    return Runtime(
        settings=here,
        sessions=sessions,
        enqueue=make_enqueue(here.queue_url),
        clock=clock,
        open_sender=lambda: Sender(sessions, here, _RENDERER, transport, clock, steps=orders.steps),
        # Nothing is fetched.
        open_sources=lambda: OpenSources((), None, None),
        opening=Opening(chunk_size=orders.chunk),
    )


def _limits(seconds: float, hanging_seconds: float | None) -> SmtpLimits:
    """The sender loses patience with the relay in a fraction of a second."""
    return SmtpLimits(
        command_seconds=seconds,
        data_seconds=seconds,
        block_seconds=seconds,
        final_dot_seconds=seconds,
        hanging_seconds=hanging_seconds or SMTP_LIMITS.hanging_seconds,
        # A relay's back-off is minutes of the monotonic clock, which a test cannot set forward.
        rest_seconds=(0.3,) * len(REST_SECONDS),
    )


class _Commits:
    """Tracks the transitions of each transaction of this process, and acts after its commit.

    A trigger reports transitions as notices to the session, so this does not depend on the SQL of
    the service.
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
            connection.add_notice_handler(functools.partial(self._on_notice, id(connection)))

        @functools.wraps(commit)
        def acting(connection: Any) -> None:
            commit(connection)
            self._act(self._moved.pop(id(connection), set()))

        connection_class.__init__, connection_class.commit = listening, acting

    def _on_notice(self, connection: int, notice: Any) -> None:
        verb, _, point = (notice.message_primary or "").partition(" ")
        if verb == "moved":
            self._moved[connection].add(point)

    def _act(self, points: set[str]) -> None:
        for point in points:
            self._counts[point] += 1
            if point == self._fault.point and self._counts[point] == self._fault.nth:
                os.kill(os.getpid(), signal.SIGKILL if self._fault.is_fatal else signal.SIGSTOP)
