"""From an edition's papers and one reader to that reader's digest, without touching the world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from service.domain.day import Day
from service.domain.digest import TRENDING_TITLE, Digest, DigestEntry, DigestGroup, Happening
from service.domain.paper_sets import Bits
from service.domain.ranking import rank_papers
from service.domain.types import Paper, PaperEventKind

CARRIED_TITLE = "From your last edition"


class ReaderTopic(NamedTuple):
    """A topic as composing needs it: its row, its text as the reader wrote it, its canonical form."""

    topic_id: int
    title: str
    canonical: str


@dataclass(frozen=True, slots=True)
class Reader:
    """What composing needs of a subscriber.

    `topics` are in the reader's order; `seen_ids`: papers already sent; `carried_ids`: papers of an
    earlier mail to come again, marked but for the `unsent_ids` of mails that certainly did not
    arrive; `happenings`: what befell papers the reader was sent, for a digest that is sent anyway.
    """

    subscriber_id: int
    topics: tuple[ReaderTopic, ...] = ()
    seen_ids: frozenset[int] = frozenset()
    carried_ids: frozenset[int] = frozenset()
    unsent_ids: frozenset[int] = frozenset()
    happenings: tuple[Happening, ...] = ()

    def may_have_seen(self, paper_id: int) -> bool:
        return paper_id in self.carried_ids and paper_id not in self.unsent_ids


def compose_digest(
    reader: Reader, day: Day, max_papers: int, carried: Mapping[int, Paper] | None = None
) -> Digest | None:
    """The reader's digest, or None where nothing matched (an empty digest is not sent).

    `carried`: the reader's carried papers by id, so far as they are not the edition's own. A reader
    without topics gets the trending papers. A paper stands under the first topic that brought it.
    At most `max_papers` are shown, the rest is `cut_ids`, in the order in which they stand.
    """
    seen = day.find_seen(reader.seen_ids)
    wanted = _wanted(reader, day, seen)
    room, left, groups = max_papers, seen, []
    cut: Bits = 0
    for topic, found in wanted:
        papers = found & ~left
        if papers:
            shown = tuple(islice(_order(reader, day, topic, papers), room))
            room -= len(shown)
            shown_bits: Bits = sum(1 << at for at, _ in shown)
            left |= shown_bits
            cut |= papers & ~shown_bits
            if shown:
                entries = tuple(entry for _, entry in shown)
                groups.append(DigestGroup(topic.title, entries, topic.topic_id))
    again = rank_papers(_carried_alone(reader, day, wanted, carried or {}))
    if again[:room]:
        orphans = tuple(
            DigestEntry(
                paper.id, (), reader.may_have_seen(paper.id), day.revisions.get(paper.id, 0)
            )
            for paper in again[:room]
        )
        groups.append(DigestGroup(CARRIED_TITLE, orphans))
    cut_ids = (*day.name(cut & ~left), *(paper.id for paper in again[room:]))
    return Digest(tuple(groups), cut_ids, _still_news(reader, groups)) if groups else None


def _wanted(reader: Reader, day: Day, seen: Bits) -> list[tuple[ReaderTopic, Bits]]:
    if reader.topics:
        return [(topic, day.find(topic.canonical)) for topic in reader.topics]
    carried = day.find_seen(reader.carried_ids)
    return [(ReaderTopic(0, TRENDING_TITLE, ""), day.find_trending(seen) | carried)]


def _order(
    reader: Reader, day: Day, topic: ReaderTopic, papers: Bits
) -> Iterator[tuple[int, DigestEntry]]:
    """The papers a topic brings, best first: where each stands, and its entry."""
    followed: Bits = 0
    for other in reader.topics:
        if "au:" in other.canonical:
            followed |= day.find_followed(other.canonical)
    for at in day.order(topic.canonical, papers, followed):
        reasons = day.tell(topic.canonical, at) if topic.canonical else ()
        paper_id = day.ids[at]
        yield (
            at,
            DigestEntry(paper_id, reasons, reader.may_have_seen(paper_id), day.revision_of(at)),
        )


def _carried_alone(
    reader: Reader,
    day: Day,
    wanted: list[tuple[ReaderTopic, Bits]],
    carried: Mapping[int, Paper],
) -> list[Paper]:
    """Carried papers that no topic brings: it did when they were composed first, and may be gone."""
    if not reader.carried_ids:
        return []
    found: Bits = 0
    for _, papers in wanted:
        found |= papers
    brought = {*day.name(found), *reader.seen_ids}
    known = {**carried, **day.papers}
    return [known[i] for i in sorted(reader.carried_ids) if i in known and i not in brought]


def _still_news(reader: Reader, groups: list[DigestGroup]) -> tuple[Happening, ...]:
    """What befell papers, without the new versions that stand among the papers themselves."""
    revised = {entry.paper_id for group in groups for entry in group.entries if entry.revision}
    return tuple(
        one
        for one in reader.happenings
        if one.kind is not PaperEventKind.REVISED or one.paper_id not in revised
    )
