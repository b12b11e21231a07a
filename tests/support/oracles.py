"""Simple reference implementations, with which tests compare the faster ones of the service.

Benches compare their speed. Nothing here runs in the service.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from service.editions.domain.ranking import FOLLOWED, PaperRank, spread_clusters, weigh_reasons
from service.papers.domain.trending import Trend
from service.topics.domain.language.syntax_tree import Query
from service.topics.domain.matching.bitsets import Reasons
from service.topics.domain.matching.clause_index import IndexedPaper
from service.topics.domain.matching.compiled import Lexicon
from service.topics.domain.matching.paper_index import PaperIndex
from service.topics.domain.types import Reason


def match_query(query: Query, paper: IndexedPaper, lexicon: Lexicon) -> Reasons | None:
    """Return why `query` wants `paper`, or None: `match_papers` for a single pair."""
    return next((reasons for _, reasons in PaperIndex((paper,), lexicon).match(query)), None)


def rank_matches(
    matches: Iterable[tuple[int, tuple[Reason, ...]]],
    standings: Mapping[int, PaperRank],
    followed: Collection[int] = (),
) -> list[int]:
    """Return the ids of one topic's papers (id, why it matched), best first, none too often in a row.

    Each id comes once and stands in `standings`. `followed`: papers that another topic of the
    reader wants for their author, which counts here too.
    """
    return spread(order_matches(matches, standings, followed), standings)


def order_matches(
    matches: Iterable[tuple[int, tuple[Reason, ...]]],
    standings: Mapping[int, PaperRank],
    followed: Collection[int] = (),
) -> list[int]:
    """Return the same before papers are spread: leaving some out never reorders the rest."""

    def place(match: tuple[int, tuple[Reason, ...]]) -> tuple[int, int]:
        paper_id, reasons = match
        weight = (
            weigh_reasons(reasons, FOLLOWED) if paper_id in followed else weigh_reasons(reasons)
        )
        standing = standings[paper_id]
        return -weight * standing.trend, standing.place

    return [paper_id for paper_id, _ in sorted(matches, key=place)]


def spread(ranked: Sequence[int], standings: Mapping[int, PaperRank]) -> list[int]:
    """Return `ranked` with few of a cluster in a row, as long as there are others; none is dropped."""
    clusters = {paper_id: standings[paper_id].cluster for paper_id in ranked}
    return list(spread_clusters(iter(ranked), clusters))


def rank_trends(trends: Mapping[int, Trend]) -> tuple[int, ...]:
    """Return paper ids, trending first; equals newest first, that is by the higher id."""
    return tuple(sorted(trends, key=lambda i: (trends[i].rank_score, i), reverse=True))
