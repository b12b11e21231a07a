"""RabbitMQ as the broker (BROKER_URL), beside Redis for limits: a real one, and one that is away."""

from datetime import datetime

import pytest
from structlog.testing import capture_logs
from support.newsletter.examined import ask
from support.newsletter.press import Press
from support.servers.processes import running_worker, settings_environ
from support.smtp.smtp_sink import SmtpSink, wait_until

from service.deliveries.domain.recipients import Timing
from service.editions.domain.states import EditionState
from service.papers.domain.announcement_days import announcement_date
from service.platform.clock import system_clock
from service.platform.queue import make_enqueue
from service.platform.settings.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.program("rabbitmq-server")]


@pytest.fixture
def now() -> datetime:
    """Return the real time, since the worker has the real clock."""
    return system_clock()


def test_an_edition_is_opened_composed_and_delivered(
    press: Press, settings: Settings, smtp_sink: SmtpSink, amqp_url: str
) -> None:
    press.add_subscribers("a@example.org", "b@example.org", timing=Timing.WHEN_COMPLETE)
    press.add_papers(1, 2, on=announcement_date(press.clock()))
    here = settings.model_copy(update={"broker_url": amqp_url})
    with running_worker(settings_environ(here, BROKER_URL=amqp_url)):
        make_enqueue(here.queue_url)("open_editions")
        smtp_sink.wait_for(2, seconds=60)
        wait_until(lambda: press.edition(1).state is EditionState.CLOSED, 20)
    assert press.balance(1).closes


@pytest.mark.parametrize(
    ("change", "reason"),
    [(("guest:guest", "guest:wrong"), "ACCESS_REFUSED"), (("//", "/nowhere"), "NOT_ALLOWED")],
)
def test_a_refusal_is_a_finding_and_a_log_line_and_no_error(
    press: Press, amqp_url: str, change: tuple[str, str], reason: str
) -> None:
    head, tail = amqp_url[:7], amqp_url[7:]
    url = head + tail.replace(*change)
    with capture_logs() as logged:
        make_enqueue(url)("deliver")
    assert [line["event"] for line in logged] == ["enqueue.failed"]
    found = ask(press, broker_url=url)
    assert (found["broker"].state, found["redis"].state) == ("bad", "good")
    assert reason in found["broker"].detail
    assert "BROKER_URL" in found["broker"].hint
    assert ask(press, broker_url=amqp_url)["broker"].state == "good"
