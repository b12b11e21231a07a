"""A transaction in which nothing happens is ended after two seconds; no honest page is that slow.

Processor time of the request's own thread is measured, which is the same on a busy machine.
"""

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import psycopg
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session, sessionmaker
from support.newsletter.press import Turnable
from support.servers.databases import is_waiting
from support.servers.processes import SECRET_KEY, settings_environ
from support.smtp.smtp_sink import free_port, wait_until
from support.web.papers import make_announcement, store_papers
from support.web.server import serve
from support.web.site import EnqueuedTasks, Subscribers

from service.cli.processes import Stack
from service.papers.domain.announcement_days import announcement_date
from service.platform.database.engine import (
    OPERATOR_SECONDS,
    WEB_SECONDS,
    make_engine,
    make_sessions,
)
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.similarity.embed_papers import learn_meanings
from service.web.app import create_app

PASSWORD = "larch-orbit-vellum-quince-93"
WORDS = ("graph", "agent", "retrieval", "vision", "speech", "proof", "robot", "planning")


class Idle:
    """`longest`: the most processor time between two statements, or a statement and its commit."""

    def __init__(self) -> None:
        self.longest, self.at, self.count = 0.0, "", 0
        self._since: dict[int, float] = {}

    def begin(self, *_: object) -> None:
        self._since[threading.get_ident()] = time.thread_time()

    def end(
        self, _c: object, _cursor: object = None, statement: str = "COMMIT", *_: object
    ) -> None:
        since = self._since.pop(threading.get_ident(), None)
        if since is not None:
            self.count += 1
            self.longest, self.at = max(
                (self.longest, self.at), (time.thread_time() - since, statement)
            )


@contextmanager
def watch_idle(engine: Engine) -> Iterator[Idle]:
    idle = Idle()
    listeners = (
        ("after_cursor_execute", idle.begin), ("before_cursor_execute", idle.end),
        ("commit", idle.end), ("rollback", idle.end),
    )  # fmt: skip
    for listener in listeners:
        event.listen(engine, *listener)
    gc.collect()
    gc.disable()  # A whole test run's garbage is not the page's.
    yield idle
    gc.enable()
    for listener in listeners:
        event.remove(engine, *listener)


@pytest.fixture
def limited(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, most_seconds=WEB_SECONDS)
    yield engine
    engine.dispose()


@pytest.fixture
def client(
    settings: Settings,
    limited: Engine,
    clock: Turnable,
    enqueued: EnqueuedTasks,
    sessions: sessionmaker[Session],
    session: Session,
) -> Iterator[httpx2.Client]:
    """Serve 1,500 embedded papers with different words, which are loaded as a snapshot."""
    announcements = [
        make_announcement(
            n, f"{WORDS[n % 8]} for {WORDS[n // 8 % 8]} x{n}a y{n}b", abstract=" ".join(WORDS)
        )
        for n in range(1, 1_501)
    ]
    store_papers(session, announcements, announcement_date(clock()))
    learn_meanings(sessions, settings)
    app = create_app(settings, make_sessions(limited), enqueue=enqueued, clock=clock)
    with serve(app) as address, httpx2.Client(base_url=address, timeout=120) as client:
        previews = app.state.context.previews
        previews.warm(announcement_date(clock()))
        wait_until(lambda: previews._snapshot is not None, 60)
        yield client


# Three texts and 57 phrases that nothing has; sixty words of which each finds something.
NOTHING = " ".join(
    [*(f'like:"{" ".join(WORDS)} {n}"' for n in range(3)), *(f'"{WORDS[n % 8]} mispelt{n}"' for n in range(57))]
)  # fmt: skip
MUCH = " OR ".join(WORDS[n] if n < 8 else f"x{n}a" for n in range(60))


@pytest.mark.settings(admin_password=PASSWORD)
def test_no_honest_page_computes_for_long_while_its_transaction_is_open(
    client: httpx2.Client, limited: Engine, subscribers: Subscribers
) -> None:
    number = subscribers.add("ada@example.org", "graph").id
    with watch_idle(limited) as idle:
        for path in ("/topics/preview", "/topics/preview/live", "/search", "/feeds/search.atom"):
            for text in (NOTHING, MUCH, "grpah vison speach", "graph"):
                assert client.get(path, params={"q": text}).status_code == 200
        for path in ("/", "/feeds/daily.atom"):
            assert client.get(path).status_code == 200
        form = {"email": "bob@example.org", "topic": [f"{MUCH} OR z{n}" for n in range(5)]}
        assert client.post("/subscribe", data=form).status_code == 422  # a clause too many each
        link = subscribers.token(Purpose.CHANGE, number)
        assert client.get(f"/change/{link}", params={"follow": "Grace Hopper"}).status_code == 200
    assert idle.count > 100
    # A quarter of the limit; the longest is some fiftieth of it.
    assert idle.longest < WEB_SECONDS / 4, idle.at
    edit, auth = f"/admin/subscribers/{number}/edit", ("me", PASSWORD)
    token = client.get(edit, auth=auth).text.partition('name="token" value="')[2].partition('"')[0]
    # The most that a subscriber can have: 4,000 words in 20 topics.
    large = [" ".join(f"w{n}x{topic}" for n in range(200)) for topic in range(20)]
    form = {"token": token, "topic": large, "cadence": "daily", "hour": "7", "timezone": "UTC"}
    with watch_idle(limited) as idle:
        assert client.post(edit, data=form, auth=auth).status_code == 303
        assert client.get(f"/admin/subscribers/{number}", auth=auth).status_code == 200
    assert idle.longest < OPERATOR_SECONDS / 4, idle.at


@pytest.mark.settings(secret_key=(SECRET_KEY,))
def test_a_frozen_site_gives_its_locks_back_after_two_seconds(
    settings: Settings, engine: Engine, database_url: str, subscribers: Subscribers
) -> None:
    """A process that stops in the middle of a transaction keeps no subscriber's row."""
    subscriber = subscribers.add()
    link = subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with Stack(settings, {}, environ=settings_environ(settings, BASE_URL=url)) as stack:
        stack.start("web", "--host", "127.0.0.1", "--port", str(port))
        stack.wait_for_web(url)
        visit = threading.Thread(
            target=lambda: httpx2.post(f"{url}/unsubscribe/{link}", timeout=60)
        )
        with psycopg.connect(database_url) as ours:
            ours.execute("LOCK TABLE consents")
            visit.start()
            wait_until(lambda: is_waiting(engine), 10)
            os.kill(stack.pids()["web"], signal.SIGSTOP)
        try:
            # Its statement is done now, and nothing follows it.
            with psycopg.connect(database_url, options="-c lock_timeout=6000") as other:
                other.execute("SELECT FROM subscribers WHERE id = %s FOR UPDATE", [subscriber.id])
        finally:
            os.kill(stack.pids()["web"], signal.SIGCONT)
        visit.join()
