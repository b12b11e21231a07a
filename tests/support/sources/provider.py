"""Sources that a test serves over loopback, and their ingest."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from service.papers.ingest import BatchReport, ingest_source
from service.papers.sources.registry import build_sources
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from support.servers.loopback_http import LoopbackHttp, Request, Response
from support.sources.open_gate import OpenGate


def morning(on: date) -> datetime:
    """Return a time after a day's feed was rendered: one or two in the morning in New York."""
    return datetime.combine(on, time(6), tzinfo=UTC)


@dataclass(frozen=True)
class Provider:
    """A source: its content, and the ingest of it."""

    http: LoopbackHttp
    settings: Settings
    sessions: sessionmaker[Session]

    def show(
        self, payload: bytes, category: str = "cs.CL", headers: dict[str, str] | None = None
    ) -> None:
        """Set arXiv's feed of a category."""
        self.http.routes[f"/rss/{category}"] = (200, headers or {}, payload)

    def answer(self, respond: Callable[[Request], Response], category: str = "cs.CL") -> None:
        """Set a function that responds to requests for a category's feed."""
        self.http.routes[f"/rss/{category}"] = respond

    def show_list(self, payload: bytes) -> None:
        """Set Hugging Face's list."""
        self.http.routes["/api/daily_papers"] = (200, {}, payload)

    def ingest(
        self,
        now: datetime,
        *categories: str,
        name: str = "arxiv",
        on: date | None = None,
        on_batch: Callable[[BatchReport], None] = lambda _: None,
    ) -> list[BatchReport]:
        """Ingest every category (by default cs.CL), as the worker does."""
        wanted = self.settings.model_copy(
            update={"sources": (name,), "arxiv_categories": categories or ("cs.CL",)}
        )
        (source,) = build_sources(wanted, OpenGate())
        return ingest_source(self.sessions, wanted, source, on, now, on_batch)

    def look(self, on: date, name: str = "arxiv") -> BatchReport:
        """Ingest the one category on the morning of a date."""
        (report,) = self.ingest(morning(on), name=name)
        return report


def make_provider(http: LoopbackHttp, settings: Settings, engine: Engine) -> Provider:
    played = settings.model_copy(update={"arxiv_feed_url": http.url, "huggingface_url": http.url})
    return Provider(http, played, make_sessions(engine))
