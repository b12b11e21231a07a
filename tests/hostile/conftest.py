"""arXiv on loopback and an installation that watches it, for the tests of what can go wrong."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from support.hostile_world import CATEGORIES, MONDAY, WEDNESDAY, World, make_world
from support.installation import span
from support.loopback_http import LoopbackHttp
from support.upstream import invent

from service.config import Settings


@pytest.fixture
def world(loopback_http: LoopbackHttp, settings: Settings, engine: Engine) -> World:
    return make_world(loopback_http, settings, engine, invent(span(WEDNESDAY, MONDAY), CATEGORIES))
