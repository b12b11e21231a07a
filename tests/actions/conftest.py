"""Sources that a test serves over loopback, and readers that it signs up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker
from support.loopback_http import LoopbackHttp

from service.actions.ingest import BatchReport, ingest_source
from service.config import Settings
from service.sources.registry import build_sources
from service.store.engine import make_sessions


def morning(on: date) -> datetime:
    """When a day's feed has been rendered: one in the morning in New York, or two."""
    return datetime.combine(on, time(6), tzinfo=UTC)


@dataclass(frozen=True)
class Provider:
    """A source that the test plays: what it shows, and a look at it."""

    http: LoopbackHttp
    settings: Settings
    sessions: sessionmaker[Session]

    def show(self, payload: bytes, category: str = "cs.CL", **headers: str) -> None:
        """Let arXiv's feed of a category be this."""
        self.http.routes[f"/rss/{category}"] = (200, headers, payload)

    def show_list(self, payload: bytes) -> None:
        """Let Hugging Face's list be this."""
        self.http.routes["/api/daily_papers"] = (200, {}, payload)

    def ingest(
        self,
        now: datetime,
        *,
        name: str = "arxiv",
        on: date | None = None,
        categories: tuple[str, ...] = ("cs.CL",),
    ) -> list[BatchReport]:
        wanted = self.settings.model_copy(
            update={"sources": (name,), "arxiv_categories": categories}
        )
        (source,) = build_sources(wanted, lambda _: None)
        return ingest_source(self.sessions, wanted, source, on, now)

    def ingest_day(self, on: date, *, name: str = "arxiv") -> BatchReport:
        (report,) = self.ingest(morning(on), name=name)
        return report


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    return make_sessions(engine)


@pytest.fixture
def provider(
    loopback_http: LoopbackHttp, settings: Settings, sessions: sessionmaker[Session]
) -> Provider:
    played = settings.model_copy(
        update={"arxiv_feed_url": loopback_http.url, "huggingface_url": loopback_http.url}
    )
    return Provider(loopback_http, played, sessions)


Later = Callable[[float], datetime]


@pytest.fixture
def later(now: datetime) -> Later:
    """The moment so many hours after `now`."""
    return lambda hours: now + timedelta(hours=hours)
