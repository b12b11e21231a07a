"""The sources and categories that this installation watches, and those an edition waits for."""

from service.papers.domain.source_names import SOURCES
from service.platform.settings.settings import Settings


def gating_sources(settings: Settings) -> tuple[str, ...]:
    """Return the sources whose batches an edition waits for: the configured ones of lowest rank.

    Other sources add papers and signals as they come. If none has a rank, all are waited for.
    """
    ranks = {s.name: s.gating_rank for s in SOURCES if s.gating_rank is not None}
    first = min((ranks[name] for name in settings.sources if name in ranks), default=None)
    if first is None:
        return settings.sources
    return tuple(name for name in settings.sources if ranks.get(name) == first)


def gating_categories(settings: Settings) -> tuple[str, ...]:
    """Return the categories that an edition waits for, none of a source with a single list."""
    sources = gating_sources(settings)
    return tuple(filter(None, (c for name in sources for c in watched_categories(settings, name))))


def watched_categories(settings: Settings, source: str) -> tuple[str, ...]:
    """Return the categories to request from a source; a source with a single list has only ""."""
    if source == "arxiv":
        return settings.arxiv_categories
    return ("",)
