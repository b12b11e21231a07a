"""The order of papers on a page: total, so that ties are deterministic.

By trend (the percentile within the field), then upvotes, then new before cross-listed before listed,
then the newest identifier, which at arXiv is the order of announcement.
"""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from service.papers.domain.trending import NEUTRAL_PERCENTILE
from service.papers.domain.types import AnnounceType

_FRESHNESS = {AnnounceType.NEW: 0, AnnounceType.CROSS: 1, AnnounceType.LISTED: 2}

# A mail without topics and its previews show so many papers of a day at most.
MOST_WITHOUT_TOPICS = 25


class Rankable(Protocol):
    """A value that `rank_papers` can order: a whole paper, or only its columns for ranking."""

    @property
    def key(self) -> str: ...
    @property
    def trend(self) -> float: ...
    @property
    def upvotes(self) -> int: ...
    @property
    def announced_as(self) -> AnnounceType: ...


Ranked = TypeVar("Ranked", bound=Rankable)


def rank_papers(papers: Iterable[Ranked]) -> tuple[Ranked, ...]:
    """Return the papers, best first, in a total order: papers with different keys never tie."""
    newest_first = sorted(papers, key=lambda paper: paper.key, reverse=True)
    return tuple(
        sorted(
            newest_first,
            key=lambda paper: (-paper.trend, -paper.upvotes, _FRESHNESS.get(paper.announced_as, 3)),
        )
    )


def is_noticed(paper: Rankable) -> bool:
    """Return whether a paper has upvotes, or stands above the middle by votes or a pick."""
    return paper.upvotes > 0 or paper.trend > NEUTRAL_PERCENTILE


def pick_best(
    papers: Iterable[Ranked], most: int = MOST_WITHOUT_TOPICS
) -> tuple[bool, list[Ranked]]:
    """Return the best papers of a day, and whether they are ranked by what others think of them.

    Papers with upvotes, votes or a pick, best first; the newest where no paper has any yet (the
    flag is then false).
    """
    ranked = rank_papers(papers)
    noticed = [paper for paper in ranked if is_noticed(paper)]
    return bool(noticed), (noticed or [*ranked])[:most]
