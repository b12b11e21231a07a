"""The orders of the lists of papers: one line a name, with the sentence that a page says of it.

A new order is one of `list_orders`: its name in addresses, its label, why papers stand where they do,
and the number to sort by, highest first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, literal

from service.editions.domain.ranking import ABSTRACT_WEIGHT, BASE_RELEVANCE, TITLE_WEIGHT
from service.papers.domain.trending import DEFAULT_SCALE
from service.papers.domain.types import PaperView
from service.papers.store.models import Paper
from service.papers.store.periods import BY_DAY, BY_TREND, SortKey
from service.papers.store.votes import vote_weight
from service.platform.settings.settings import Settings
from service.topics.domain.language import Query
from service.topics.store.relevance import weigh_clauses


def _score_trend(_query: Query | None) -> ColumnElement[Any]:
    return Paper.trend.expression


def _score_nothing(_query: Query | None) -> ColumnElement[Any]:
    return literal(0)


def _score_votes(_query: Query | None) -> ColumnElement[Any]:
    return vote_weight()


def _score_relevance(query: Query | None) -> ColumnElement[Any]:
    if query is None:
        return literal(0)
    return weigh_clauses(query, BASE_RELEVANCE, TITLE_WEIGHT, ABSTRACT_WEIGHT)


@dataclass(frozen=True, slots=True)
class PaperOrder:
    """An order of papers: by `score`, highest first, then by `ties`, the last of which is unique.

    `score` takes the topic that the list is filtered by, if there is one. `reason` is a sentence or
    two for the page. `says_score` tells whether each paper is shown with its number, `needs_words`
    whether the order means nothing without the topic.
    """

    name: str
    label: str
    reason: str
    score: Callable[[Query | None], ColumnElement[Any]]
    ties: tuple[SortKey, ...] = BY_TREND
    says_score: bool = True
    needs_words: bool = False

    @property
    def keys(self) -> tuple[SortKey, ...]:
        return self.ties if self.score is _score_nothing else (SortKey.SCORE, *self.ties)

    def describe_score(self, paper: PaperView, score: float) -> str:
        """Return what a paper's line says of its place, like `trend 97`, or an empty string."""
        is_neutral = score == 0 or (self is TREND and not paper.upvotes)
        return f"{self.label.lower()} {int(score)}" if self.says_score and not is_neutral else ""


TREND: Final = PaperOrder(
    "trend",
    "Trend",
    "By upvotes per hour since the announcement, on Hugging Face and, where they are asked for, here; one counts half after "
    f"{DEFAULT_SCALE.half_life_hours:g} hours. Each paper is compared with those of its own day and main "
    "field: the best of n stands at 100 − 50/n, equal ones share a place, and where no paper of a day "
    "has any, all stand at 50. Ties: more upvotes, then new before cross-listed, then newest.",
    _score_trend,
)
NEWEST: Final = PaperOrder(
    "newest",
    "Newest",
    "The latest day first; within a day new papers before cross-listed ones, then the highest "
    "identifier, which at arXiv is the order of announcement. Upvotes count nothing.",
    _score_nothing,
    BY_DAY,
    says_score=False,
)
RELEVANCE: Final = PaperOrder(
    "relevance",
    "Relevance",
    f"Only papers that match your words: {BASE_RELEVANCE} for the match, and for each word or phrase "
    f"{TITLE_WEIGHT} in the title or else {ABSTRACT_WEIGHT} in the abstract. Authors, fields and like: "
    "count nothing, nor do upvotes. Ties: by trend.",
    _score_relevance,
    needs_words=True,
)

VOTES: Final = PaperOrder(
    "votes",
    "Votes",
    "By the votes of subscribers here, one a mailbox; many votes of one domain, or of one hour's sign-ups, "
    "weigh less. Ties: by trend.",
    _score_votes,
    says_score=False,
)


def list_orders(settings: Settings) -> tuple[PaperOrder, ...]:
    """Return the orders that a site offers; that by votes only where there are votes."""
    return (TREND, NEWEST, RELEVANCE, *((VOTES,) if settings.votes else ()))
