"""Suggestions for many readers at once: what is read is read once, whatever their number."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from service.editions.domain.recommendations import (
    FEWEST_KEPT,
    MOST_OPINIONS,
    Candidates,
    Rarity,
    Vector,
    count_terms,
    suggest,
)
from service.papers.store.read import newest_paper_ids
from service.papers.store.works import find_siblings
from service.subscribers.store.feedback import Opinions, get_tastes
from service.subscribers.store.subscribers import get_topics
from service.topics.domain.language import Leaf, Like, leaf_texts, parse_query
from service.topics.domain.language.edits import muted_clauses
from service.topics.domain.matching.paper_index import IndexedPaper, match_day
from service.topics.store.index_rows import index_papers
from service.topics.store.to_sql import fetch_lexemes

# How rare a word is, five papers of a quiet day cannot tell: the newest ones help out.
FEWEST_FOR_RARITY = 1000


@dataclass(frozen=True, slots=True)
class Shelf:
    """An edition's papers, made ready to be suggested; the same for every reader."""

    papers: Sequence[IndexedPaper]
    rarity: Rarity
    candidates: Candidates


def stock_shelf(session: Session, paper_ids: Collection[int]) -> Shelf:
    """The papers that may be suggested: those of the edition that are new and not withdrawn."""
    others = newest_paper_ids(session, FEWEST_FOR_RARITY) if _is_few(paper_ids) else ()
    read = index_papers(session, sorted({*paper_ids, *others}))
    terms = {paper.paper_id: count_terms(paper.title, paper.abstract) for paper in read}
    rarity = Rarity(terms.values())
    wanted = set(paper_ids)
    return Shelf(
        papers=[paper for paper in read if paper.paper_id in wanted],
        rarity=rarity,
        candidates=Candidates({i: rarity.weigh(terms[i]) for i in terms if i in wanted}),
    )


def _is_few(paper_ids: Collection[int]) -> bool:
    return len(paper_ids) < FEWEST_FOR_RARITY


def suggestions_for(
    session: Session,
    subscriber_ids: Sequence[int],
    paper_ids: Collection[int],
    barred: Callable[[int], Collection[int] | None],
    shelf: Callable[[], Shelf] | None = None,
) -> dict[int, tuple[int, ...]]:
    """By subscriber, up to three papers of `paper_ids`, the best first; who gets none is left out.

    `barred` tells for a subscriber, and is asked only for those who may get any, the papers not to
    suggest: those of the digest itself, and those sent before; None is for who is to get none. What
    a reader kept or dismissed, under any name, and what a topic of theirs excludes is barred
    anyway. `shelf` gives `stock_shelf` of the same papers, for callers with many readers.
    """
    said = get_tastes(session, subscriber_ids)
    tastes = {i: taste for i, taste in said.items() if len(taste.kept) >= FEWEST_KEPT}
    if not tastes or not paper_ids:
        return {}
    shelf_now = shelf() if shelf else stock_shelf(session, paper_ids)
    vectors = _read_vectors(session, tastes.values(), shelf_now.rarity)
    siblings = find_siblings(session, sorted(paper_ids))
    muted = _find_muted(session, sorted(tastes), shelf_now.papers)
    found: dict[int, tuple[int, ...]] = {}
    for subscriber_id, taste in tastes.items():
        never = barred(subscriber_id)
        if never is None:
            continue
        own = {siblings.get(i, i) for i in (*taste.kept, *taste.dismissed)}
        suggested = suggest(
            [vectors[i] for i in taste.kept[:MOST_OPINIONS]],
            [vectors[i] for i in taste.dismissed[:MOST_OPINIONS]],
            shelf_now.candidates,
            own.union(never, muted.get(subscriber_id, ())),
        )
        if suggested:
            found[subscriber_id] = suggested
    return found


def _read_vectors(
    session: Session, tastes: Iterable[Opinions], rarity: Rarity
) -> dict[int, Vector]:
    wanted = {
        i
        for taste in tastes
        for some in (taste.kept, taste.dismissed)
        for i in some[:MOST_OPINIONS]
    }
    return {
        paper.paper_id: rarity.weigh(count_terms(paper.title, paper.abstract))
        for paper in index_papers(session, sorted(wanted))
    }


def _find_muted(
    session: Session, subscriber_ids: Sequence[int], papers: Sequence[IndexedPaper]
) -> dict[int, set[int]]:
    """By subscriber, the papers that any of the reader's topics excludes."""
    topics = get_topics(session, subscriber_ids)
    clauses = {
        canonical: muted_clauses(parse_query(canonical))
        for own in topics.values()
        for _, canonical in own
    }
    # Likeness has no words to be muted by, and costs more than all of these together.
    leaves: list[Leaf] = sorted(
        {leaf for each in clauses.values() for leaf in each if not isinstance(leaf, Like)}, key=str
    )
    lexicon = fetch_lexemes(session, {text for leaf in leaves for text in leaf_texts(leaf)})
    found: dict[Leaf, set[int]] = {leaf: set() for leaf in leaves}
    for number, paper_id, _ in match_day(enumerate(leaves), papers, lexicon):
        found[leaves[number]].add(paper_id)
    return {
        subscriber_id: {
            i for _, canonical in own for leaf in clauses[canonical] for i in found.get(leaf, ())
        }
        for subscriber_id, own in topics.items()
    }
