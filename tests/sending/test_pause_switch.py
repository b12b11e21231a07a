"""All sending is paused by a row in the database; real workers obey it within five seconds."""

import time
from datetime import datetime

import pytest
import redis
from support.newsletter.press import PlannedTransport, Press
from support.servers.processes import run_command, running_worker, settings_environ
from support.smtp.smtp_sink import SmtpSink, wait_until

from service.deliveries.domain.states import DeliveryState
from service.operations.metrics import measure
from service.operations.monitoring import find_troubles
from service.papers.domain.announcement_days import announcement_date
from service.platform.clock import system_clock
from service.platform.database.engine import transaction
from service.platform.queue import TASK_QUEUES, make_enqueue
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver
from service.sending.pause_switch import Pause, find_pause, pause_sending, resume_sending

COUNT = 120


def pause_of(press: Press) -> Pause | None:
    with transaction(press.sessions) as session:
        return find_pause(session)


def test_a_pause_begins_once_and_ends_once(press: Press) -> None:
    assert pause_of(press) is None
    began = press.clock()
    assert pause_sending(press.sessions, "operator ada", began)
    press.clock.forward(minutes=5)
    assert not pause_sending(press.sessions, "operator bob", press.clock())
    assert pause_of(press) == Pause(began, "operator ada")
    assert resume_sending(press.sessions, "operator bob", press.clock())
    assert not resume_sending(press.sessions, "operator bob", press.clock())
    assert pause_of(press) is None
    assert pause_sending(press.sessions, "operator ada", press.clock())


def test_a_paused_sender_claims_nothing_until_sending_is_resumed(press: Press) -> None:
    press.add_subscribers("anne@example.org")
    press.add_papers(1)
    edition_id = press.publish()
    pause_sending(press.sessions, "operator", press.clock())
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).total == 0
    assert (transport.sent, press.states(edition_id)) == ([], {"queued": 1})
    assert measure(press.sessions, press.settings, press.clock()).pause is not None
    resume_sending(press.sessions, "operator", press.clock())
    assert deliver(press.sender(transport)).sent == 1


def test_mail_that_waits_for_a_pause_is_no_problem_to_report(press: Press) -> None:
    press.add_subscribers("anne@example.org")
    press.add_papers(1)
    press.publish()
    press.clock.forward(hours=3)

    def subjects() -> list[str]:
        with transaction(press.sessions) as session:
            found = find_troubles(session, press.settings, press.clock())
            return [problem.alert.subject for problem in found]

    assert "1 mail not sent in time" in subjects()
    pause_sending(press.sessions, "operator", press.clock())
    assert "1 mail not sent in time" not in subjects()


def is_idle(settings: Settings) -> bool:
    """Whether the worker has taken and ended every task."""
    with redis.Redis.from_url(settings.redis_url) as broker:
        queued = broker.llen(TASK_QUEUES["paperboy.deliver"])
        return not queued and not broker.hlen("unacked")


class TestWorker:
    """A real worker with a queue of mails, whose relay takes its time."""

    @pytest.fixture
    def now(self) -> datetime:
        return system_clock()

    @pytest.mark.timeout(150)
    @pytest.mark.parametrize("rate", ["", "4"], ids=["no rate", "4 a second"])
    def test_a_worker_stops_within_five_seconds_and_loses_nothing(
        self, press: Press, settings: Settings, smtp_sink: SmtpSink, rate: str
    ) -> None:
        press.add_subscribers(*(f"reader{n:03}@example.org" for n in range(COUNT)), hour=0)
        today = announcement_date(press.clock())
        press.add_papers(1, 2, on=today)
        edition_id = press.publish(today)
        smtp_sink.delay_seconds = 0.3
        environ = settings_environ(settings, SEND_CONNECTIONS="2", SEND_RATE=rate)
        with running_worker(environ):
            make_enqueue(settings.queue_url)("deliver")
            smtp_sink.wait_for(4, seconds=60)
            run_command(environ, "pause")
            obeyed_by = time.monotonic() + 5
            unsettled = {DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT}
            wait_until(lambda: not unsettled & press.states(edition_id).keys(), 5)
            assert time.monotonic() < obeyed_by
            sent = len(smtp_sink.messages)
            assert 4 <= sent < COUNT
            # Everything that arrived is recorded, nothing is in doubt, and the rest is queued.
            assert press.states(edition_id) == {"sent": sent, "queued": COUNT - sent}
            smtp_sink.delay_seconds = 0.0
            make_enqueue(settings.queue_url)("deliver")
            wait_until(lambda: is_idle(settings), 30)
            assert len(smtp_sink.messages) == sent
            assert press.balance(edition_id).closes
            run_command(settings_environ(settings), "resume")
            # Those withdrawn at the pause, most of a window, wait for nothing either.
            smtp_sink.wait_for(COUNT, seconds=60)
        assert len(set(smtp_sink.recipients())) == len(smtp_sink.recipients())
