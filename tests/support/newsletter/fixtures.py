"""Fixtures of one installation: its press, and the sources that it reads."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from service.platform.settings.settings import Settings
from support.newsletter.press import Press, make_press
from support.servers.dumps import Again, dump_database, restore_database
from support.servers.loopback_http import LoopbackHttp
from support.sources.provider import Provider, make_provider


@pytest.fixture
def press(settings: Settings, engine: Engine, now: datetime) -> Press:
    """Return an installation of this test's own; a marker `settings` and a fixture `now` change it."""
    return make_press(settings, engine, now)


@pytest.fixture
def provider(loopback_http: LoopbackHttp, settings: Settings, engine: Engine) -> Provider:
    return make_provider(loopback_http, settings, engine)


@pytest.fixture
def backup(press: Press, engine: Engine, database_url: str, tmp_path: Path) -> Callable[[], Again]:
    """Return a function that takes a real dump and returns a function to restore it."""

    def take() -> Again:
        dump = dump_database(database_url, tmp_path / "backup.dump")
        return lambda: restore_database(engine, database_url, dump)

    return take
