"""The dependencies of every page, built once per application and injected into routes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session, sessionmaker

from service.messages.rendering.renderer import Renderer
from service.operations.metrics import MOST_SECONDS
from service.platform.settings.settings import Settings
from service.topics.live_preview import LivePreviews
from service.web.core.cached_response import CachedResponse
from service.web.core.middleware import OPERATOR_PATHS
from service.web.core.page_cache import PageCache
from service.web.core.rate_limits import FirstTokens, SignUpLimits
from service.web.core.work_slots import WorkSlots
from service.web.views.environment import Pages


@dataclass(frozen=True, slots=True)
class AppContext:
    """Settings, sessions, clock and services of one application.

    `enqueue` is called after a commit with a task's name and never raises. `fetch` downloads a
    URL that a webhook names. `measuring_seconds` limits each database statement of `/metrics`.
    """

    settings: Settings
    sessions: sessionmaker[Session]
    operator_sessions: sessionmaker[Session]
    enqueue: Callable[..., None]
    clock: Callable[[], datetime]
    renderer: Renderer
    limits: SignUpLimits
    first_tokens: FirstTokens
    pages: Pages
    fetch: Callable[[str], bytes]
    previews: LivePreviews
    metrics: CachedResponse
    slots: WorkSlots
    page_cache: PageCache
    measuring_seconds: int = MOST_SECONDS

    @property
    def maildir(self) -> Path:
        """Directory of the development mailbox's messages."""
        return self.settings.data_dir / "mailbox"


def get_context(request: Request) -> AppContext:
    """Return the context; that of the operator's pages has sessions with more time."""
    context: AppContext = request.app.state.context
    # Not `request.url`, which would be put together for each request.
    if request.scope["path"].startswith(OPERATOR_PATHS):
        return replace(context, sessions=context.operator_sessions)
    return context


async def _provide_context(request: Request) -> AppContext:
    # FastAPI runs what is not async in a thread, for which a busy process would make it wait.
    return get_context(request)


Context = Annotated[AppContext, Depends(_provide_context)]
