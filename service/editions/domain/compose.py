"""Compose one subscriber's digest from an edition's papers: values in, a value out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

from service.deliveries.domain.digest import (
    NEWEST_TITLE,
    TRENDING_TITLE,
    Digest,
    DigestEntry,
    DigestGroup,
    PaperUpdate,
)
from service.editions.domain.edition_index import EditionIndex
from service.papers.domain.paper_order import rank_papers
from service.papers.domain.types import PaperEventKind, PaperView
from service.topics.domain.matching.bitsets import PaperSet, Reasons, to_bits

CARRIED_TITLE = "From your last edition"


class MatchedTopic(NamedTuple):
    """A topic for composing: its row, its name, its canonical form."""

    topic_id: int
    title: str
    canonical: str


@dataclass(frozen=True, slots=True)
class EditionSubscriber:
    """A subscriber's input for composing.

    `topics` are in the subscriber's order; `seen_ids`: papers already sent; `carried_ids`: papers
    carried over from an earlier mail, marked as maybe seen except the `unsent_ids`, of mails that
    certainly did not arrive; `updates`: paper updates, which alone make no digest. `all_wait`: there
    are topics, and the papers of all of them wait, so the best papers do not come instead. `learned`: a
    factor in thousandths for each of the edition's papers (`learned_order`), in the index's order.
    """

    topics: tuple[MatchedTopic, ...] = ()
    seen_ids: frozenset[int] = frozenset()
    carried_ids: frozenset[int] = frozenset()
    unsent_ids: frozenset[int] = frozenset()
    updates: tuple[PaperUpdate, ...] = ()
    all_wait: bool = False
    learned: Sequence[int] | None = None

    @property
    def maybe_seen_ids(self) -> frozenset[int]:
        """The carried papers that the subscriber may have seen."""
        return self.carried_ids - self.unsent_ids


def compose_digest(
    subscriber: EditionSubscriber,
    index: EditionIndex,
    max_papers: int,
    carried: Mapping[int, PaperView] | None = None,
) -> Digest | None:
    """Return the subscriber's digest, or None where nothing matched (an empty digest is not sent).

    `carried`: the subscriber's carried papers by id, except those in the edition. A subscriber
    without topics gets the day's best papers. A paper stands under the first topic that matches it.
    At most `max_papers` are shown, the rest are `cut_ids`, in the index's order.
    """
    seen = index.find_seen(subscriber.seen_ids)
    wanted = _find_wanted(subscriber, index, seen)
    groups, shown_or_seen = _group_by_topic(subscriber, index, wanted, seen, max_papers)
    found: PaperSet = 0
    for _, papers in wanted:
        found |= papers
    orphans = rank_papers(_find_orphans(subscriber, index, found, carried or {}))
    room = max_papers - sum(len(group.entries) for group in groups)
    if orphans[:room]:
        ids = [paper.id for paper in orphans[:room]]
        entries = _make_entries(subscriber, index, ids, repeat(()))
        groups.append(DigestGroup(CARRIED_TITLE, entries))
    if not groups:
        return None
    cut_ids = (*index.ids_of(found & ~shown_or_seen), *(paper.id for paper in orphans[room:]))
    return Digest(tuple(groups), cut_ids, _drop_listed_revisions(subscriber, groups))


def _find_wanted(
    subscriber: EditionSubscriber, index: EditionIndex, seen: PaperSet
) -> list[tuple[MatchedTopic, PaperSet]]:
    if subscriber.topics or subscriber.all_wait:
        return [(topic, index.find(topic.canonical)) for topic in subscriber.topics]
    carried = index.find_seen(subscriber.carried_ids)
    is_trending, best = index.find_best(seen)
    title = TRENDING_TITLE if is_trending else NEWEST_TITLE
    return [(MatchedTopic(0, title, ""), best | carried)]


def _group_by_topic(
    subscriber: EditionSubscriber,
    index: EditionIndex,
    wanted: Sequence[tuple[MatchedTopic, PaperSet]],
    seen: PaperSet,
    room: int,
) -> tuple[list[DigestGroup], PaperSet]:
    """Return the groups of at most `room` papers, and the union of those papers and `seen`."""
    followed = find_followed(subscriber, index)
    shown_or_seen, groups = seen, []
    for topic, found in wanted:
        papers = found & ~shown_or_seen
        if papers and room:
            shown = index.order(topic.canonical, papers, followed, room, subscriber.learned)
            room -= len(shown)
            shown_or_seen |= to_bits(shown)
            reasons = index.explain(topic.canonical, shown) if topic.canonical else repeat(())
            entries = _make_entries(subscriber, index, [index.ids[at] for at in shown], reasons)
            groups.append(DigestGroup(topic.title, entries, topic.topic_id))
    return groups, shown_or_seen


def find_followed(subscriber: EditionSubscriber, index: EditionIndex) -> PaperSet:
    """Return the papers that any topic matches by author; they rank higher under all topics."""
    followed: PaperSet = 0
    for topic in subscriber.topics:
        if "au:" in topic.canonical:
            followed |= index.find_followed(topic.canonical)
    return followed


def _make_entries(
    subscriber: EditionSubscriber,
    index: EditionIndex,
    ids: Sequence[int],
    reasons: Iterable[Reasons],
) -> tuple[DigestEntry, ...]:
    """Return the entries of these papers, each with the reasons of its match."""
    maybe_seen, revisions = subscriber.maybe_seen_ids, index.revisions
    return tuple(
        [
            DigestEntry(i, why, i in maybe_seen, revisions.get(i, 0))
            for i, why in zip(ids, reasons, strict=False)
        ]
    )


def _find_orphans(
    subscriber: EditionSubscriber,
    index: EditionIndex,
    found: PaperSet,
    carried: Mapping[int, PaperView],
) -> list[PaperView]:
    """Return the carried papers that no topic matches now: the one that did may be deleted."""
    if not subscriber.carried_ids:
        return []
    matched = {*index.ids_of(found), *subscriber.seen_ids}
    known = {**carried, **index.papers}
    return [known[i] for i in sorted(subscriber.carried_ids) if i in known and i not in matched]


def _drop_listed_revisions(
    subscriber: EditionSubscriber, groups: list[DigestGroup]
) -> tuple[PaperUpdate, ...]:
    """Return the paper updates without the new versions that the groups list already."""
    revised = {entry.paper_id for group in groups for entry in group.entries if entry.revision}
    return tuple(
        update
        for update in subscriber.updates
        if update.kind is not PaperEventKind.REVISED or update.paper_id not in revised
    )
