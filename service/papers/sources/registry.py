"""Which sources an operator's settings name, and the other channels of arXiv."""

from __future__ import annotations

from typing import Final, Protocol

from service.papers.sources.arxiv_api import ArxivApi
from service.papers.sources.arxiv_feed import ArxivFeed
from service.papers.sources.arxiv_list import ArxivListing
from service.papers.sources.arxiv_oai import ArxivOai
from service.papers.sources.base import Gate, Source
from service.papers.sources.biorxiv import Biorxiv
from service.papers.sources.http_fetch import Caller, Fetcher, is_arxiv_host
from service.papers.sources.huggingface import HuggingFace
from service.papers.sources.journal_feed import JournalFeed

KNOWN: Final = ("arxiv", "huggingface", "biorxiv", "medrxiv")


class SourceSettings(Protocol):
    """The part of the settings that sources need. `journals` are (name, address) of feeds."""

    @property
    def sources(self) -> tuple[str, ...]: ...
    @property
    def arxiv_feed_url(self) -> str: ...
    @property
    def arxiv_list_url(self) -> str: ...
    @property
    def arxiv_oai_url(self) -> str: ...
    @property
    def arxiv_api_url(self) -> str: ...
    @property
    def huggingface_url(self) -> str: ...
    @property
    def biorxiv_url(self) -> str: ...
    @property
    def journals(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def base_url(self) -> str: ...
    @property
    def contact(self) -> str: ...
    @property
    def http_timeout_seconds(self) -> float: ...


class SourceNotAvailable(ValueError):
    """The settings name a source that this version cannot read."""


def build_sources(settings: SourceSettings, gate: Gate) -> tuple[Source, ...]:
    """The sources in the order of `settings.sources`, then the journals, all behind one gate.

    Raises SourceNotAvailable for a name that is unknown.
    """
    names = tuple(dict.fromkeys(settings.sources))
    for name in names:
        if name not in KNOWN:
            raise SourceNotAvailable(f"unknown source {name[:40]!r}; known are {', '.join(KNOWN)}")
    fetcher = _fetcher(settings, gate)
    journals = tuple(
        JournalFeed(f"journal.{name}", url, fetcher) for name, url in settings.journals
    )
    return (*(_built(name, settings, fetcher) for name in names), *journals)


def build_oai(settings: SourceSettings, gate: Gate) -> ArxivOai | None:
    """arXiv's record of everything, for days that are past; None where it is not to be asked."""
    if not _may_ask(settings, settings.arxiv_oai_url):
        return None
    return ArxivOai(settings.arxiv_oai_url, _fetcher(settings, gate))


def build_api(settings: SourceSettings, gate: Gate) -> ArxivApi | None:
    """arXiv's search API, for papers named elsewhere; None where it is not to be asked."""
    if not _may_ask(settings, settings.arxiv_api_url):
        return None
    return ArxivApi(settings.arxiv_api_url, _fetcher(settings, gate))


def _fetcher(settings: SourceSettings, gate: Gate) -> Fetcher:
    caller = Caller(settings.base_url, settings.contact, settings.http_timeout_seconds)
    return Fetcher(caller, gate)


def _may_ask(settings: SourceSettings, url: str) -> bool:
    """Whether a channel belongs to the feed in use: a recorded feed must not send us to arXiv."""
    return is_arxiv_host(settings.arxiv_feed_url) or not is_arxiv_host(url)


def _built(name: str, settings: SourceSettings, fetcher: Fetcher) -> Source:
    if name == "arxiv":
        asks = _may_ask(settings, settings.arxiv_list_url)
        listing = ArxivListing(settings.arxiv_list_url, fetcher) if asks else None
        return ArxivFeed(settings.arxiv_feed_url, fetcher, listing)
    if name == "huggingface":
        return HuggingFace(settings.huggingface_url, fetcher)
    return Biorxiv(settings.biorxiv_url, fetcher, name)
