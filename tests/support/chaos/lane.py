"""A lane: the servers, the template database and the web site that consecutive seeds share.

Workers are forked from a process that has imported everything, so that each starts in 50 ms.
"""

import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from fastapi import FastAPI
from sqlalchemy import Engine, text

from service.deliveries.domain.recipients import Cadence
from service.platform.database.engine import make_engine, make_sessions
from service.platform.settings.settings import Settings
from service.subscribers.domain.sign_up import Preferences, ValidSignUp
from service.subscribers.store.insert_subscribers import insert_subscribers
from service.topics.domain.language import canonical, parse_query
from service.web.app import create_app
from support.chaos.orders import WATCH
from support.rules import ROOT
from support.servers.databases import TestServers, clone_database
from support.servers.processes import SECRET_KEY
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers

# Half past three in New York: the day's batches are in.
START = datetime(2026, 9, 17, 7, 30, tzinfo=UTC)
MOST_SUBSCRIBERS = 60
LEASE_SECONDS = 900
_TOPICS = ("cat:cs.CL", "alpha", "beta OR gamma", "parsing -delta")
_TITLES = {
    THURSDAY: ("Alpha parsing", "Beta parsing", "Gamma parsing", "Delta tagging"),
    FRIDAY: ("Alpha again", "Beta and gamma parsing", "Epsilon"),
    # Only a service that was down sends these.
    FRIDAY + timedelta(days=3): ("Alpha on Monday", "Zeta"),
    FRIDAY + timedelta(days=4): ("Gamma on Tuesday", "Eta parsing"),
}
_forking = threading.Lock()


def email_of(number: int) -> str:
    return f"reader{number:02}@example.org"


def takes_everything(email: str) -> bool:
    """Return whether all papers match the topic of a subscriber."""
    number = int(email.removeprefix("reader").partition("@")[0])
    return _topic_of(number) == "cat:cs.CL"


def _topic_of(number: int) -> str:
    # Some topics match nothing.
    return "zebra" if number % 11 == 10 else _TOPICS[number % len(_TOPICS)]


@dataclass(frozen=True)
class Lane:
    """Runs seeds one after the other on shared servers; each gets its own database.

    Setting `ended` stops the running seed.
    """

    servers: TestServers
    template: str
    redis_url: str
    name: str
    home: Path
    ended: threading.Event = field(default_factory=threading.Event)

    @cached_property
    def processes(self) -> ForkServerContext:
        """The fork server. It needs running servers while it imports the workers."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["support.chaos.worker"])
        return context

    def fork(self, run: Callable[..., None], *args: object) -> BaseProcess:
        """Start `run` in a new process, and return the process.

        The child would import this program's main module (pytest, a bench) first, which takes
        longer than all the rest and is not needed; so `__main__` is an empty module meanwhile.
        """
        process = self.processes.Process(target=run, args=args, daemon=True)
        with _forking:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                process.start()
            finally:
                sys.modules["__main__"] = main
        return process

    def settings(self, database_url: str, home: Path) -> Settings:
        """Return a seed's settings, with a data directory of its own in `home`."""
        return Settings(
            data_dir=home / "data",
            database_url=database_url,
            redis_url=self.redis_url,
            smtp_url=("smtp://127.0.0.1:9?starttls=off",),
            secret_key=(SECRET_KEY,),
            mail_from="Paperboy <digest@paperboy.example>",
            bounce_domain="bounces.paperboy.example",
            sources=("arxiv",),
            arxiv_categories=("cs.CL",),
            lease_seconds=LEASE_SECONDS,
            embedder="none",
        )

    @cached_property
    def site(self) -> FastAPI:
        """The web site; each seed puts its own database and clock into it."""
        settings = self.settings(self.servers.database_url, self.home)
        engine = make_engine(self.servers.database_url)
        return create_app(
            settings, make_sessions(engine), enqueue=lambda *_: None, clock=lambda: START
        )


@contextmanager
def open_lane(servers: TestServers, template: str, redis_url: str, name: str) -> Iterator[Lane]:
    """Yield a lane with its template: a migrated database with subscribers, papers of two days and
    the triggers of `WATCH`.
    """
    with ExitStack() as stack:
        url = stack.enter_context(clone_database(servers, template, f"lane_{name}"))
        home = Path(tempfile.mkdtemp(prefix="paperboy-chaos-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        engine = make_engine(url)
        _fill(engine)
        engine.dispose()
        yield Lane(servers, urlsplit(url).path.lstrip("/"), redis_url, name, home)


@contextmanager
def fork_environment(servers: TestServers) -> Iterator[None]:
    """Set the environment that the fork server inherits: its import path, and running servers.

    A process has one fork server, so this is opened once, around all lanes.
    """
    ours = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "PAPERBOY_DATABASE_URL": servers.database_url,
        "PAPERBOY_REDIS_URL": servers.redis_url,
        "PAPERBOY_SECRET_KEY": SECRET_KEY,
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _fill(engine: Engine) -> None:
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        session.execute(text(WATCH))
        for number in range(MOST_SUBSCRIBERS):
            topic = _topic_of(number)
            # Some subscribers belong to another cadence's edition.
            cadence = Cadence.WEEKDAYS if number % 7 == 6 else Cadence.DAILY
            email, written = email_of(number), ((topic, canonical(parse_query(topic))),)
            chosen = Preferences(cadence, 7, "UTC", topics=written)
            new = ValidSignUp(email, email, chosen)
            insert_subscribers(session, [new], START - timedelta(days=9), is_confirmed=True)
        # Their digests are due as soon as an edition is open, so that a seed is a day and not two.
        session.execute(text("UPDATE subscribers SET timing = 'when_complete'"))
    number = 0
    for on, titles in _TITLES.items():
        announcements = [make_announcement(number := number + 1, title) for title in titles]
        with sessions() as session:
            store_papers(session, announcements, on)
