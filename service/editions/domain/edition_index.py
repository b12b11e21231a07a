"""The edition index: an edition's papers in memory, with each topic's matches and their order."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from service.editions.domain import ranking
from service.papers.domain.paper_order import MOST_WITHOUT_TOPICS, is_noticed
from service.papers.domain.types import PaperView
from service.topics.domain.matching.bitsets import PaperSet, Reasons, list_bits, to_bits
from service.topics.domain.matching.bulk import (
    CompiledTopics,
    StoredClauses,
    StoredTopics,
    TopicSets,
)
from service.topics.domain.matching.clause_index import IndexedPaper
from service.topics.domain.matching.compiled import Lexicon
from service.topics.domain.matching.paper_index import PaperIndex


class EditionIndex:
    """An edition's papers in memory, in the order of `rank_papers`; a set of papers is a bit set.

    The lowest bit of a set is the best paper, so papers that match equally well need no comparison.
    `revisions`: paper id -> version, for papers included because a newer version was announced.

    The index caches the matches: stored topics are matched thousands at a time (`cache_matches`,
    after `learn_clauses`), any other topic on its first `find`.
    """

    def __init__(
        self,
        papers: Mapping[int, PaperView],
        indexed: Iterable[IndexedPaper],
        revisions: Mapping[int, int] | None = None,
        lexicon: Lexicon | None = None,
    ) -> None:
        self.papers = papers
        self.revisions = {} if revisions is None else revisions
        rank = ranking.ranks(papers.values())
        ordered = sorted(indexed, key=lambda paper: rank[paper.paper_id].place)
        self.ids = [paper.paper_id for paper in ordered]
        self._trends = [rank[i].trend for i in self.ids]
        self._clusters = [rank[i].cluster for i in self.ids]
        self._positions = {paper_id: at for at, paper_id in enumerate(self.ids)}
        self._revised = self._gather(self.revisions)
        self._new = ((1 << len(self.ids)) - 1) & ~self._revised
        self._noticed = self._gather(i for i in self.ids if is_noticed(papers[i])) & self._new
        self._forms = CompiledTopics()
        self._likes: dict[str, PaperSet] = {}
        self.paper_index = PaperIndex(ordered, lexicon or {}, self._likes, self._forms)
        self._stored = TopicSets(self.paper_index)
        self._texts: dict[int, str] = {}
        self._matches: dict[str, PaperSet] = {}
        self._followed: dict[str, PaperSet] = {}

    def _gather(self, paper_ids: Iterable[int]) -> PaperSet:
        positions = self._positions
        return to_bits([positions[i] for i in paper_ids if i in positions])

    @property
    def offered_ids(self) -> list[int]:
        """The ids of papers that may be recommended: new in this edition and not withdrawn."""
        papers, revisions = self.papers, self.revisions
        return [i for i in self.ids if i not in revisions and not papers[i].is_withdrawn]

    def unknown_topics(self, canonical_ids: Iterable[int]) -> set[int]:
        """Return those stored topics (rows of `canonicals`) that have no cached matches yet."""
        return {number for number in canonical_ids if number not in self._texts}

    def unknown_clauses(self, topics: Iterable[StoredTopics]) -> set[int]:
        """Return the numbers of the clauses that `cache_matches` lacks for these topics."""
        return self._stored.lacking(topics)

    def unknown_parts(self, clauses: Iterable[StoredClauses]) -> set[int]:
        """Return the numbers of the clauses inside groups that `cache_matches` lacks."""
        return self._stored.lacking_inside(clauses)

    def unknown_likes(self, likes: Mapping[str, str]) -> dict[str, str]:
        """Return those `like:` clauses (canonical text -> text or paper named) not learned yet."""
        return {clause: text for clause, text in likes.items() if clause not in self._likes}

    @property
    def has_likes(self) -> bool:
        """Whether any `like:` clause was learned."""
        return bool(self._likes)

    def learn_clauses(
        self, clauses: Sequence[StoredClauses], likes: Mapping[str, PaperSet]
    ) -> None:
        """Match clauses; `likes` are the papers of those `like:` clauses that were unknown."""
        self._likes.update(likes)
        self._forms.add(clauses)
        self._stored.learn(clauses)

    def cache_matches(self, topics: Iterable[StoredTopics]) -> None:
        """Match stored topics for a fast `find`. Raises `KeyError` for a clause not learned."""
        for group in topics:
            self._texts.update(zip(group.ids, group.texts, strict=True))
            self._matches.update(zip(group.texts, self._stored.find_all(group), strict=True))

    def texts_of(self, canonical_ids: Iterable[int]) -> Iterator[str]:
        """Return the canonical texts of stored topics whose matches are cached."""
        return map(self._texts.__getitem__, canonical_ids)

    def find(self, topic: str) -> PaperSet:
        """Return the papers that match a topic (canonical text)."""
        matches = self._matches.get(topic)
        if matches is None:
            matches = self._matches[topic] = self.paper_index.find(topic)
        return matches

    def find_best(self, seen: PaperSet) -> tuple[bool, PaperSet]:
        """Return the best new papers, for a digest without topics, and whether any is noticed.

        As `pick_best`: the index is in the order of `rank_papers`, so the first positions are best.
        """
        noticed = self._noticed & ~seen
        best = list_bits(noticed or self._new & ~seen)[:MOST_WITHOUT_TOPICS]
        return bool(noticed), to_bits(best)

    def find_seen(self, paper_ids: Collection[int]) -> PaperSet:
        """Return these papers as a set, without those that are here as a newer version."""
        return self._gather(paper_ids) & ~self._revised if paper_ids else 0

    def find_followed(self, topic: str) -> PaperSet:
        """Return the papers that match a topic by an author it names, without guesses."""
        if topic not in self._followed:
            found = list_bits(self.find(topic))
            matches = zip(found, self.explain(topic, found), strict=True)
            self._followed[topic] = to_bits(ranking.find_followed(matches))
        return self._followed[topic]

    def explain(self, topic: str, positions: Iterable[int]) -> list[Reasons]:
        """Return the reasons why each of these papers, which must match, matches the topic."""
        explain = self.paper_index.explain
        return [explain(topic, at) for at in positions]

    def order(
        self,
        topic: str,
        papers: PaperSet,
        followed: PaperSet = 0,
        most: int | None = None,
        learned: Sequence[int] | None = None,
    ) -> list[int]:
        """Return the positions of `papers`, which `topic` matches, best first and clusters spread.

        docs/ranking.md has the formula. At most `most` positions are returned. `learned`: the factor of
        each position in thousandths (`learned_order`), for a subscriber who gave feedback.
        """
        weighed = self._weigh(topic, papers, followed)
        if learned is not None:
            weighed = [
                (weight * learned[at], 1 << at)
                for weight, alike in weighed
                for at in list_bits(alike)
            ]
        ranked = self._rank(weighed, most)
        if ranking.is_cluster_spread([self._clusters[at] for at in ranked]):
            return ranked
        spread = ranking.spread_clusters(iter(self._rank(weighed)), self._clusters)
        return list(islice(spread, most))

    def _rank(self, weighed: list[tuple[int, PaperSet]], most: int | None = None) -> list[int]:
        """Return the best `most` positions by weight x trend; ties keep the index's order."""
        if len(weighed) == 1:
            return list_bits(weighed[0][1])[:most]
        # Among papers of one weight the first `most` are the best, so the rest are left out.
        # Weight, trend and place are one number, which sorts five times as fast as a tuple of them.
        count, trends = len(self.ids), self._trends
        keys = [
            at - weight * trends[at] * count
            for weight, alike in weighed
            for at in list_bits(alike)[:most]
        ]
        keys.sort()
        return [key % count for key in keys[:most]]

    def _weigh(
        self, topic: str, papers: PaperSet, followed: PaperSet
    ) -> list[tuple[int, PaperSet]]:
        """Split `papers` into disjoint sets by relevance x author-follow."""
        titles = self.paper_index.split_by_title(topic)
        if titles is None:
            return self._weigh_each(topic, papers, followed)
        weights = _weigh_by_title(papers, titles)
        if not followed:
            return [(weight * ranking.NOT_FOLLOWED, alike) for weight, alike in weights.items()]
        return [
            (weight * follow, part)
            for weight, alike in weights.items()
            for follow, part in (
                (ranking.NOT_FOLLOWED, alike & ~followed),
                (ranking.FOLLOWED, alike & followed),
            )
            if part
        ]

    def _weigh_each(
        self, topic: str, papers: PaperSet, followed: PaperSet
    ) -> list[tuple[int, PaperSet]]:
        weights: dict[int, PaperSet] = {}
        positions = list_bits(papers)
        for at, reasons in zip(positions, self.explain(topic, positions), strict=True):
            follow = ranking.FOLLOWED if followed >> at & 1 else ranking.NOT_FOLLOWED
            weight = ranking.weigh_reasons(reasons, follow)
            weights[weight] = weights.get(weight, 0) | 1 << at
        return list(weights.items())

    def ids_of(self, papers: PaperSet) -> list[int]:
        """Return the ids of a set of papers, in the index's order."""
        ids = self.ids
        return [ids[at] for at in list_bits(papers)]


def _weigh_by_title(papers: PaperSet, titles: Iterable[PaperSet]) -> dict[int, PaperSet]:
    """Split `papers` by relevance; each of `titles` is the set with one clause in the title."""
    weights: dict[int, PaperSet] = {ranking.BASE_RELEVANCE: papers}
    for in_title in titles:
        split: dict[int, PaperSet] = {}
        for weight, alike in weights.items():
            for more, part in (
                (ranking.TITLE_WEIGHT, alike & in_title),
                (ranking.ABSTRACT_WEIGHT, alike & ~in_title),
            ):
                if part:
                    split[weight + more] = split.get(weight + more, 0) | part
        weights = split
    return weights
