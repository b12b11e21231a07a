"""What this installation watches: sources, their categories, and whom an edition waits for."""

from __future__ import annotations

from service.platform.settings.settings import Settings

# Whom an edition waits for: the first group of which anybody is set. The others add papers and
# opinions as they come; with none of these it is whatever there is.
GATING_GROUPS = (("arxiv",), ("biorxiv", "medrxiv"))


def gating_sources(settings: Settings) -> tuple[str, ...]:
    """The sources whose batches an edition waits for."""
    for group in GATING_GROUPS:
        found = tuple(source for source in settings.sources if source in group)
        if found:
            return found
    return settings.sources


def watched_categories(settings: Settings, source: str) -> tuple[str, ...]:
    """What a source is asked for, one by one; a source with a single list has one empty name."""
    if source == "arxiv":
        return settings.arxiv_categories
    return ("",)
