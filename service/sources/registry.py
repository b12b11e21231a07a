"""Which sources an operator's settings name."""

from __future__ import annotations

from typing import Final, Protocol

from service.sources.arxiv_feed import ArxivFeed
from service.sources.base import Gate, Source
from service.sources.fetching import Caller, Fetcher
from service.sources.huggingface import HuggingFace

_LATER: Final = frozenset({"biorxiv", "medrxiv"})


class SourceSettings(Protocol):
    """The part of the settings that sources need."""

    @property
    def sources(self) -> tuple[str, ...]: ...
    @property
    def arxiv_feed_url(self) -> str: ...
    @property
    def huggingface_url(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def contact(self) -> str: ...
    @property
    def http_timeout_seconds(self) -> float: ...


class SourceNotAvailable(ValueError):
    """The settings name a source that this version cannot read."""


def build_sources(settings: SourceSettings, gate: Gate) -> tuple[Source, ...]:
    """The sources in the order of `settings.sources`, sharing one client and one gate.

    Raises SourceNotAvailable for a name that is unknown or not yet built.
    """
    caller = Caller(settings.base_url, settings.contact, settings.http_timeout_seconds)
    names = tuple(dict.fromkeys(settings.sources))
    for name in names:
        _check(name)
    fetcher = Fetcher(caller, gate)
    return tuple(_built(name, settings, fetcher) for name in names)


def _check(name: str) -> None:
    if name in _LATER:
        raise SourceNotAvailable(f"source {name} is not yet available; use arxiv and huggingface")
    if name not in {"arxiv", "huggingface"}:
        raise SourceNotAvailable(f"unknown source {name[:40]!r}; known are arxiv and huggingface")


def _built(name: str, settings: SourceSettings, fetcher: Fetcher) -> Source:
    if name == "arxiv":
        return ArxivFeed(settings.arxiv_feed_url, fetcher)
    return HuggingFace(settings.huggingface_url, fetcher)
