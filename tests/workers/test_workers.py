"""A real Celery worker on real Valkey: wake-up tasks are hints, rows are the truth."""

import ast
import json
import subprocess
import sys
from datetime import datetime
from mailbox import Maildir
from pathlib import Path

import pytest
import redis
from kombu.connection import Connection
from sqlalchemy import update
from support.mail.bounce_mails import dsn
from support.newsletter.press import PlannedTransport, Press
from support.rules import ROOT
from support.servers.processes import SECRET_KEY, running_worker, settings_environ
from support.smtp.smtp_sink import SmtpSink, wait_until

from service.cli.processes import Stack
from service.deliveries.domain.recipients import Timing
from service.deliveries.domain.return_path import make_return_path
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery
from service.editions.domain.states import EditionState
from service.papers.domain.announcement_days import announcement_date
from service.platform.clock import system_clock
from service.platform.queue import TASK_QUEUES, WORKER_QUEUES, make_enqueue
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver


@pytest.fixture
def now() -> datetime:
    """Return the real time, since the worker has the real clock."""
    return system_clock()


def addresses(count: int) -> list[str]:
    return [f"reader{n:02}@example.org" for n in range(count)]


def edition_of_today(press: Press, count: int) -> int:
    press.add_subscribers(*addresses(count), timing=Timing.WHEN_COMPLETE)
    today = announcement_date(press.clock())
    press.add_papers(1, 2, on=today)
    return press.publish(today)


def test_a_woken_worker_opens_composes_and_delivers(
    press: Press, settings: Settings, smtp_sink: SmtpSink
) -> None:
    press.add_subscribers(*addresses(5), timing=Timing.WHEN_COMPLETE)
    press.add_papers(1, 2, on=announcement_date(press.clock()))
    enqueue = make_enqueue(settings.queue_url)
    with running_worker(settings_environ(settings)):
        enqueue("open_editions")
        smtp_sink.wait_for(5, seconds=40)
        # A doubled message has nothing left to do.
        enqueue("open_editions")
        enqueue("deliver")
        wait_until(lambda: press.edition(1).state is EditionState.CLOSED, 20)
    assert sorted(smtp_sink.recipients()) == addresses(5)
    assert press.states(1) == {"sent": 5}
    assert press.balance(1).closes


def flush_queue(settings: Settings) -> int:
    """Make Redis, and the broker if that is another, forget everything; return how many `deliver` that were."""
    with Connection(settings.queue_url) as connection:  # type: ignore[no-untyped-call]  # no annotations
        count = connection.default_channel.queue_purge(TASK_QUEUES["paperboy.deliver"])
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()
    return int(count)


def test_a_flushed_broker_loses_nothing(
    press: Press, settings: Settings, smtp_sink: SmtpSink
) -> None:
    edition_id = edition_of_today(press, 40)
    smtp_sink.delay_seconds = 0.02
    enqueue = make_enqueue(settings.queue_url)
    enqueue("deliver")
    assert flush_queue(settings) == 1
    assert flush_queue(settings) == 0
    environ = settings_environ(settings, SEND_WINDOW="4", SEND_CONNECTIONS="2")
    with running_worker(environ):
        enqueue("deliver")
        smtp_sink.wait_for(3, seconds=40)
        # In the middle of the edition: the task under way is forgotten by the broker.
        flush_queue(settings)
        enqueue("deliver")
        smtp_sink.wait_for(40, seconds=40)
        wait_until(lambda: press.states(edition_id) == {"sent": 40}, 20)
    assert sorted(smtp_sink.recipients()) == addresses(40)
    assert press.balance(edition_id).closes


def test_one_wake_up_task_sets_every_process_to_an_edition(
    press: Press, settings: Settings, smtp_sink: SmtpSink
) -> None:
    edition_id = edition_of_today(press, 200)
    smtp_sink.delay_seconds = 0.05
    environ = settings_environ(settings, SEND_WINDOW="4", SEND_CONNECTIONS="1")
    # Without beat, which would wake the other process half a minute later.
    with Stack(settings, {}, stop_seconds=5, environ=environ) as stack:
        stack.start("worker-send")
        make_enqueue(settings.queue_url)("deliver")
        wait_until(lambda: press.states(edition_id) == {"sent": 200}, 120)
    # One of each process.
    assert smtp_sink.connection_count == 2
    assert sorted(smtp_sink.recipients()) == sorted(addresses(200))


def test_a_swept_row_is_enqueued_and_sent(
    press: Press, settings: Settings, smtp_sink: SmtpSink
) -> None:
    edition_id = edition_of_today(press, 1)
    with press.sessions.begin() as session:
        # What a sender that died after its claim leaves behind.
        session.execute(
            update(Delivery).values(
                state=DeliveryState.CLAIMED, attempt=1, lease_owner=4711, lease_until=None
            )
        )
    with running_worker(settings_environ(settings)):
        make_enqueue(settings.queue_url)("sweep")
        smtp_sink.wait_for(1, seconds=40)
        wait_until(lambda: press.states(edition_id) == {"sent": 1}, 20)


