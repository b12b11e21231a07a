"""Papers beyond an edition's own, for the few subscribers who get some with it.

They waited for a weekday or for company, or came while the subscriber changed from one cadence to
another. Such a digest is composed of the edition's papers as every digest is, and joined with one
composed of these papers. All others cost two look-ups a chunk, which find nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from service.deliveries.domain.digest import Digest, TopicWait
from service.deliveries.store.sent_papers import find_seen
from service.editions.domain.compose import (
    CARRIED_TITLE,
    EditionSubscriber,
    MatchedTopic,
    compose_digest,
    find_followed,
)
from service.editions.domain.edition_index import EditionIndex
from service.editions.domain.learned_order import place_factors
from service.editions.domain.merge import join_waiting
from service.editions.domain.ranking import order_entries
from service.editions.domain.recommendations import Candidates, Rarity
from service.editions.domain.waiting import (
    DigestDay,
    TopicMatch,
    WaitingTopic,
    describe_waits,
    hold_topics,
)
from service.editions.edition_cache import load_index
from service.editions.match_topics import load_matched_topics
from service.editions.recommend import weigh_papers
from service.editions.store import waiting_papers as store
from service.editions.store.models import Edition
from service.editions.store.sent_editions import find_places
from service.papers.store.works import find_siblings
from service.platform.settings.settings import Settings
from service.subscribers.store.candidates import Candidate
from service.topics.domain.types import TopicMeasure

WAITED_TITLE = "Papers that waited"


@dataclass(slots=True)
class ChunkWaiting:
    """What waits of a chunk's subscribers, by their ids, with an `index` of these papers.

    `saved` and `extras`, papers beyond the edition's own, fill while they are composed.
    """

    edition_index: EditionIndex

    measures: Mapping[int, Mapping[int, TopicMeasure]] = field(default_factory=dict)
    waiting: Mapping[int, Sequence[WaitingTopic]] = field(default_factory=dict)
    gaps: Mapping[int, frozenset[int]] = field(default_factory=dict)
    seen: Mapping[int, frozenset[int]] = field(default_factory=dict)
    topics: Mapping[int, Sequence[MatchedTopic]] = field(default_factory=dict)
    index: EditionIndex | None = None
    candidates: Candidates = field(default_factory=lambda: Candidates({}))
    saved: dict[int, tuple[WaitingTopic, ...]] = field(default_factory=dict)
    extras: set[int] = field(default_factory=set)

    def concerns(self, subscriber_id: int) -> bool:
        return (
            subscriber_id in self.measures
            or subscriber_id in self.waiting
            or subscriber_id in self.gaps
        )


def lock_changing(session: Session, subscribers: Sequence[Candidate]) -> None:
    """Let nobody change the cadence who just did, until the commit; before other rows are locked."""
    with_gap = [one.id for one in subscribers if one.gap_since is not None]
    if with_gap:
        store.lock_gaps(session, with_gap)


def load_chunk_waiting(
    session: Session,
    settings: Settings,
    edition: Edition,
    edition_index: EditionIndex,
    subscribers: Sequence[Candidate],
) -> ChunkWaiting:
    """Return what waits of these subscribers, with an index of those papers where there are any."""
    ids = [one.id for one in subscribers]
    measures, waiting = store.load_measures(session, ids), store.load_waiting(session, ids)
    chunk = ChunkWaiting(edition_index, measures, waiting)
    with_gap = [one.id for one in subscribers if one.gap_since is not None]
    if with_gap:
        chunk.gaps = store.find_gap_papers(session, edition, with_gap)
    concerned = [i for i in ids if i in chunk.waiting or i in chunk.gaps]
    papers = {i for several in chunk.waiting.values() for one in several for i in one.paper_ids}
    papers = papers.union(*chunk.gaps.values())
    if not papers:
        return chunk
    chunk.index = load_index(session, sorted(papers), {})
    chunk.topics = load_matched_topics(session, settings, chunk.index, concerned)
    siblings = find_siblings(session, sorted(papers))
    places = find_places(session, siblings, edition.id)
    sent = find_seen(session, concerned, siblings, places, edition.id)
    chunk.seen = {i: frozenset(siblings[p] for p in found) for i, found in sent.items()}
    return chunk


def weigh_waiting(session: Session, chunk: ChunkWaiting, rarity: Rarity) -> None:
    """Let what digests learn concern the papers that wait, too."""
    if chunk.index is not None:
        chunk.candidates = Candidates(weigh_papers(session, chunk.index.ids, rarity))


def save_chunk_waiting(
    session: Session, edition: Edition, chunk: ChunkWaiting, subscribers: Sequence[Candidate]
) -> None:
    """Store what waits after this edition, and that gaps are closed."""
    if chunk.waiting or chunk.saved:
        store.save_waiting(session, chunk.saved, chunk.waiting)
    store.save_extras(session, edition.id, chunk.extras)
    with_gap = [one.id for one in subscribers if one.gap_since is not None]
    if with_gap:
        store.close_gaps(session, edition, with_gap)


def compose_with_waiting(
    chunk: ChunkWaiting,
    recipient: EditionSubscriber,
    subscriber_id: int,
    day: DigestDay,
    learned: Mapping[int, int],
    compose: Callable[[EditionSubscriber], Digest | None],
) -> tuple[Digest | None, tuple[TopicWait, ...]]:
    """Return the digest of a subscriber whose papers may wait, and what waits after it.

    `compose` makes the digest of the edition's papers. What waits is noted to be saved.
    `learned` factors are of both kinds of papers.
    """
    number, measures = subscriber_id, chunk.measures.get(subscriber_id, {})
    seen = chunk.seen.get(number, frozenset())
    gap = chunk.gaps.get(number, frozenset()) - seen
    waiting = [
        one._replace(paper_ids=tuple(i for i in one.paper_ids if i not in seen))
        for one in chunk.waiting.get(number, ())
    ]
    matches = _match(chunk, recipient, number, gap)
    held = hold_topics(matches, measures, waiting, day)
    chunk.saved[number] = tuple(held.values())
    coming = tuple(topic for topic in recipient.topics if topic.topic_id not in held)
    recipient = replace(recipient, topics=coming, all_wait=bool(held) and not coming)
    come = gap.union(*(one.paper_ids for one in waiting if one.topic_id not in held))
    digest = compose(recipient)
    waited = _compose_waited(chunk, recipient, come, waiting, learned)
    if waited is not None and chunk.index is not None:
        chunk.extras.update(waited.paper_ids)
        followed = {
            number
            for each in (chunk.edition_index, chunk.index)
            for number in each.ids_of(find_followed(recipient, each))
        }
        papers = {**chunk.edition_index.papers, **chunk.index.papers}
        digest = join_waiting(
            digest or Digest(()),
            waited,
            [each.topic_id for each in coming],
            lambda entries: order_entries(entries, papers, followed, learned),
        )
    titles = {match.topic_id: match.title for match in matches}
    return digest, describe_waits(held.values(), titles, measures, day)


def _match(
    chunk: ChunkWaiting, recipient: EditionSubscriber, subscriber_id: int, extra: frozenset[int]
) -> list[TopicMatch]:
    """Return what is new for each topic, among the edition's papers and those of a gap."""
    index = chunk.edition_index
    seen = index.find_seen(recipient.seen_ids)
    more = {}
    if extra and chunk.index is not None:
        beyond = chunk.index
        more = {
            topic.topic_id: extra.intersection(beyond.ids_of(beyond.find(topic.canonical)))
            for topic in chunk.topics.get(subscriber_id, ())
        }
    return [
        TopicMatch(
            topic.topic_id,
            topic.title,
            frozenset(index.ids_of(index.find(topic.canonical) & ~seen))
            | more.get(topic.topic_id, frozenset()),
        )
        for topic in recipient.topics
    ]


def _compose_waited(
    chunk: ChunkWaiting,
    recipient: EditionSubscriber,
    wanted: frozenset[int],
    waiting: Sequence[WaitingTopic],
    learned: Mapping[int, int],
) -> Digest | None:
    """Return the digest of these papers, which waited or are of a gap; None where there are none."""
    index = chunk.index
    if not wanted or index is None:
        return None
    orphans = frozenset(i for one in waiting if not one.topic_id for i in one.paper_ids)
    others = frozenset(index.ids) - wanted
    of_these = replace(
        recipient, seen_ids=others, carried_ids=orphans, unsent_ids=orphans, updates=(),
        learned=place_factors(learned, index.ids),
    )  # fmt: skip
    digest = compose_digest(of_these, index, len(index.ids), {})
    if digest is None:
        return None
    groups = tuple(
        replace(group, title=WAITED_TITLE) if group.title == CARRIED_TITLE else group
        for group in digest.groups
    )
    return replace(digest, groups=groups)
