"""Load what recommending needs for many subscribers, in a fixed number of queries.

Recommending itself is pure: `domain.recommendations.recommend`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from service.editions.domain.learned_order import FEWEST_SIGNALS
from service.editions.domain.recommendations import (
    MOST_FEEDBACK,
    Candidates,
    Rarity,
    Taste,
    Vector,
    count_terms,
)
from service.papers.store.read import newest_paper_ids
from service.papers.store.works import find_siblings
from service.subscribers.store.feedback import RatedPapers, get_tastes
from service.subscribers.store.subscribers import get_topics
from service.topics.domain.language import Leaf, Like, leaf_texts, parse_query
from service.topics.domain.language.edits import muted_clauses
from service.topics.domain.matching.clause_index import IndexedPaper
from service.topics.domain.matching.paper_index import match_papers
from service.topics.store.index_rows import index_papers
from service.topics.store.to_sql import fetch_lexemes

# Five papers of a quiet day are too few to estimate how rare a word is, so newer papers are added.
FEWEST_FOR_RARITY = 1000


@dataclass(frozen=True, slots=True)
class SuggestionPool:
    """An edition's papers that may be suggested; the same for every subscriber."""

    papers: Sequence[IndexedPaper]
    rarity: Rarity
    candidates: Candidates


def load_pool(session: Session, paper_ids: Collection[int]) -> SuggestionPool:
    """Return the pool of these papers, the edition's new ones that are not withdrawn."""
    is_few = len(paper_ids) < FEWEST_FOR_RARITY
    others = newest_paper_ids(session, FEWEST_FOR_RARITY) if is_few else ()
    indexed = index_papers(session, sorted({*paper_ids, *others}))
    terms = {paper.paper_id: count_terms(paper.title, paper.abstract) for paper in indexed}
    rarity = Rarity(terms.values())
    wanted = set(paper_ids)
    return SuggestionPool(
        papers=[paper for paper in indexed if paper.paper_id in wanted],
        rarity=rarity,
        candidates=Candidates({i: rarity.weigh(terms[i]) for i in terms if i in wanted}),
    )


def load_rated_papers(session: Session, subscriber_ids: Sequence[int]) -> dict[int, RatedPapers]:
    """Return the feedback of those subscribers from whose feedback digests learn, where it is enough."""
    rated = get_tastes(session, subscriber_ids)
    return {
        i: papers
        for i, papers in rated.items()
        if len(papers.kept) + len(papers.dismissed) >= FEWEST_SIGNALS
    }


def load_tastes(
    session: Session, rated: Mapping[int, RatedPapers], pool: SuggestionPool
) -> dict[int, Taste]:
    """Return the taste of each subscriber in `rated`, with term weights from the pool."""
    if not rated or not pool.papers:
        return {}
    vectors = _load_vectors(session, rated.values(), pool.rarity)
    siblings = find_siblings(session, [paper.paper_id for paper in pool.papers])
    muted = _find_muted(session, sorted(rated), pool.papers)
    return {
        subscriber_id: Taste(
            tuple(vectors[i] for i in feedback.kept[:MOST_FEEDBACK]),
            tuple(vectors[i] for i in feedback.dismissed[:MOST_FEEDBACK]),
            frozenset(siblings.get(i, i) for i in (*feedback.kept, *feedback.dismissed)).union(
                muted.get(subscriber_id, ())
            ),
        )
        for subscriber_id, feedback in rated.items()
    }


def _load_vectors(
    session: Session, rated: Iterable[RatedPapers], rarity: Rarity
) -> dict[int, Vector]:
    wanted = {i for r in rated for ids in (r.kept, r.dismissed) for i in ids[:MOST_FEEDBACK]}
    return weigh_papers(session, wanted, rarity)


def weigh_papers(session: Session, paper_ids: Iterable[int], rarity: Rarity) -> dict[int, Vector]:
    """Return the vectors of stored papers, by id."""
    return {
        paper.paper_id: rarity.weigh(count_terms(paper.title, paper.abstract))
        for paper in index_papers(session, sorted(paper_ids))
    }


def _find_muted(
    session: Session, subscriber_ids: Sequence[int], papers: Sequence[IndexedPaper]
) -> dict[int, set[int]]:
    """Return, by subscriber, the papers that any of the subscriber's topics excludes."""
    topics = get_topics(session, subscriber_ids)
    clauses = {
        canonical: muted_clauses(parse_query(canonical))
        for own in topics.values()
        for _, canonical in own
    }
    found = _match_leaves(session, {leaf for each in clauses.values() for leaf in each}, papers)
    return {
        subscriber_id: {
            i for _, canonical in own for leaf in clauses[canonical] for i in found.get(leaf, ())
        }
        for subscriber_id, own in topics.items()
    }


def _match_leaves(
    session: Session, wanted: Iterable[Leaf], papers: Sequence[IndexedPaper]
) -> dict[Leaf, set[int]]:
    # `like:` clauses are left out: they have no words, and cost more than all others together.
    leaves = sorted((leaf for leaf in wanted if not isinstance(leaf, Like)), key=str)
    lexicon = fetch_lexemes(session, {text for leaf in leaves for text in leaf_texts(leaf)})
    found: dict[Leaf, set[int]] = {leaf: set() for leaf in leaves}
    for number, paper_id, _ in match_papers(enumerate(leaves), papers, lexicon):
        found[leaves[number]].add(paper_id)
    return found
