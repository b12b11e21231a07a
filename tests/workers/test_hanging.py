"""A real worker whose relay takes messages and does not answer, and which is asked to end."""

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from support.newsletter.press import PlannedTransport, Press, await_end_of_senders
from support.servers.processes import settings_environ, start_worker
from support.smtp.holding import Hold, first
from support.smtp.scripted_smtp import ScriptedSmtp
from support.smtp.smtp_sink import wait_until

from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import insert_mail
from service.papers.domain.announcement_days import announcement_date
from service.platform.clock import system_clock
from service.platform.queue import make_enqueue
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver, sweep

Worker = subprocess.Popen[str]


@pytest.fixture
def now() -> datetime:
    """Return the real time, since the worker has the real clock."""
    return system_clock()


@pytest.fixture
def environ(settings: Settings, relay: ScriptedSmtp) -> dict[str, str]:
    url = f"smtp://127.0.0.1:{relay.port}?starttls=off"
    return settings_environ(settings, SMTP_URL=url, SEND_CONNECTIONS="2", SEND_WINDOW="4")


@contextmanager
def delivering(settings: Settings, environ: dict[str, str], pool: str) -> Iterator[Worker]:
    """Run a worker with one process that delivers."""
    with start_worker(environ, pool) as worker:
        try:
            make_enqueue(settings.queue_url)("deliver")
            yield worker
        finally:
            worker.kill()


def publish(press: Press, count: int) -> int:
    press.add_subscribers(*(f"reader{n:03}@example.org" for n in range(count)), hour=0)
    today = announcement_date(press.clock())
    press.add_papers(1, on=today)
    return press.publish(today)


def copies(relay: ScriptedSmtp) -> Counter[str]:
    return Counter(mail.recipient for mail in relay.taken)


@pytest.mark.timeout(180)
def test_two_hanging_messages_on_two_connections_stop_no_other_mail(
    press: Press, settings: Settings, relay: ScriptedSmtp, environ: dict[str, str]
) -> None:
    edition_id = publish(press, 30)
    relay.answers["DOT"] = hold = first(2)
    with hold, delivering(settings, environ, "solo"):
        wait_until(lambda: press.states(edition_id) == {"sent": 28, "in_flight": 2}, 60)
        # The worker has ended its task: it serves the next one, of a new reader.
        (anne,) = press.add_subscribers("anne@example.org")
        with press.sessions.begin() as session:
            until = press.clock() + timedelta(hours=24)
            insert_mail(session, DeliveryKind.WELCOME, anne, "1", press.clock(), until)
        make_enqueue(settings.queue_url)("deliver_urgent")
        wait_until(lambda: copies(relay)["anne@example.org"] == 1, 60)
        assert press.states(edition_id) == {"sent": 28, "in_flight": 2}
        hold.released.set()
        wait_until(lambda: press.states(edition_id) == {"sent": 30}, 30)
    assert max(copies(relay).values()) == 1


@pytest.mark.timeout(180)
@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_a_worker_that_is_asked_to_end_claims_nothing_more_and_records_what_it_sent(
    press: Press, settings: Settings, relay: ScriptedSmtp, environ: dict[str, str], pool: str
) -> None:
    edition_id = publish(press, 200)

    def think(_: int) -> None:
        time.sleep(0.2)

    relay.answers["DOT"] = think
    with delivering(settings, environ, pool) as worker:
        wait_until(lambda: len(relay.taken) >= 6, 60)
        worker.terminate()
        worker.communicate(timeout=60)
    sent = len(relay.taken)
    # All of them would take twenty seconds. Those of a second are ten.
    assert 6 <= sent < 60
    # What was on a connection and not sent returns to the queue as well, for two minutes.
    assert press.states(edition_id) == {"sent": sent, "queued": 200 - sent}
    assert max(copies(relay).values()) == 1


@pytest.mark.timeout(180)
@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_a_worker_that_ends_records_what_hangs(
    press: Press, settings: Settings, relay: ScriptedSmtp, environ: dict[str, str], pool: str
) -> None:
    edition_id = publish(press, 5)
    relay.answers["DOT"] = hold = first(1)
    with hold, delivering(settings, environ, pool) as worker:
        wait_until(lambda: press.states(edition_id) == {"sent": 4, "in_flight": 1}, 60)
        worker.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(5)
        hold.released.set()
        worker.communicate(timeout=60)
    assert press.states(edition_id) == {"sent": 5}


@pytest.mark.timeout(180)
def test_what_hangs_is_in_doubt_once_its_process_is_killed_and_is_never_sent_twice(
    press: Press, settings: Settings, relay: ScriptedSmtp, environ: dict[str, str]
) -> None:
    edition_id = publish(press, 12)
    relay.answers["DOT"] = hold = Hold(lambda number: number % 2 == 0)
    with hold:
        with delivering(settings, environ, "solo") as worker:
            # More than the window.
            wait_until(lambda: press.states(edition_id)["in_flight"] >= 6, 60)
            wait_until(lambda: press.states(edition_id)["sent"] == 6, 60)
            assert sweep(press.sessions, system_clock()) == (0, 0)
            worker.kill()
            worker.communicate()
        await_end_of_senders(press.sessions)
        assert sweep(press.sessions, system_clock()) == (0, 6)
    assert press.states(edition_id) == {"sent": 6, "in_doubt": 6}
    assert deliver(press.sender(PlannedTransport())).total == 0
    assert len(copies(relay)) == 12
    assert max(copies(relay).values()) == 1
    assert press.balance(edition_id).closes
