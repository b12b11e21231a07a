"""What this installation watches: sources, their categories, and whom an edition waits for."""

from service.papers.domain.source_names import SOURCES
from service.platform.settings.settings import Settings


def gating_sources(settings: Settings) -> tuple[str, ...]:
    """Return the sources whose batches an edition waits for: the first rank of which any is set.

    The others add papers and opinions as they come; where none has a rank it is whatever there is.
    """
    ranks = {s.name: s.gating_rank for s in SOURCES if s.gating_rank is not None}
    first = min((ranks[name] for name in settings.sources if name in ranks), default=None)
    if first is None:
        return settings.sources
    return tuple(name for name in settings.sources if ranks.get(name) == first)


def watched_categories(settings: Settings, source: str) -> tuple[str, ...]:
    """What a source is asked for, one by one; a source with a single list has one empty name."""
    if source == "arxiv":
        return settings.arxiv_categories
    return ("",)
