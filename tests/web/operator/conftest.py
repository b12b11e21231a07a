"""The operator at a browser, and a subscriber."""

from collections.abc import Iterator

import httpx2
import pytest
from sqlalchemy import Engine
from support.newsletter.press import Press
from support.web.operator import PASSWORD
from support.web.server import serve
from support.web.site import EnqueuedTasks

from service.platform.database.engine import make_sessions
from service.web.app import create_app


@pytest.fixture
def enqueued() -> EnqueuedTasks:
    return EnqueuedTasks()


@pytest.fixture
def operator(press: Press, engine: Engine, enqueued: EnqueuedTasks) -> Iterator[httpx2.Client]:
    app = create_app(press.settings, make_sessions(engine), enqueue=enqueued, clock=press.clock)
    with (
        serve(app) as address,
        httpx2.Client(
            base_url=address, auth=("ada", PASSWORD), timeout=20, follow_redirects=True
        ) as client,
    ):
        yield client


@pytest.fixture
def anne(press: Press) -> int:
    (number,) = press.add_subscribers("anne@example.org", topics=("graph tree",))
    return number