def test_beat_enqueues_only_tasks_that_exist_in_queues_that_are_served(settings: Settings) -> None:
    program = (
        "import json; from workers.app import app, BEAT; from workers.tasks import import_tasks;"
        "import_tasks(route['queue'] for route in app.conf.task_routes.values());"
        "print(json.dumps([BEAT, sorted(t for t in app.tasks if not t.startswith('celery.')),"
        "app.conf.task_routes, app.conf.beat_schedule,"
        "{name: task.time_limit for name, task in app.tasks.items()}]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=settings_environ(settings), capture_output=True, text=True, check=True,
    )  # fmt: skip
    beat, tasks, routes, schedule, limits = json.loads(result.stdout)
    assert tasks == sorted(TASK_QUEUES)
    assert routes == {name: {"queue": queue} for name, queue in TASK_QUEUES.items()}
    assert set(TASK_QUEUES.values()) == {
        queue for queues in WORKER_QUEUES.values() for queue in queues.split(",")
    }
    assert schedule.keys() == beat.keys()
    for task, arguments, seconds in beat.values():
        assert task in tasks
        assert all(isinstance(one, str | int) for one in arguments)
        assert seconds >= 30
    # No message expires while the longest task of its queue may still be ahead of it.
    longest = {
        queue: max(limits[t] for t in tasks if TASK_QUEUES[t] == queue)
        for queue in TASK_QUEUES.values()
    }
    for one in schedule.values():
        assert one["options"]["expires"] >= max(one["schedule"], longest[TASK_QUEUES[one["task"]]])
    # The work of a lost wake-up task is found within about a minute.
    frequent = {task for task, _, seconds in beat.values() if seconds <= 60}
    sending = {"paperboy.deliver", "paperboy.deliver_urgent"}
    assert sending | {"paperboy.sweep", "paperboy.open_editions"} <= frequent


def task_functions() -> dict[str, dict[str, ast.FunctionDef]]:
    """Return the tasks by the queue that their module is named for."""
    return {
        file.stem: {
            node.name: node
            for node in ast.parse(file.read_text()).body
            if isinstance(node, ast.FunctionDef)
        }
        for file in (ROOT / "workers" / "tasks").glob("[!_]*.py")
    }


def test_every_task_is_in_the_module_of_its_queue_and_a_dozen_lines_at_the_most() -> None:
    tasks = task_functions()
    assert {
        f"paperboy.{name}": f"paperboy.{queue}" for queue, own in tasks.items() for name in own
    } == TASK_QUEUES
    lengths = {
        name: (one.end_lineno or 0) - one.lineno + 1
        for own in tasks.values()
        for name, one in own.items()
    }
    assert {name: length for name, length in lengths.items() if length > 12} == {}


def test_every_task_takes_ids_and_nothing_else() -> None:
    for one in (one for own in task_functions().values() for one in own.values()):
        kinds = [
            ast.unparse(argument.annotation or ast.Constant("?")) for argument in one.args.args
        ]
        assert set(kinds) <= {"int", "str"}, one.name
        assert [one.args.vararg, one.args.kwarg, *one.args.kwonlyargs] == [None, None], one.name
        assert ast.unparse(one.returns or ast.Constant("?")) == "None", one.name


def test_a_woken_worker_reads_the_bounce_mailbox(
    press: Press, settings: Settings, tmp_path: Path
) -> None:
    press.add_subscribers("reader@example.org", timing=Timing.WHEN_COMPLETE)
    press.add_papers(1, on=announcement_date(press.clock()))
    press.publish(announcement_date(press.clock()))
    deliver(press.sender(PlannedTransport()))
    # The worker has a key of its own, as every process of one installation has the same.
    theirs = settings.model_copy(update={"secret_key": (SECRET_KEY,)})
    path = make_return_path(press.row().id, theirs.bounce_domain, theirs.secret_key[0])
    Maildir(tmp_path / "box", create=True).add(dsn(to=str(path)))
    changes = {"BOUNCE_DOMAIN": settings.bounce_domain, "BOUNCE_MAILBOX": f"maildir:{tmp_path}/box"}
    enqueue = make_enqueue(settings.queue_url)
    with running_worker(settings_environ(settings, **changes)):
        enqueue("bounces")
        wait_until(lambda: press.row().state is DeliveryState.BOUNCED, 40)
        enqueue("bounces")
    assert len(list((tmp_path / "box/cur").iterdir())) == 1
