"""The FastAPI application: its routers, middleware, error pages and shared context."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from fastapi import FastAPI
from markupsafe import Markup
from sqlalchemy import event
from sqlalchemy.orm import Session, sessionmaker
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from service.bounces.webhooks import fetch_from_amazon
from service.deliveries.domain.recipients import Cadence
from service.messages.contexts.base import BRAND
from service.messages.identity import make_renderer
from service.messages.rendering.renderer import Renderer
from service.platform.settings.settings import Settings
from service.platform.time_zones import zone_suggestions
from service.platform.work_budget import WorkBudget, spend_statement
from service.subscribers.validate import WEEKDAYS
from service.topics.domain.names import LONGEST_NAME
from service.topics.domain.ready_made import READY_FIELDS
from service.topics.live_preview import LivePreviews
from service.web import mcp
from service.web.api import document
from service.web.api import routes as api
from service.web.core import assets
from service.web.core.cached_response import CachedResponse
from service.web.core.context import AppContext
from service.web.core.errors import add_fault_pages
from service.web.core.middleware import PublicGzip, ResponseMiddleware
from service.web.core.page_cache import PageCache
from service.web.core.rate_limits import FirstTokens, SignUpLimits
from service.web.core.work_slots import WorkSlots
from service.web.endpoints import health, webhooks
from service.web.operator import community as admin_community
from service.web.operator import (
    dev_mailbox,
    mail_preview,
    metrics,
    one_subscriber,
    restored,
    sending,
)
from service.web.operator import pages as admin
from service.web.operator import subscribers as directory
from service.web.pages import (
    address_change,
    browser_copy,
    calendar,
    card,
    citations,
    community,
    feeds,
    home,
    markdown,
    paper,
    period_feeds,
    personal_link,
    preferences,
    privacy,
    private_feed,
    saved,
    saved_export,
    search,
    start,
    status,
    subscribe,
    topic_links,
    topics,
    unsubscribe,
    your_papers,
)
from service.web.views.environment import Pages

_PAGES = (
    markdown, home, calendar, subscribe, personal_link, unsubscribe, address_change, preferences, topic_links, start, saved, saved_export, your_papers, community, citations, card, paper, search, topics,
    feeds, period_feeds, private_feed, browser_copy, dev_mailbox, status, privacy, health, metrics, admin, admin_community, restored, sending, directory, one_subscriber,
    mail_preview, webhooks, assets, document, api,
)  # fmt: skip

# Cache lifetime of `/metrics`, so that frequent scrapes cost nothing.
METRICS_SECONDS = 15.0


def create_app(
    settings: Settings,
    sessions: sessionmaker[Session],
    *,
    operator_sessions: sessionmaker[Session] | None = None,
    enqueue: Callable[..., None],
    clock: Callable[[], datetime],
    renderer: Renderer | None = None,
    fetch: Callable[[str], bytes] = fetch_from_amazon,
    make_budget: Callable[[], WorkBudget] = WorkBudget,
) -> FastAPI:
    """Return the application. `enqueue(task, *ids)` is called after commits and must not raise.

    The operator's pages use `operator_sessions`, whose statements may take longer, if there are any.
    """
    # FastAPI's documentation pages load scripts from other hosts, which our policy forbids.
    app = FastAPI(
        title=BRAND,
        docs_url=None,
        redoc_url=None,
        lifespan=_end_with_server,
        redirect_slashes=False,
    )
    app.state.context = AppContext(
        settings=settings,
        sessions=sessions,
        operator_sessions=operator_sessions or sessions,
        enqueue=enqueue,
        clock=clock,
        renderer=renderer or make_renderer(settings),
        limits=SignUpLimits(settings.redis_url),
        first_tokens=FirstTokens(),
        pages=_make_pages(settings),
        fetch=fetch,
        previews=LivePreviews(sessions, settings),
        metrics=CachedResponse(METRICS_SECONDS),
        slots=WorkSlots(),
        page_cache=PageCache(sessions),
    )
    event.listen(sessions, "do_orm_execute", spend_statement)
    # A pool of its own: probes of a hanging database must not use up the threads for pages.
    app.state.probes = ThreadPoolExecutor(4, thread_name_prefix="probe")
    app.add_middleware(PublicGzip)
    app.add_middleware(ResponseMiddleware, make_budget=make_budget)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))
    add_fault_pages(app)
    for page in _PAGES:
        app.include_router(page.router)
    if mcp.is_installed():
        from service.web.mcp.http import McpEndpoint

        app.state.mcp = McpEndpoint(app.state.context)
        app.router.routes.append(app.state.mcp.make_route())
    app.openapi = lambda: document.describe(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _end_with_server(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        if mcp.is_installed():
            await stack.enter_async_context(app.state.mcp.running())
        yield
    app.state.probes.shutdown(wait=False, cancel_futures=True)
    app.state.context.limits.close()


def _zone_options() -> Markup:
    """Return the list of time zones, joined once for all pages."""
    return Markup("").join(
        Markup('<option value="{}">').format(each) for each in zone_suggestions()
    )


def _make_pages(settings: Settings) -> Pages:
    return Pages(
        brand=BRAND,
        asset=assets.asset,
        cadences=tuple(Cadence),
        weekdays=WEEKDAYS,
        longest_name=LONGEST_NAME,
        usual_papers=settings.digest_max_papers,
        zone_options=_zone_options(),
        default_zone=settings.digest_timezone,
        ready_fields=READY_FIELDS,
        operator_address=settings.operator_address,
        contact=settings.contact,
        has_mailbox=settings.has_mailbox_pages,
        has_ai_summaries=settings.ai_summaries,
        has_votes=settings.votes,
        has_submissions=settings.submissions,
        has_picks=settings.picks,
    )
