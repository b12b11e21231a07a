"""arXiv on loopback and an installation that reads it, for tests of its faults."""

import pytest
from sqlalchemy import Engine
from support.newsletter.installation import span
from support.servers.loopback_http import LoopbackHttp
from support.sources.hostile_world import CATEGORIES, MONDAY, WEDNESDAY, World, make_world
from support.sources.upstream import invent

from service.platform.settings.settings import Settings


@pytest.fixture
def world(loopback_http: LoopbackHttp, settings: Settings, engine: Engine) -> World:
    return make_world(loopback_http, settings, engine, invent(span(WEDNESDAY, MONDAY), CATEGORIES))
