"""What this installation watches: sources, their categories, and whom an edition waits for."""

from __future__ import annotations

from service.config import Settings

# Sources whose announcements an edition waits for; the others add papers and opinions as they come.
GATING_SOURCES = ("arxiv",)


def gating_sources(settings: Settings) -> tuple[str, ...]:
    """The sources to wait for; with none of them configured, whatever there is."""
    return tuple(s for s in settings.sources if s in GATING_SOURCES) or settings.sources


def watched_categories(settings: Settings, source: str) -> tuple[str, ...]:
    """What a source is asked for, one by one; a source with a single list has one empty name."""
    if source == "arxiv":
        return settings.arxiv_categories
    return ("",)
