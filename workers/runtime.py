"""What tasks work with: settings, connections, templates, the relay's connections."""

from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.editions.edition_cache import EditionCache
from service.editions.publish import SCHEDULED, Opening
from service.messages.identity import make_sending_renderer, signer_of
from service.papers.sources.arxiv_api import ArxivApi
from service.papers.sources.arxiv_oai import ArxivOai
from service.papers.sources.base import Source
from service.papers.sources.registry import build_api, build_oai, build_sources
from service.papers.store.crawl_gate import SharedRateLimiter
from service.platform.clock import process_clock
from service.platform.database.engine import WORKER_SECONDS, make_engine, make_sessions
from service.platform.queue import Enqueue, make_enqueue
from service.platform.settings.settings import Settings
from service.sending.demo_guard import DemoDatabase, refuse_demo
from service.sending.sender import Clock, Sender
from service.sending.smtp.rate_limit import open_rate
from service.sending.smtp.transport import SmtpTransport


@dataclass(frozen=True, slots=True)
class Runtime:
    """`clock` gives aware UTC; `opening` says how editions are opened."""

    settings: Settings
    sessions: sessionmaker[Session]
    sources: tuple[Source, ...]
    oai: ArxivOai | None
    api: ArxivApi | None
    sender: Sender
    enqueue: Enqueue
    editions: EditionCache
    clock: Clock
    opening: Opening = SCHEDULED


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
    # A key that went away since the settings were checked must end the worker, not each mail.
    signer_of(here)
    engine = make_engine(here.database_url, most_seconds=WORKER_SECONDS)
    sessions, gate = make_sessions(engine), SharedRateLimiter(engine)
    clock = process_clock()
    transport = SmtpTransport(here.relays, connections=here.send_connections, rate=open_rate(here))
    return Runtime(
        settings=here,
        sessions=sessions,
        sources=build_sources(here, gate),
        oai=build_oai(here, gate),
        api=build_api(here, gate),
        sender=Sender(sessions, here, make_sending_renderer(here), transport, clock),
        enqueue=make_enqueue(here.queue_url),
        editions=EditionCache(),
        clock=clock,
    )
