"""The papers of an edition in memory: which of them a topic wants, best first, and why."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from service.editions.domain.ranking import (
    ABSTRACT_WEIGHT,
    BASE_RELEVANCE,
    FOLLOWED,
    NOT_FOLLOWED,
    TITLE_WEIGHT,
    find_followed,
    is_spread,
    iterate_spread,
    ranks,
    weigh_reasons,
)
from service.papers.domain.types import PaperView
from service.topics.domain.matching.bitsets import PaperSet, Reasons, list_bits, to_bits
from service.topics.domain.matching.bulk import (
    CompiledTopics,
    StoredClauses,
    StoredTopics,
    TopicSets,
)
from service.topics.domain.matching.paper_index import IndexedPaper, Lexicon, PaperIndex


class EditionIndex:
    """The papers of an edition in the order in which they stand by themselves (`rank_papers`).

    So the lowest bit of a set of papers is the one that stands best, and of papers that match
    equally well none need be compared. `revisions`: paper id -> version, for papers that are there
    because a newer version was announced.

    The index owns the matches: stored topics are matched thousands at a time (`cache_matches`,
    after `learn_clauses`), any other topic when it is asked for, and each of them once.
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
        rank = ranks(papers.values())
        ordered = sorted(indexed, key=lambda paper: rank[paper.paper_id].place)
        self.ids = [paper.paper_id for paper in ordered]
        self._trends = [rank[i].trend for i in self.ids]
        self._clusters = [rank[i].cluster for i in self.ids]
        self._positions = {paper_id: at for at, paper_id in enumerate(self.ids)}
        self._revised = self._gather(self.revisions)
        self._new = ((1 << len(self.ids)) - 1) & ~self._revised
        self._noticed = self._gather(i for i in self.ids if papers[i].upvotes) & self._new
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
        """The papers that may be recommended to subscribers who did not ask for them."""
        papers, revisions = self.papers, self.revisions
        return [i for i in self.ids if i not in revisions and not papers[i].is_withdrawn]

    def unknown_topics(self, canonical_ids: Iterable[int]) -> set[int]:
        """Which of these stored topics (rows of `canonicals`) have no matches here yet."""
        return {number for number in canonical_ids if number not in self._texts}

    def unknown_clauses(self, topics: Iterable[StoredTopics]) -> set[int]:
        """The numbers of the clauses that `cache_matches` would lack for these topics."""
        return self._stored.lacking(topics)

    def unknown_parts(self, clauses: Iterable[StoredClauses]) -> set[int]:
        """The same of the clauses inside groups."""
        return self._stored.lacking_inside(clauses)

    def unknown_likes(self, likes: Mapping[str, str]) -> dict[str, str]:
        """Those of some `like:` clauses (canonical text -> what it names) to be looked up first."""
        return {clause: text for clause, text in likes.items() if clause not in self._likes}

    @property
    def has_likes(self) -> bool:
        """Whether any `like:` clause was learned."""
        return bool(self._likes)

    def learn_clauses(
        self, clauses: Sequence[StoredClauses], likes: Mapping[str, PaperSet]
    ) -> None:
        """Look clauses up; `likes` are the papers of those `like:` clauses that were unknown."""
        self._likes.update(likes)
        self._forms.add(clauses)
        self._stored.learn(clauses)

    def cache_matches(self, topics: Iterable[StoredTopics]) -> None:
        """Match stored topics; `find` is then one look-up. Raises `KeyError` for unknown clauses."""
        for some in topics:
            self._texts.update(zip(some.ids, some.texts, strict=True))
            self._matches.update(zip(some.texts, self._stored.find_all(some), strict=True))

    def texts_of(self, canonical_ids: Iterable[int]) -> Iterator[str]:
        """The canonical texts of stored topics whose matches are cached."""
        return map(self._texts.__getitem__, canonical_ids)

    def find(self, topic: str) -> PaperSet:
        """The papers a topic (canonical text) wants."""
        wanted = self._matches.get(topic)
        if wanted is None:
            wanted = self._matches[topic] = self.paper_index.find(topic)
        return wanted

    def find_trending(self, seen: PaperSet) -> PaperSet:
        """For readers without topics: what people noticed; where nobody noticed any, everything new."""
        return self._noticed & ~seen or self._new & ~seen

    def find_seen(self, paper_ids: Iterable[int]) -> PaperSet:
        """Those a reader was sent. A newer version of such a paper has not been sent."""
        return self._gather(paper_ids) & ~self._revised

    def find_followed(self, topic: str) -> PaperSet:
        """The papers that a topic wants because somebody it names wrote them, guesses left out."""
        if topic not in self._followed:
            found = list_bits(self.find(topic))
            matches = zip(found, self.explain(topic, found), strict=True)
            self._followed[topic] = to_bits(find_followed(matches))
        return self._followed[topic]

    def explain(self, topic: str, positions: Iterable[int]) -> list[Reasons]:
        """Why the topic wants each of some papers that it does want."""
        explain = self.paper_index.explain
        return [explain(topic, at) for at in positions]

    def order(
        self, topic: str, papers: PaperSet, followed: PaperSet = 0, most: int | None = None
    ) -> list[int]:
        """The positions in `papers`, which `topic` wants, best first and none too often in a row.

        docs/ranking.md has the formula. Of more than `most` papers only the first ones are ordered.
        """
        weighed = self._weigh(topic, papers, followed)
        ranked = self._rank(weighed, most)
        if is_spread([self._clusters[at] for at in ranked]):
            return ranked
        spread = iterate_spread(iter(self._rank(weighed)), self._clusters)
        return list(islice(spread, most))

    def _rank(self, weighed: list[tuple[int, PaperSet]], most: int | None = None) -> list[int]:
        """The best `most` positions by weight x trend; of equal ones the one that stands first."""
        if len(weighed) == 1:
            return list_bits(weighed[0][1])[:most]
        # Among papers of one weight those that stand first are the best, so the rest cannot come.
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
        """`papers` by relevance x author-follow; each of them is in one set."""
        titles = self.paper_index.split_by_title(topic)
        if titles is None:
            return self._weigh_each(topic, papers, followed)
        weights = _weigh_by_title(papers, titles)
        if not followed:
            return [(weight * NOT_FOLLOWED, alike) for weight, alike in weights.items()]
        return [
            (weight * follow, part)
            for weight, alike in weights.items()
            for follow, part in ((NOT_FOLLOWED, alike & ~followed), (FOLLOWED, alike & followed))
            if part
        ]

    def _weigh_each(
        self, topic: str, papers: PaperSet, followed: PaperSet
    ) -> list[tuple[int, PaperSet]]:
        weights: dict[int, PaperSet] = {}
        positions = list_bits(papers)
        for at, reasons in zip(positions, self.explain(topic, positions), strict=True):
            follow = FOLLOWED if followed >> at & 1 else NOT_FOLLOWED
            weight = weigh_reasons(reasons, follow)
            weights[weight] = weights.get(weight, 0) | 1 << at
        return list(weights.items())

    def ids_of(self, papers: PaperSet) -> list[int]:
        """The ids of a set of papers, in the order in which they stand."""
        ids = self.ids
        return [ids[at] for at in list_bits(papers)]


def _weigh_by_title(papers: PaperSet, titles: Iterable[PaperSet]) -> dict[int, PaperSet]:
    """`papers` by relevance alone; each of `titles` are the papers with one clause in the title."""
    weights: dict[int, PaperSet] = {BASE_RELEVANCE: papers}
    for in_title in titles:
        split: dict[int, PaperSet] = {}
        for weight, alike in weights.items():
            for more, part in (
                (TITLE_WEIGHT, alike & in_title),
                (ABSTRACT_WEIGHT, alike & ~in_title),
            ):
                if part:
                    split[weight + more] = split.get(weight + more, 0) | part
        weights = split
    return weights
