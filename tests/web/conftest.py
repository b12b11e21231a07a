"""The web site of a test: a real server, a real database, and a clock under the test's control."""

import threading
from collections.abc import Iterator

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.press import Press, Turnable
from support.web.rendering import watch_rendering
from support.web.server import serve
from support.web.site import EnqueuedTasks, Subscribers, settling_tasks

from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.web.app import create_app


@pytest.fixture(autouse=True)
def _no_template_reaches_the_database(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test whose page queries the database while rendering a template."""
    if "engine" not in request.fixturenames:
        yield
        return
    engine = request.getfixturevalue("engine")
    with watch_rendering(engine, but=threading.current_thread()) as watch:
        yield
    assert watch.faults == []


@pytest.fixture
def clock(press: Press) -> Turnable:
    return press.clock


@pytest.fixture
def enqueued(engine: Engine, settings: Settings, clock: Turnable) -> EnqueuedTasks:
    return settling_tasks(engine, settings, clock)


@pytest.fixture
def app(settings: Settings, engine: Engine, clock: Turnable, enqueued: EnqueuedTasks) -> FastAPI:
    return create_app(settings, make_sessions(engine), enqueue=enqueued, clock=clock)


@pytest.fixture
def web(app: FastAPI) -> Iterator[httpx2.Client]:
    with serve(app) as address, httpx2.Client(base_url=address, timeout=20) as client:
        yield client


@pytest.fixture
def subscribers(session: Session, settings: Settings, clock: Turnable) -> Subscribers:
    return Subscribers(session, settings, clock)
