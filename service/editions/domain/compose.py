"""Compose one subscriber's digest from an edition's papers: values in, a value out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from service.deliveries.domain.digest import (
    TRENDING_TITLE,
    Digest,
    DigestEntry,
    DigestGroup,
    PaperUpdate,
)
from service.editions.domain.edition_index import EditionIndex
from service.editions.domain.ranking import rank_papers
from service.papers.domain.types import PaperEventKind, PaperView
from service.topics.domain.matching.bitsets import PaperSet, to_bits

CARRIED_TITLE = "From your last edition"


class MatchedTopic(NamedTuple):
    """A topic as composing needs it: its row, its text as the reader wrote it, its canonical form."""

    topic_id: int
    title: str
    canonical: str


@dataclass(frozen=True, slots=True)
class EditionSubscriber:
    """What composing needs of a subscriber.

    `topics` are in the reader's order; `seen_ids`: papers already sent; `carried_ids`: papers of an
    earlier mail to come again, marked but for the `unsent_ids` of mails that certainly did not
    arrive; `updates`: what befell papers the reader was sent, for a digest that is sent anyway.
    """

    subscriber_id: int
    topics: tuple[MatchedTopic, ...] = ()
    seen_ids: frozenset[int] = frozenset()
    carried_ids: frozenset[int] = frozenset()
    unsent_ids: frozenset[int] = frozenset()
    updates: tuple[PaperUpdate, ...] = ()

    @property
    def maybe_seen_ids(self) -> frozenset[int]:
        return self.carried_ids - self.unsent_ids


def compose_digest(
    subscriber: EditionSubscriber,
    index: EditionIndex,
    max_papers: int,
    carried: Mapping[int, PaperView] | None = None,
) -> Digest | None:
    """Return the reader's digest, or None where nothing matched (an empty digest is not sent).

    `carried`: the reader's carried papers by id, so far as they are not the edition's own. A reader
    without topics gets the trending papers. A paper stands under the first topic that brought it.
    At most `max_papers` are shown, the rest is `cut_ids`, in the order in which they stand.
    """
    seen = index.find_seen(subscriber.seen_ids)
    wanted = _find_wanted(subscriber, index, seen)
    groups, told = _group_by_topic(subscriber, index, wanted, seen, max_papers)
    found: PaperSet = 0
    for _, papers in wanted:
        found |= papers
    again = rank_papers(_find_orphans(subscriber, index, found, carried or {}))
    room = max_papers - sum(len(group.entries) for group in groups)
    if again[:room]:
        groups.append(DigestGroup(CARRIED_TITLE, _enter_orphans(subscriber, index, again[:room])))
    if not groups:
        return None
    cut_ids = (*index.ids_of(found & ~told), *(paper.id for paper in again[room:]))
    return Digest(tuple(groups), cut_ids, _still_news(subscriber, groups))


def _find_wanted(
    subscriber: EditionSubscriber, index: EditionIndex, seen: PaperSet
) -> list[tuple[MatchedTopic, PaperSet]]:
    if subscriber.topics:
        return [(topic, index.find(topic.canonical)) for topic in subscriber.topics]
    carried = index.find_seen(subscriber.carried_ids)
    return [(MatchedTopic(0, TRENDING_TITLE, ""), index.find_trending(seen) | carried)]


def _group_by_topic(
    subscriber: EditionSubscriber,
    index: EditionIndex,
    wanted: Sequence[tuple[MatchedTopic, PaperSet]],
    seen: PaperSet,
    room: int,
) -> tuple[list[DigestGroup], PaperSet]:
    """The groups of at most `room` papers, and those papers together with the `seen` ones."""
    followed = _find_followed(subscriber, index)
    told, groups = seen, []
    for topic, found in wanted:
        papers = found & ~told
        if papers and room:
            shown = index.order(topic.canonical, papers, followed, room)
            room -= len(shown)
            told |= to_bits(shown)
            entries = _enter(subscriber, index, topic, shown)
            groups.append(DigestGroup(topic.title, entries, topic.topic_id))
    return groups, told


def _find_followed(subscriber: EditionSubscriber, index: EditionIndex) -> PaperSet:
    """The papers that any of the reader's topics wants for their author; they gain under all."""
    followed: PaperSet = 0
    for topic in subscriber.topics:
        if "au:" in topic.canonical:
            followed |= index.find_followed(topic.canonical)
    return followed


def _enter(
    subscriber: EditionSubscriber,
    index: EditionIndex,
    topic: MatchedTopic,
    positions: Sequence[int],
) -> tuple[DigestEntry, ...]:
    """The entries of the papers at these positions, each with why the topic wants it."""
    ids, maybe_seen, revisions = index.ids, subscriber.maybe_seen_ids, index.revisions
    reasons = index.explain(topic.canonical, positions) if topic.canonical else repeat(())
    return tuple(
        [
            DigestEntry(ids[at], why, ids[at] in maybe_seen, revisions.get(ids[at], 0))
            for at, why in zip(positions, reasons, strict=False)
        ]
    )


def _find_orphans(
    subscriber: EditionSubscriber,
    index: EditionIndex,
    found: PaperSet,
    carried: Mapping[int, PaperView],
) -> list[PaperView]:
    """Carried papers that no topic brings: it did when they were composed first, and may be gone."""
    if not subscriber.carried_ids:
        return []
    brought = {*index.ids_of(found), *subscriber.seen_ids}
    known = {**carried, **index.papers}
    return [known[i] for i in sorted(subscriber.carried_ids) if i in known and i not in brought]


def _enter_orphans(
    subscriber: EditionSubscriber, index: EditionIndex, papers: Sequence[PaperView]
) -> tuple[DigestEntry, ...]:
    maybe_seen, revisions = subscriber.maybe_seen_ids, index.revisions
    return tuple(
        DigestEntry(paper.id, (), paper.id in maybe_seen, revisions.get(paper.id, 0))
        for paper in papers
    )


def _still_news(
    subscriber: EditionSubscriber, groups: list[DigestGroup]
) -> tuple[PaperUpdate, ...]:
    """What befell papers, without the new versions that stand among the papers themselves."""
    revised = {entry.paper_id for group in groups for entry in group.entries if entry.revision}
    return tuple(
        one
        for one in subscriber.updates
        if one.kind is not PaperEventKind.REVISED or one.paper_id not in revised
    )
