"""The order of papers inside a digest and on a page: written down, so that ties are no accident.

By trend (the percentile within the field), then upvotes, then new before cross-listed before listed, then the newest
identifier, which at arXiv is the order of announcement.
"""

from __future__ import annotations

from collections.abc import Iterable

from service.domain.types import AnnounceType, Paper

_FRESHNESS = {AnnounceType.NEW: 0, AnnounceType.CROSS: 1, AnnounceType.LISTED: 2}


def rank_papers(papers: Iterable[Paper]) -> tuple[Paper, ...]:
    """The papers, best first. Total: no two papers with different keys compare equal."""
    newest_first = sorted(papers, key=lambda paper: paper.key, reverse=True)
    return tuple(
        sorted(
            newest_first,
            key=lambda paper: (-paper.trend, -paper.upvotes, _FRESHNESS.get(paper.announced_as, 3)),
        )
    )
