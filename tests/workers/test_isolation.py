"""Real workers with pools of processes: a slow stranger holds no mail up, and a killed task no row."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import pytest
from celery import Celery
from support.newsletter.press import Press
from support.rules import ROOT
from support.servers.processes import settings_environ
from support.smtp.scripted_smtp import HANG, ScriptedSmtp
from support.smtp.smtp_sink import SmtpSink, wait_until

from service.cli.processes import COMMANDS, Stack
from service.deliveries.domain.recipients import Timing
from service.editions.domain.states import EditionState
from service.papers.domain.announcement_days import announcement_date
from service.platform.clock import system_clock
from service.platform.queue import TASK_QUEUES, make_enqueue
from service.platform.settings.settings import Settings
from service.sending.smtp.limits import SMTP_LIMITS
from service.sending.smtp.relay_pool import IMPATIENT_SECONDS


@pytest.fixture
def now() -> datetime:
    """Return the real time, since the workers have the real clock."""
    return system_clock()


class DrippingSource:
    """A web server that sends a header of one byte every tenth of a second, for ever."""

    def __init__(self) -> None:
        self.connection_count = 0
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connection_count += 1
                threading.Thread(target=self._drip, args=(connection,), daemon=True).start()

    def _drip(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not self._stopped.wait(0.1):
                connection.sendall(b"x")

    def stop(self) -> None:
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def dripping() -> Iterator[DrippingSource]:
    source = DrippingSource()
    yield source
    source.stop()


@contextmanager
def running_workers(settings: Settings, **changes: str) -> Iterator[None]:
    """Run the workers of `paperboy up`, each with its pool of two processes."""
    environ = settings_environ(settings, **changes)
    with Stack(settings, {}, stop_seconds=2, environ=environ) as stack:
        stack.start_workers()
        yield
        stack.check()


def test_two_dripping_sources_keep_no_edition_from_being_composed_and_sent(
    press: Press, settings: Settings, smtp_sink: SmtpSink, dripping: DrippingSource
) -> None:
    press.add_subscribers("ada@example.org", "grace@example.org", timing=Timing.WHEN_COMPLETE)
    press.add_papers(1, 2, on=announcement_date(press.clock()))
    enqueue = make_enqueue(settings.queue_url)
    feeds = f"one={dripping.url}/1 two={dripping.url}/2"
    with running_workers(settings, JOURNAL_FEEDS=feeds):
        enqueue("ingest", "journal.one")
        enqueue("ingest", "journal.two")
        # Every process of the worker that reads sources is held from here on.
        wait_until(lambda: dripping.connection_count >= 2, 60)
        enqueue("open_editions")
        smtp_sink.wait_for(2, seconds=20)
        wait_until(lambda: press.edition(1).state is EditionState.CLOSED, 20)
    assert press.balance(1).closes


def test_a_sender_killed_at_its_time_limit_sends_nothing_twice_and_the_rest_goes_on(
    press: Press, settings: Settings, relay: ScriptedSmtp
) -> None:
    addresses = [f"reader{n:02}@example.org" for n in range(12)]
    press.add_subscribers(*addresses, timing=Timing.WHEN_COMPLETE)
    today = announcement_date(press.clock())
    press.add_papers(1, 2, on=today)
    edition_id = press.publish(today)
    # The relay takes the first message whole, and never answers its final dot.
    relay.answers["DOT"] = lambda number: HANG if number == 0 else None
    changes = {
        "SMTP_URL": f"smtp://127.0.0.1:{relay.port}?starttls=off",
        "SEND_WINDOW": "4",
        "SEND_CONNECTIONS": "1",
    }
    log = settings.data_dir / "logs" / "worker-send.log"
    enqueue, environ = make_enqueue(settings.queue_url), settings_environ(settings, **changes)
    with Stack(settings, {}, stop_seconds=2, environ=environ) as stack:
        # One process: another would send the rest at once.
        stack.start("worker-send", "-c", "1")
        stack.start("worker-urgent")
        app = Celery(broker=settings.queue_url, set_as_current=False)
        # The task's own limits are minutes; a message may shorten them. At the first the sender waits
        # some seconds for replies that are due, and is killed meanwhile by the second.
        limits = {"soft_time_limit": 3, "time_limit": 5}
        app.send_task("paperboy.deliver", queue="paperboy.send", **limits)
        wait_until(lambda: "Hard time limit (5s) exceeded" in log.read_text(), 60)
        # The line comes before the signal, and a sweep leaves what a living sender has.
        wait_until(lambda: "exited with 'signal 9 (SIGKILL)'" in log.read_text(), 20)
        assert press.states(edition_id) == {"in_flight": 4, "claimed": 4, "queued": 4}
        enqueue("sweep")
        wait_until(lambda: press.states(edition_id).get("in_doubt") == 4, 20)
        enqueue("deliver")
        wait_until(lambda: press.states(edition_id) == {"in_doubt": 4, "sent": 8}, 30)
    taken = [message.recipient for message in relay.taken]
    assert len(taken) == len(set(taken)) == 9
    assert press.balance(edition_id).closes


def test_a_worker_process_that_has_grown_is_replaced_after_its_task(settings: Settings) -> None:
    written = settings.data_dir / "logs" / "grown"
    command = [*COMMANDS["worker-default"], "--include", "support.servers.growing_task"]
    environ = settings_environ(settings) | {"PYTHONPATH": str(ROOT / "tests")}
    commands = {"worker-default": command}
    with Stack(settings, {}, stop_seconds=2, environ=environ, commands=commands) as stack:
        stack.start("worker-default")
        app = Celery(broker=settings.queue_url, set_as_current=False)

        def run(megabytes: int, count: int) -> list[str]:
            """Run tasks; return the processes that ran them."""
            lines = written.read_text().splitlines() if written.exists() else []
            for _ in range(count):
                app.send_task("paperboy.grow", (megabytes, str(written)), queue="paperboy.ingest")
            done = len(lines) + count
            wait_until(lambda: written.exists() and written.read_text().count("\n") == done, 60)
            return [line.split()[0] for line in written.read_text().splitlines()[len(lines) :]]

        before = set(run(1, 20))
        (grown,) = run(420, 1)
        after: set[str] = set()
        # Until a third process takes one of the tasks.
        deadline = time.monotonic() + 60
        while not after - before - {grown} and time.monotonic() < deadline:
            after.update(run(1, 1))
        stack.check()
    assert grown not in after
    assert after - before - {grown}


def test_every_task_has_limits_and_sending_waits_for_no_message_that_hangs(
    settings: Settings,
) -> None:
    program = (
        "import json; from workers.app import app; from workers.tasks import import_tasks;"
        "import_tasks(route['queue'] for route in app.conf.task_routes.values()); app.finalize();"
        "print(json.dumps({name: [task.soft_time_limit, task.time_limit]"
        " for name, task in app.tasks.items() if not name.startswith('celery.')}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=settings_environ(settings), capture_output=True, text=True, check=True,
    )  # fmt: skip
    limits = json.loads(done.stdout)
    assert limits.keys() == TASK_QUEUES.keys()
    for name, (soft, hard) in limits.items():
        # The broker enqueues a message again after an hour.
        assert soft < hard < 3600, name
    soft, hard = limits["paperboy.deliver"]
    # A minute of claiming, one of connecting, and the time to record.
    assert soft >= 60 + IMPATIENT_SECONDS + 60
    assert hard < SMTP_LIMITS.final_dot_seconds
