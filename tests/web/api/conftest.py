"""The API of a test's own site, with a reader's key and the operator's."""

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.api import ADMISSION, ApiReader, add_reader, bearer
from support.web.site import EnqueuedTasks, Subscribers

from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.web.app import create_app


@pytest.fixture
def app(settings: Settings, engine: Engine, clock: Turnable, enqueued: EnqueuedTasks) -> FastAPI:
    here = settings.model_copy(update={"api_key": ADMISSION})
    return create_app(here, make_sessions(engine), enqueue=enqueued, clock=clock)


@pytest.fixture
def reader(session: Session, engine: Engine, subscribers: Subscribers) -> ApiReader:
    return add_reader(session, engine, subscribers)


@pytest.fixture
def operator(web: httpx2.Client) -> httpx2.Client:
    web.headers.update(bearer(ADMISSION))
    return web
