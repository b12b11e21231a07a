"""One installation in a test: its press, and the sources that it reads."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import Engine
from support.loopback_http import LoopbackHttp
from support.press import Press, make_press
from support.provider import Provider, make_provider

from service.config import Settings


@pytest.fixture
def press(settings: Settings, engine: Engine, now: datetime) -> Press:
    return make_press(settings, engine, now)


@pytest.fixture
def provider(loopback_http: LoopbackHttp, settings: Settings, engine: Engine) -> Provider:
    return make_provider(loopback_http, settings, engine)
