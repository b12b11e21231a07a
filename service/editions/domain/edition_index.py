"""An edition's papers as composing asks them: what a topic wants of them, best first, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    standings,
    weigh_reasons,
)
from service.papers.domain.types import Paper
from service.topics.domain.matching.bitsets import Bits, Reasons, list_bits, to_bits
from service.topics.domain.matching.compiled import ClauseForm
from service.topics.domain.matching.paper_index import DayIndex, IndexedPaper, Lexicon


class Day:
    """The papers of an edition in the order in which they stand by themselves (`rank_papers`).

    So the lowest bit of a set of papers is the one that stands best, and of papers that match
    equally well none need be compared. `revisions`: paper id -> version, for papers that are there
    because a newer version was announced.
    """

    def __init__(
        self,
        papers: Mapping[int, Paper],
        indexed: Iterable[IndexedPaper],
        lexicon: Lexicon,
        likes: Mapping[str, Bits] | None = None,
        revisions: Mapping[int, int] | None = None,
        forms: Mapping[str, ClauseForm] | None = None,
    ) -> None:
        self.papers = papers
        self.revisions = {} if revisions is None else revisions
        standing = standings(papers.values())
        ordered = sorted(indexed, key=lambda paper: standing[paper.paper_id].place)
        self.ids = [paper.paper_id for paper in ordered]
        self._trends = [standing[i].trend for i in self.ids]
        self._clusters = [standing[i].cluster for i in self.ids]
        self._positions = {paper_id: at for at, paper_id in enumerate(self.ids)}
        self._revised = self._gather(self.revisions)
        self.index = DayIndex(ordered, lexicon, likes, forms)
        self._wanted: dict[str, Bits] = {}
        self._followed: dict[str, Bits] = {}
        new = ((1 << len(self.ids)) - 1) & ~self._revised
        noticed = self._gather(i for i in self.ids if papers[i].upvotes) & new
        self._new, self._noticed = new, noticed

    def _gather(self, paper_ids: Iterable[int]) -> Bits:
        positions = self._positions
        return to_bits([positions[i] for i in paper_ids if i in positions])

    def keep(self, topics: Iterable[str], found: Iterable[Bits]) -> None:
        """Keep what was found for topics (canonical texts) elsewhere: `find` is then one look-up."""
        self._wanted.update(zip(topics, found, strict=True))

    def find(self, topic: str) -> Bits:
        """The papers a topic (canonical text) wants."""
        wanted = self._wanted.get(topic)
        if wanted is None:
            wanted = self._wanted[topic] = self.index.find(topic)
        return wanted

    def find_trending(self, seen: Bits) -> Bits:
        """For readers without topics: what people noticed; where nobody noticed any, everything new."""
        return self._noticed & ~seen or self._new & ~seen

    def find_seen(self, paper_ids: Iterable[int]) -> Bits:
        """Those a reader was sent. A newer version of such a paper has not been sent."""
        return self._gather(paper_ids) & ~self._revised

    def find_followed(self, topic: str) -> Bits:
        """The papers that a topic wants because somebody it names wrote them, guesses left out."""
        if topic not in self._followed:
            found = list_bits(self.find(topic))
            told = zip(found, self.tell(topic, found), strict=True)
            self._followed[topic] = to_bits(find_followed(told))
        return self._followed[topic]

    def tell(self, topic: str, positions: Iterable[int]) -> list[Reasons]:
        """Why the topic wants each of some papers that it does want."""
        tell = self.index.tell
        return [tell(topic, at) for at in positions]

    def order(
        self, topic: str, papers: Bits, followed: Bits = 0, most: int | None = None
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

    def _rank(self, weighed: list[tuple[int, Bits]], most: int | None = None) -> list[int]:
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

    def _weigh(self, topic: str, papers: Bits, followed: Bits) -> list[tuple[int, Bits]]:
        """`papers` by relevance x author-follow; each of them is in one set."""
        titles = self.index.split_by_title(topic)
        if titles is None:
            return self._weigh_each(topic, papers, followed)
        weights: dict[int, Bits] = {BASE_RELEVANCE: papers}
        for in_title in titles:
            split: dict[int, Bits] = {}
            for weight, alike in weights.items():
                for more, part in (
                    (TITLE_WEIGHT, alike & in_title),
                    (ABSTRACT_WEIGHT, alike & ~in_title),
                ):
                    if part:
                        split[weight + more] = split.get(weight + more, 0) | part
            weights = split
        if not followed:
            return [(weight * NOT_FOLLOWED, alike) for weight, alike in weights.items()]
        return [
            (weight * follow, part)
            for weight, alike in weights.items()
            for follow, part in ((NOT_FOLLOWED, alike & ~followed), (FOLLOWED, alike & followed))
            if part
        ]

    def _weigh_each(self, topic: str, papers: Bits, followed: Bits) -> list[tuple[int, Bits]]:
        weights: dict[int, Bits] = {}
        positions = list_bits(papers)
        for at, reasons in zip(positions, self.tell(topic, positions), strict=True):
            follow = FOLLOWED if followed >> at & 1 else NOT_FOLLOWED
            weight = weigh_reasons(reasons, follow)
            weights[weight] = weights.get(weight, 0) | 1 << at
        return list(weights.items())

    def name(self, papers: Bits) -> list[int]:
        """The ids of a set of papers, in the order in which they stand."""
        ids = self.ids
        return [ids[at] for at in list_bits(papers)]
