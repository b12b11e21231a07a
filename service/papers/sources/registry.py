"""Build the sources that the settings name, and the other channels of arXiv."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Final

from service.papers.domain.source_names import JOURNALS, SOURCE_NAMES, find_source
from service.papers.sources.arxiv_api import ArxivApi
from service.papers.sources.arxiv_feed import is_allowed
from service.papers.sources.arxiv_oai import ArxivOai
from service.papers.sources.base import RateLimiter, Source, SourceSettings
from service.papers.sources.http_fetch import Caller, Fetcher
from service.papers.sources.journal_feed import JournalFeed

# OAI-PMH may search for minutes before its first byte: 180 s with the default timeout of 30 s.
OAI_TIMEOUTS: Final = 6
OAI_ANSWER_TIMEOUTS: Final = 3

Builder = Callable[[str, SourceSettings, Fetcher], Source]


class SourceNotAvailable(ValueError):
    """The settings name a source that this version cannot read."""


def build_sources(settings: SourceSettings, gate: RateLimiter) -> tuple[Source, ...]:
    """Return the sources in the order of `settings.sources`, then the journals, with one fetcher.

    Raises SourceNotAvailable for an unknown name.
    """
    names = tuple(dict.fromkeys(settings.sources))
    for name in names:
        if name not in SOURCE_NAMES:
            known = ", ".join(SOURCE_NAMES)
            raise SourceNotAvailable(f"unknown source {name[:40]!r}; known are {known}")
    fetcher = _fetcher(settings, gate)
    journals = (
        JournalFeed(f"{JOURNALS.name}.{name}", url, fetcher) for name, url in settings.journals
    )
    return (*(_builder(name)(name, settings, fetcher) for name in names), *journals)


def _builder(name: str) -> Builder:
    """Return the function `build` of the module that the list of sources names."""
    found: Builder = import_module(f"{__package__}.{find_source(name).module}").build
    return found


def build_oai(settings: SourceSettings, gate: RateLimiter) -> ArxivOai | None:
    """Return arXiv's OAI-PMH client, for past days, or None if requests to it are not allowed."""
    if not is_allowed(settings, settings.arxiv_oai_url):
        return None
    caller = _caller(settings)
    patient = replace(caller, timeout_seconds=OAI_TIMEOUTS * caller.timeout_seconds)
    return ArxivOai(settings.arxiv_oai_url, Fetcher(patient, gate, timeouts=OAI_ANSWER_TIMEOUTS))


def build_api(settings: SourceSettings, gate: RateLimiter) -> ArxivApi | None:
    """Return arXiv's search API client, or None if requests to it are not allowed."""
    if not is_allowed(settings, settings.arxiv_api_url):
        return None
    return ArxivApi(settings.arxiv_api_url, _fetcher(settings, gate))


def _fetcher(settings: SourceSettings, gate: RateLimiter) -> Fetcher:
    return Fetcher(_caller(settings), gate)


def _caller(settings: SourceSettings) -> Caller:
    return Caller(settings.base_url, settings.contact, settings.http_timeout_seconds)
