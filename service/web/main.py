"""What `uvicorn --factory service.web.main:app_from_environment` starts."""

from __future__ import annotations

from fastapi import FastAPI

from service import logs
from service.clock import system_clock
from service.config import load_settings
from service.queue import make_ring
from service.store.engine import make_engine, make_sessions
from service.web.app import create_app

# Starlette serves sync routes from up to 40 threads; each may hold one connection.
_POOL_SIZE = 15


def app_from_environment() -> FastAPI:
    """The site of this environment's settings; the servers it names must be running.

    Raises `SettingsError`, which lists every fault.
    """
    settings = load_settings()
    logs.configure(settings.log_level)
    return create_app(
        settings,
        make_sessions(make_engine(settings.database_url, pool_size=_POOL_SIZE)),
        ring=make_ring(settings.broker_url),
        clock=system_clock,
    )
