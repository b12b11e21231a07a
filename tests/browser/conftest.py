"""One Chromium for the tests of a module, and a served site."""

from collections.abc import Iterator
from shutil import which

import pytest
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import Engine
from support.newsletter.press import Press
from support.web.server import serve
from support.web.site import EnqueuedTasks

from service.platform.database.engine import make_sessions
from service.web.app import create_app


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium has no sandbox for root, and tests in containers run as root.
        chromium = playwright.chromium.launch(
            executable_path=which("chromium")
            or which("chromium-browser")
            or which("google-chrome"),
            args=["--no-sandbox"],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def site(press: Press, engine: Engine) -> Iterator[str]:
    """The address of the site of an installation, `press`."""
    sessions = make_sessions(engine)
    app = create_app(press.settings, sessions, enqueue=EnqueuedTasks(), clock=press.clock)
    with serve(app) as address:
        yield address
