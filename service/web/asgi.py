"""The application factory, which `service.web.serve` names to uvicorn."""

import atexit
import gc
import os
import signal
import sys
from contextlib import ExitStack
from multiprocessing import parent_process
from threading import Thread

from fastapi import FastAPI

import service.operations.store.tables  # noqa: F401  # registers every table
from service.papers.domain.announcement_days import announcement_date
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
from service.web.app import create_app
from service.web.settings import load_web_settings

# Starlette serves sync routes from up to 40 threads; each may hold one connection. The processes of the
# site share them, as PostgreSQL has 100.
_POOL_SIZE, _LEAST_POOL_SIZE = 15, 5
# So long a thread computes while others wait for the interpreter. With Python's 5 ms a page from the cache
# waits for those of a search at each of its steps: the slowest twentieth took 1.5 times as long under load.
_TURN_SECONDS = 0.0005


def app_from_environment() -> FastAPI:
    """Return the site configured by the environment; start the servers that it does not name.

    Exits with status 2 and a line for each fault in the settings. Raises `EmbeddedError`.
    """
    loaded = load_web_settings()
    _end_with_parent()
    # Reference-counted hold on the embedded servers; the last process to exit stops them.
    shares = ExitStack()
    atexit.register(shares.close)
    settings = shares.enter_context(resolve_services(loaded))
    logs.configure_service(settings.log_level, settings.log_file)
    clock = process_clock()
    app = create_app(
        settings,
        make_sessions(
            make_engine(
                settings.database_url,
                pool_size=max(_LEAST_POOL_SIZE, _POOL_SIZE // settings.web_processes),
                most_seconds=WEB_SECONDS,
                is_for_many=True,
            )
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
    sys.setswitchinterval(_TURN_SECONDS)
    app.state.context.previews.warm(announcement_date(clock()))
    return app


def _end_with_parent() -> None:
    """End this process when the one dies that started it, which else nobody would ever end."""
    parent = parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

        Thread(target=wait, daemon=True).start()
