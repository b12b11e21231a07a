"""What every page needs, gathered once per application: settings, sessions, bell, clock, looks."""

from collections.abc import Callable
from dataclasses import dataclass
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
from service.web.core.rate_limits import SignUpLimits
from service.web.views.environment import Pages


@dataclass(frozen=True, slots=True)
class AppContext:
    """`enqueue` is called after a commit with a task's name, and never raises.

    `fetch` gets what a provider's webhook must be checked against. `measuring_seconds` is how long
    a statement may take that measures for a monitor.
    """

    settings: Settings
    sessions: sessionmaker[Session]
    enqueue: Callable[..., None]
    clock: Callable[[], datetime]
    renderer: Renderer
    limits: SignUpLimits
    pages: Pages
    fetch: Callable[[str], bytes]
    previews: LivePreviews
    metrics: CachedResponse
    measuring_seconds: int = MOST_SECONDS

    @property
    def maildir(self) -> Path:
        """Where the development mailbox keeps its messages."""
        return self.settings.data_dir / "mailbox"


def get_context(request: Request) -> AppContext:
    context: AppContext = request.app.state.context
    return context


Context = Annotated[AppContext, Depends(get_context)]
