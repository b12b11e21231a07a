"""Two hosts' workers share one edition: nobody gets it twice, nobody is left out, both do their part."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy import select
from support.newsletter.press import Press
from support.servers.processes import settings_environ
from support.smtp.smtp_sink import SmtpSink, wait_until

from service.deliveries.domain.recipients import Cadence
from service.editions.publish import Opening, open_edition
from service.editions.store.models import Edition
from service.papers.domain.announcement_days import announcement_date
from service.platform.clock import system_clock
from service.platform.queue import WORKER_QUEUES, make_enqueue
from service.platform.settings.settings import Settings

pytestmark = pytest.mark.timeout(240)

SUBSCRIBERS, CHUNK = 2_000, 100
# Of the mails and of the chunks, where a half is expected.
FAIR = 0.25


@pytest.fixture
def now() -> datetime:
    """Return the real time, since the workers have the real clock."""
    return system_clock()


@contextmanager
def running_host(name: str, home: Path, settings: Settings, sink: SmtpSink) -> Iterator[Path]:
    """Run `worker-send` as a host does: own name, directory, settings and relay; yield its log."""
    home.mkdir()
    log = home / "worker.log"
    environ = settings_environ(
        settings,
        DATA_DIR=str(home / "data"),
        SMTP_URL=sink.url,
        LOG_FILE=str(log),
        LOG_LEVEL="INFO",
    )
    command = [sys.executable, "-m", "workers", "worker"]
    command += ["-n", f"worker-send@{name}", "-Q", WORKER_QUEUES["worker-send"], "-c", "2"]
    with (home / "out").open("wb") as out:
        process = subprocess.Popen(
            command, cwd=home, env=environ, stdout=out, stderr=out, start_new_session=True
        )
        try:
            yield log
            process.terminate()
            process.wait(60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def count_chunks(log: Path) -> int:
    """Return how many chunks a host has composed, by its log."""
    lines = map(json.loads, log.read_text().splitlines())
    return sum(line["event"] == "compose" for line in lines)


def test_two_hosts_compose_and_send_one_edition_once(
    press: Press, settings: Settings, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    subscribers = [f"reader{n}@site{n % 97}.example" for n in range(SUBSCRIBERS)]
    press.add_subscribers(*subscribers)
    today = announcement_date(press.clock())
    press.add_papers(1, 2, 3, on=today)
    other_sink = SmtpSink()
    other_sink.start()
    sinks = (smtp_sink, other_sink)
    for sink in sinks:
        # So that one host alone would take long enough for the other to join in.
        sink.delay_seconds = 0.02
    with ExitStack() as stack:
        stack.callback(other_sink.stop)
        logs = [
            stack.enter_context(running_host(name, tmp_path / name, settings, sink))
            for name, sink in zip(("one", "other"), sinks, strict=True)
        ]
        control = Celery(broker=settings.queue_url).control
        wait_until(lambda: len(control.ping(timeout=0.5)) == len(logs), 60)
        opening = Opening(sends_now=True, chunk_size=CHUNK)
        chunks = open_edition(
            press.sessions, settings, Cadence.DAILY, today, press.clock(), opening
        )
        enqueue = make_enqueue(settings.queue_url)
        for chunk_id in chunks:
            enqueue("compose", chunk_id)
        with press.sessions() as session:
            (edition_id,) = session.scalars(select(Edition.id))
        wait_until(lambda: press.states(edition_id) == {"sent": SUBSCRIBERS}, 120)
    sent = Counter(address for sink in sinks for address in sink.recipients())
    assert sent == Counter(subscribers)
    mails = [len(sink.messages) for sink in sinks]
    assert min(mails) >= FAIR * SUBSCRIBERS, mails
    composed = [count_chunks(log) for log in logs]
    assert sum(composed) == len(chunks) == SUBSCRIBERS / CHUNK
    assert min(composed) >= FAIR * len(chunks), composed
