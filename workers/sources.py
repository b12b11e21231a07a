"""The clients of the sources, for the tasks that fetch."""

from dataclasses import dataclass

from sqlalchemy import Engine

from service.papers.sources.arxiv_api import ArxivApi
from service.papers.sources.arxiv_oai import ArxivOai
from service.papers.sources.base import Source
from service.papers.sources.registry import build_api, build_oai, build_sources
from service.papers.store.crawl_gate import SharedRateLimiter
from service.platform.settings.settings import Settings


@dataclass(frozen=True, slots=True)
class OpenSources:
    """`all` of them, and arXiv's other two channels, None where requests to these are not allowed."""

    all: tuple[Source, ...]
    oai: ArxivOai | None
    api: ArxivApi | None


def open_sources(here: Settings, engine: Engine) -> OpenSources:
    """Make the clients; all processes together keep each host's limits."""
    gate = SharedRateLimiter(engine)
    return OpenSources(build_sources(here, gate), build_oai(here, gate), build_api(here, gate))
