"""A worker's log of one day holds every event that its rows tell of."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from mailbox import Maildir
from pathlib import Path

import pytest
from support.chaos.orders import SharedClock
from support.mail.bounce_mails import dsn, refused
from support.newsletter.commands import FRIDAY
from support.newsletter.press import Press
from support.rules import ROOT
from support.servers.log_lines import assert_log_equals_rows, assert_no_secret, named, read_lines
from support.servers.processes import SECRET_KEY, settings_environ
from support.smtp.smtp_sink import DROP, SmtpSink, wait_until

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.return_path import make_return_path
from service.deliveries.domain.states import DeliveryKind
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition
from service.platform.queue import make_enqueue
from service.platform.settings.settings import Settings
from service.sample.server import SampleServer

START = datetime(2026, 9, 18, 4, 30, tzinfo=UTC)
READERS = ("anne", "bounced", "refused", "deferred", "silent", "gone", "nothing")


@pytest.fixture
def now() -> datetime:
    return START


@contextmanager
def simulated_worker(environ: dict[str, str], clock_file: Path) -> Iterator[None]:
    program = str(ROOT / "tests/support/servers/simulated_worker.py")
    command = [sys.executable, program, str(clock_file), START.isoformat()]
    paths = {"PYTHONPATH": f"{ROOT}:{ROOT}/tests"}
    with subprocess.Popen(command, cwd=ROOT, env=environ | paths) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def answers_of(sink: SmtpSink) -> None:
    """Refuse one reader for ever and one once, and fall silent after the data of a third."""
    deferred: list[str] = []

    def at_recipient(address: str) -> str | None:
        if address.startswith("refused"):
            return f"550 5.1.1 {address} does not exist"
        if address.startswith("deferred") and not deferred:
            deferred.append(address)
            return "451 4.7.1 later"
        return None

    sink.on_rcpt = at_recipient
    sink.on_data = lambda address: DROP if address.startswith("silent") else None


@pytest.mark.slow
def test_the_log_of_one_day_holds_every_event_of_its_rows(
    press: Press, settings: Settings, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    ids = dict(zip(READERS, add_readers(press), strict=True))
    answers_of(smtp_sink)
    clock_file, log_file = tmp_path / "clock", tmp_path / "logs" / "worker.log"
    SharedClock.make_file(clock_file)
    clock = SharedClock(clock_file, START)
    box = Maildir(tmp_path / "box", create=True)
    enqueue = make_enqueue(settings.queue_url)
    with SampleServer(FRIDAY) as server:
        environ = settings_environ(
            settings,
            LOG_FILE=str(log_file),
            ALERT_TO="operator@paperboy.example",
            BOUNCE_DOMAIN=settings.bounce_domain,
            BOUNCE_MAILBOX=f"maildir:{tmp_path}/box",
            ARXIV_FEED_URL=server.url,
            ARXIV_LIST_URL=f"{server.url}/nothing",
        )
        with simulated_worker(environ, clock_file):
            enqueue("ingest", "arxiv")
            wait_until(lambda: is_frozen(press), 60)
            press.change(ids["gone"], state=SubscriberState.UNSUBSCRIBED)
            # Seven o'clock: the digests are due, but for the deferred one, which comes an hour later.
            clock.forward(hours=2, minutes=45)
            enqueue("deliver")
            wait_until(lambda: press.states(1)["in_doubt"] == 1, 60)
            wait_until(lambda: press.states(1)["failed"] == 1, 60)
            clock.forward(hours=1)
            enqueue("deliver")
            wait_until(lambda: press.edition(1).state is EditionState.CLOSED, 60)
            box.add(bounce_of(press, settings, ids["bounced"]))
            enqueue("bounces")
            wait_until(lambda: press.states(1)["bounced"] == 1, 60)
            enqueue("report_day")
            wait_until(lambda: "operator@paperboy.example" in smtp_sink.recipients(), 60)
            # After the deadline of the day.
            clock.forward(hours=8)
            enqueue("open_editions")
            enqueue("sweep")
            wait_until(lambda: has_ended(log_file, "paperboy.sweep", 1), 60)
            wait_until(lambda: has_ended(log_file, "paperboy.open_editions", 2), 60)
    states = press.states(1)
    assert {"sent", "bounced", "failed", "in_doubt"} <= states.keys(), states
    assert (states["skipped: empty"], states["skipped: unsubscribed"]) == (1, 1)
    lines = read_lines(log_file)
    assert_log_equals_rows(lines, press.sessions)
    assert_no_secret(log_file, secrets=(SECRET_KEY,))
    assert all("task_id" in line for line in lines if line["logger"].startswith("service."))
    assert named(lines, "worker.stopping", signal="SIGTERM")


def add_readers(press: Press) -> list[int]:
    *some, nothing = [f"{name}@example.org" for name in READERS]
    return [*press.add_subscribers(*some), *press.add_subscribers(nothing, topics=("xylophones",))]


def is_frozen(press: Press) -> bool:
    with press.sessions() as session:
        edition = session.get(Edition, 1)
        return edition is not None and edition.state is EditionState.FROZEN


def bounce_of(press: Press, settings: Settings, subscriber_id: int) -> bytes:
    (row,) = [row for row in press.rows(1) if row.subscriber_id == subscriber_id]
    assert row.kind is DeliveryKind.DIGEST
    theirs = settings.model_copy(update={"secret_key": (SECRET_KEY,)})
    path = make_return_path(row.id, theirs.bounce_domain, theirs.secret_key[0])
    return dsn(refused("bounced@example.org"), to=str(path))


def has_ended(log_file: Path, task: str, least: int) -> bool:
    done = [
        line
        for line in read_lines(log_file)
        if line.get("task") == task and "succeeded in" in line["event"]
    ]
    return len(done) >= least
