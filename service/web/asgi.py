"""The application factory, which `service.web.serve` names to uvicorn."""

import atexit
import gc
import sys
from contextlib import ExitStack

from fastapi import FastAPI

import service.operations.store.tables  # noqa: F401  # registers every table
from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.source_names import SOURCE_NAMES
from service.platform import logs
from service.platform.clock import process_clock
from service.platform.database.engine import (
    OPERATOR_SECONDS,
    WEB_SECONDS,
    make_engine,
    make_sessions,
)
from service.platform.embedded import resolve_services
from service.platform.queue import make_enqueue
from service.platform.settings.faults import SettingsError
from service.platform.settings.load import load_settings
from service.platform.settings.passwords import refuse_weak_password
from service.web.app import create_app

# Starlette serves sync routes from up to 40 threads; each may hold one connection.
_POOL_SIZE = 15


def app_from_environment() -> FastAPI:
    """Return the site configured by the environment; start the servers that it does not name.

    Exits with status 2 and a line for each fault in the settings. Raises `EmbeddedError`.
    """
    logs.configure_service()  # For a fault in the settings themselves.
    # Reference-counted hold on the embedded servers; the last process to exit stops them.
    shares = ExitStack()
    atexit.register(shares.close)
    try:
        loaded = load_settings(SOURCE_NAMES)
        refuse_weak_password(loaded)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from error
    settings = shares.enter_context(resolve_services(loaded))
    logs.configure_service(settings.log_level, settings.log_file)
    clock = process_clock()
    app = create_app(
        settings,
        make_sessions(
            make_engine(settings.database_url, pool_size=_POOL_SIZE, most_seconds=WEB_SECONDS)
        ),
        operator_sessions=make_sessions(
            make_engine(settings.database_url, most_seconds=OPERATOR_SECONDS)
        ),
        enqueue=make_enqueue(settings.queue_url),
        clock=clock,
    )
    # Some 300,000 objects that live as long as the process: each full collection would stop all requests
    # for a fifth of a second to look at them.
    gc.collect()
    gc.freeze()
    app.state.context.previews.warm(announcement_date(clock()))
    return app
