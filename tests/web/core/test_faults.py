"""The page of an error that nobody expected: its number, its promise, and the operator's mail."""

import re
import threading
from collections.abc import Iterator

import httpx2
import pytest
from sqlalchemy import text
from support.newsletter.press import PlannedTransport, Press, plain_text
from support.web.server import serve
from support.web.site import EnqueuedTasks, Subscribers

from service.platform.database.engine import make_engine, make_sessions
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.sending.deliver import deliver
from service.web.app import create_app

OPERATOR = "operator@paperboy.example"
PROMISE = "The operator gets a mail about it"
with_operator = pytest.mark.settings(alert_to=OPERATOR)


@pytest.fixture
def failing(web: httpx2.Client, press: Press) -> httpx2.Client:
    """A site whose pages of papers fail, while its database answers."""
    with press.sessions.begin() as session:
        session.execute(text("ALTER TABLE papers RENAME TO away"))
    return web


def visit(site: httpx2.Client, path: str = "/") -> httpx2.Response:
    """Open a page on a connection of its own: uvicorn closes one after an error."""
    return httpx2.get(f"{site.base_url}{path.removeprefix('/')}", timeout=20)


def number_on(answer: httpx2.Response) -> str:
    assert answer.status_code == 500
    found = re.search(r"this number helps to find out why: ([\w-]+)", answer.text)
    assert found
    assert answer.headers["X-Request-ID"] == found[1]
    return found[1]


@with_operator
def test_the_operator_gets_the_number_that_the_visitor_sees(
    failing: httpx2.Client, press: Press, enqueued: EnqueuedTasks
) -> None:
    answer = visit(failing)
    assert PROMISE in answer.text
    assert enqueued.tasks == [("deliver_urgent",)]
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (sent,) = transport.sent
    assert sent.recipient == OPERATOR
    mail = " ".join(plain_text(sent.payload).split())
    assert f"GET / ended with ProgrammingError. Its request id is {number_on(answer)}." in mail


@with_operator
def test_a_second_failure_within_the_hour_promises_and_sends_nothing(
    failing: httpx2.Client, press: Press
) -> None:
    assert PROMISE in visit(failing).text
    press.clock.forward(minutes=59)
    again = visit(failing)
    assert number_on(again)
    assert PROMISE not in again.text
    assert len(press.rows()) == 1
    press.clock.forward(minutes=1)
    assert PROMISE in visit(failing).text
    assert len(press.rows()) == 2


@with_operator
def test_many_failures_at_once_are_one_mail(failing: httpx2.Client, press: Press) -> None:
    answers: list[httpx2.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(visit(failing))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({number_on(answer) for answer in answers}) == 8
    assert sum(PROMISE in answer.text for answer in answers) == 1
    assert len(press.rows()) == 1


@with_operator
def test_the_mail_has_the_route_and_not_the_token_of_a_link(
    web: httpx2.Client, subscribers: Subscribers, press: Press
) -> None:
    token = subscribers.token(Purpose.UNSUBSCRIBE, subscribers.add().id)
    with press.sessions.begin() as session:
        session.execute(text("ALTER TABLE subscribers RENAME TO away"))
    assert PROMISE in web.post(f"/unsubscribe/{token}").text
    (alert,) = [row.alert for row in press.rows() if row.alert]
    assert alert["detail"].startswith("POST /unsubscribe/{token} ended with")


def test_without_an_operators_address_the_page_promises_nothing(
    failing: httpx2.Client, press: Press
) -> None:
    answer = visit(failing)
    assert number_on(answer)
    assert "operator" not in answer.text.split("<main")[1].split("</main>")[0]
    assert press.rows() == []


@pytest.fixture
def broken(settings: Settings, press: Press, enqueued: EnqueuedTasks) -> Iterator[httpx2.Client]:
    """A site whose database is away."""
    engine = make_engine("postgresql://nobody@127.0.0.1:1/nothing")
    app = create_app(settings, make_sessions(engine), enqueue=enqueued, clock=press.clock)
    with serve(app) as address, httpx2.Client(base_url=address, timeout=20) as client:
        yield client
    engine.dispose()


@with_operator
def test_a_broken_database_promises_nothing(broken: httpx2.Client, enqueued: EnqueuedTasks) -> None:
    answer = visit(broken)
    assert number_on(answer)
    assert PROMISE not in answer.text
    assert enqueued.tasks == []


@pytest.mark.parametrize("given", ["short", "x" * 65, "a b c d e f g h", "<script>alert(1)"])
def test_an_id_that_no_proxy_would_give_is_replaced(web: httpx2.Client, given: str) -> None:
    answer = web.get("/healthz", headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-ID"])
    kept = web.get("/healthz", headers={"X-Request-ID": "0f3c-9a1b_77"})
    assert kept.headers["X-Request-ID"] == "0f3c-9a1b_77"
