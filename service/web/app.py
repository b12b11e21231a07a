"""The web site as one application: which pages there are, and what is around each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime

from fastapi import FastAPI
from sqlalchemy.orm import Session, sessionmaker

from service.actions.branding import make_renderer
from service.actions.hooks import fetch_from_amazon
from service.actions.live_preview import LivePreviews
from service.config import Settings
from service.domain.ready_topics import READY_FIELDS
from service.domain.types import Cadence
from service.mail.contexts import BRAND
from service.mail.render import Renderer
from service.web import (
    addresses,
    admin,
    assets,
    changes,
    editions,
    feeds,
    front,
    health,
    hooks,
    kept,
    mailbox,
    metrics,
    papers,
    preferences,
    search,
    status,
    subscribe,
    topics,
    unsubscribe,
)
from service.web.faults import add_fault_pages
from service.web.forms import COMMON_ZONES
from service.web.freshness import FreshAnswer
from service.web.headers import AroundEveryAnswer
from service.web.limits import SignUpLimits
from service.web.pages import Pages
from service.web.site import Site

_PAGES = (
    front, subscribe, unsubscribe, addresses, preferences, changes, kept, papers, search, topics, feeds, editions,
    mailbox, status, health, metrics, admin, hooks, assets,
)  # fmt: skip

# How old the figures of a monitor may be, so that asking often costs nothing.
METRICS_SECONDS = 15.0


def create_app(
    settings: Settings,
    sessions: sessionmaker[Session],
    *,
    ring: Callable[..., None],
    clock: Callable[[], datetime],
    renderer: Renderer | None = None,
    fetch: Callable[[str], bytes] = fetch_from_amazon,
) -> FastAPI:
    """The application. `ring(task, *ids)` is called after commits and must not raise."""
    # FastAPI's own documentation pages load scripts from elsewhere, which our policy forbids.
    app = FastAPI(
        title=BRAND, docs_url=None, redoc_url=None, lifespan=_stop_probes, redirect_slashes=False
    )
    app.state.site = Site(
        settings=settings,
        sessions=sessions,
        ring=ring,
        clock=clock,
        renderer=renderer or make_renderer(settings),
        limits=SignUpLimits(settings.redis_url),
        pages=_make_pages(settings),
        fetch=fetch,
        previews=LivePreviews(sessions, settings),
        metrics=FreshAnswer(METRICS_SECONDS),
    )
    # Few threads, so that a database that hangs cannot take all of those that serve pages.
    app.state.probes = ThreadPoolExecutor(4, thread_name_prefix="probe")
    app.add_middleware(AroundEveryAnswer)
    add_fault_pages(app)
    for page in _PAGES:
        app.include_router(page.router)
    return app


@asynccontextmanager
async def _stop_probes(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.probes.shutdown(wait=False, cancel_futures=True)


def _make_pages(settings: Settings) -> Pages:
    return Pages(
        brand=BRAND,
        asset=assets.asset,
        cadences=tuple(Cadence),
        zones=COMMON_ZONES,
        ready_fields=READY_FIELDS,
        operator_address=settings.operator_address,
        contact=settings.contact,
        has_mailbox=not settings.smtp_url,
    )
