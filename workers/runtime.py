"""What tasks work with: settings, connections, and what only some of them need, opened at first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.platform.clock import process_clock
from service.platform.database.engine import WORKER_SECONDS, make_engine, make_sessions
from service.platform.queue import Enqueue, make_enqueue
from service.platform.settings.settings import Settings
from service.sending.demo_guard import DemoDatabase, refuse_demo

if TYPE_CHECKING:
    # What these import is for the workers of some queues only (`workers.tasks`).
    from service.editions.edition_cache import EditionCache
    from service.editions.publish import Opening
    from service.sending.sender import Clock, Sender
    from workers.sources import OpenSources


@dataclass(frozen=True)
class Runtime:
    """`clock` gives aware UTC; `opening` says how editions are opened, by default as scheduled.

    A process that never sends has no templates in memory, and one that never fetches no certificates.
    """

    settings: Settings
    sessions: sessionmaker[Session]
    enqueue: Enqueue
    clock: Clock
    open_sender: Callable[[], Sender]
    open_sources: Callable[[], OpenSources]
    opening: Opening | None = None

    @cached_property
    def sender(self) -> Sender:
        """The templates and the relay's connections."""
        return self.open_sender()

    @property
    def opened_sender(self) -> Sender | None:
        """The sender, if this process has sent."""
        return self.__dict__.get("sender")

    @cached_property
    def sources(self) -> OpenSources:
        """The clients of the sources."""
        return self.open_sources()

    @cached_property
    def editions(self) -> EditionCache:
        """The editions that this process composes."""
        from service.editions.edition_cache import EditionCache

        return EditionCache()


def refuse_demo_at_start(here: Settings) -> None:
    """End a worker that would send a demo's mails through a relay; `deliver` refuses each one."""
    engine = make_engine(here.database_url)
    try:
        refuse_demo(make_sessions(engine), here)
    except DemoDatabase as error:
        raise SystemExit(f"paperboy: {error}") from error
    except SQLAlchemyError:
        pass  # Not migrated yet, or not up; the tasks will log it.
    finally:
        engine.dispose()


def open_runtime(here: Settings) -> Runtime:
    """The runtime of this process, with connections of its own."""
    engine = make_engine(here.database_url, most_seconds=WORKER_SECONDS)
    sessions, clock = make_sessions(engine), process_clock()
    return Runtime(
        settings=here,
        sessions=sessions,
        enqueue=make_enqueue(here.queue_url),
        clock=clock,
        open_sender=partial(_open_sender, here, sessions, clock),
        open_sources=partial(_open_sources, here, engine),
    )


def _open_sender(here: Settings, sessions: sessionmaker[Session], clock: Clock) -> Sender:
    from service.messages.identity import make_sending_renderer, signer_of
    from service.sending.sender import Sender
    from service.sending.smtp.rate_limit import open_rate
    from service.sending.smtp.transport import SmtpTransport

    # A key that went away since the settings were checked must end the task, not each mail.
    signer_of(here)
    transport = SmtpTransport(here.relays, connections=here.send_connections, rate=open_rate(here))
    return Sender(sessions, here, make_sending_renderer(here), transport, clock)


def _open_sources(here: Settings, engine: Engine) -> OpenSources:
    from workers.sources import open_sources

    return open_sources(here, engine)
