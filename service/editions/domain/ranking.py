"""Rank papers under a topic of a digest: a total order, so that ties are deterministic.

Relevance x trend x author-follow, then as on a page (`rank_papers`). docs/ranking.md has the formula
and an example. All factors are whole numbers, so that no order depends on rounding.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from service.deliveries.domain.digest import DigestEntry
from service.editions.domain.learned_order import UNCHANGED
from service.papers.domain.author_names import author_key
from service.papers.domain.latex.readable import fold
from service.papers.domain.paper_order import rank_papers
from service.papers.domain.types import PaperView
from service.topics.domain.types import Reason

# The relevance of a paper matched only by category or author; each clause found adds the weight of
# its best place. So a second clause adds less in proportion than the first.
BASE_RELEVANCE = 2
TITLE_WEIGHT = 4
ABSTRACT_WEIGHT = 2
_PLACES = {"title": TITLE_WEIGHT, "abstract": ABSTRACT_WEIGHT}

# In quarters: by name x 2, by an initial that may stand for the name x 1.25.
NOT_FOLLOWED, GUESSED, FOLLOWED = 4, 5, 8

# In thousandths: the last of a field x 0.5, the middle (and a paper without signals) x 1, the first
# x 2. A trending paper with a word in its abstract outranks a quiet one with it in its title.
_TREND_UNIT = 1000

# Two companions (part I and part II) may stand together; a third follows after another cluster.
MOST_IN_A_ROW = 2

_WORDS = re.compile(r"[^\W\d_]+")
_NUMERALS = re.compile(r"[ivx]+")
# Titles with fewer words than this ("Erratum", "Comment on …") are equal by chance.
_FEWEST_WORDS = 3


class PaperRank(NamedTuple):
    """A paper's rank values, the same for every topic of an edition.

    `trend` is its factor in thousandths, `place` its place (0 is first) by `rank_papers`, `cluster`
    a number that it shares with papers of its first author and with those of the same title.
    """

    trend: int
    place: int
    cluster: int


def ranks(papers: Iterable[PaperView]) -> dict[int, PaperRank]:
    """Return the rank values of every paper of an edition, by id."""
    ranked = rank_papers(papers)
    return {
        paper.id: PaperRank(round(_TREND_UNIT * 2 ** ((paper.trend - 50) / 50)), place, cluster)
        for place, (paper, cluster) in enumerate(zip(ranked, _find_clusters(ranked), strict=True))
    }


def _find_clusters(papers: Sequence[PaperView]) -> list[int]:
    """Number the connected components of papers with equal first authors or titles (union-find)."""
    parent = list(range(len(papers)))

    def find_root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first_with: dict[object, int] = {}
    for place, paper in enumerate(papers):
        for cluster_key in _iterate_cluster_keys(paper):
            parent[find_root(place)] = find_root(first_with.setdefault(cluster_key, place))
    return [find_root(place) for place in range(len(papers))]


def _iterate_cluster_keys(paper: PaperView) -> Iterable[object]:
    """Yield the keys that join papers into a cluster: first author, and title without numbers."""
    if paper.authors and (name := author_key(paper.authors[0])):
        yield name
    words = frozenset(
        word for word in _WORDS.findall(fold(paper.title)) if not _NUMERALS.fullmatch(word)
    )
    if len(words) >= _FEWEST_WORDS:
        yield words


def find_followed(matches: Iterable[tuple[int, tuple[Reason, ...]]]) -> frozenset[int]:
    """Return the papers that match a topic by an author it names, without guesses."""
    return frozenset(
        paper_id
        for paper_id, reasons in matches
        if any(reason.field == "author" and not reason.is_guess for reason in reasons)
    )


def weigh_reasons(reasons: Iterable[Reason], follow: int = NOT_FOLLOWED) -> int:
    """Return relevance x author-follow of one match, in quarters; `follow` is the least follow.

    A clause counts once, at its best place. Categories add nothing, since they say where a paper
    is, not what it is about.
    """
    best: dict[str, int] = {}
    for reason in reasons:
        if reason.field == "author":
            follow = max(follow, GUESSED if reason.is_guess else FOLLOWED)
        elif (weight := _PLACES.get(reason.field, 0)) > best.get(reason.clause, 0):
            best[reason.clause] = weight
    return (BASE_RELEVANCE + sum(best.values())) * follow


def order_entries(
    entries: Sequence[DigestEntry],
    papers: Mapping[int, PaperView],
    followed: Collection[int],
    learned: Mapping[int, int],
) -> list[DigestEntry]:
    """Return entries of one topic, whose papers are of two indexes, in the order of one.

    `papers` has theirs, and may have more; `learned` factors are in thousandths. Clusters are those
    among the entries alone.
    """
    rank = ranks(papers[entry.paper_id] for entry in entries)

    def sort_key(entry: DigestEntry) -> tuple[int, int]:
        number = entry.paper_id
        follow = FOLLOWED if number in followed else NOT_FOLLOWED
        weight = weigh_reasons(entry.reasons, follow) * learned.get(number, UNCHANGED)
        return -weight * rank[number].trend, rank[number].place

    by_id = {entry.paper_id: entry for entry in sorted(entries, key=sort_key)}
    clusters = {number: rank[number].cluster for number in by_id}
    return [by_id[number] for number in spread_clusters(iter(by_id), clusters)]


def is_cluster_spread(clusters: Sequence[int]) -> bool:
    """Return whether no more than `MOST_IN_A_ROW` of any cluster stand in a row."""
    if len({*clusters}) == len(clusters):
        return True
    runs = (clusters[n : n + MOST_IN_A_ROW + 1] for n in range(len(clusters) - MOST_IN_A_ROW))
    return all(len({*run}) > 1 for run in runs)


def spread_clusters(
    ranked: Iterator[int], clusters: Mapping[int, int] | Sequence[int]
) -> Iterator[int]:
    """Yield `ranked` with at most `MOST_IN_A_ROW` of a cluster in a row, while others are left.

    No paper is dropped: one too many is deferred until after the next paper of another cluster.
    Lazy: it reads no further ahead than needed. `clusters`: paper -> cluster.
    """
    waiting: list[int] = []
    last, in_a_row = None, 0
    while True:
        is_full = in_a_row >= MOST_IN_A_ROW
        at = -1
        if waiting:
            able = (n for n, each in enumerate(waiting) if not is_full or clusters[each] != last)
            at = next(able, -1)
        if at >= 0:
            paper = waiting.pop(at)
        else:
            paper = -1
            for following in ranked:
                if not is_full or clusters[following] != last:
                    paper = following
                    break
                waiting.append(following)
            if paper < 0:
                # Only papers of one cluster are left, and none of them may be dropped.
                yield from waiting
                return
        in_a_row = in_a_row + 1 if clusters[paper] == last else 1
        last = clusters[paper]
        yield paper
