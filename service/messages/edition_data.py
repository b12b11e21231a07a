"""In-memory cache of an edition's data, shared by all messages that a sending run builds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session

from service.deliveries.domain import digest_json
from service.deliveries.domain.digest import DigestEntry
from service.deliveries.store.claimed_rows import Claim, RecipientView
from service.deliveries.store.sent_copies import PartKey
from service.editions.store.edition_papers import get_edition_papers
from service.editions.store.editions import get_edition
from service.editions.store.models import Edition
from service.messages.contexts.digest import DigestPaper, DigestSection
from service.messages.digest_period import DigestDays, edition_days
from service.messages.signed_links import mute_url, paper_links
from service.papers.domain.types import PaperView
from service.papers.store.read import get_papers
from service.platform.caches import cached
from service.platform.settings.settings import Settings
from service.presentation.reasons import mutable_words
from service.subscribers.store.subscribers import get_named_topics
from service.topics.domain.language import QueryError, parse_query
from service.topics.domain.language.edits import leaves_nothing, parse_clause
from service.topics.domain.types import NamedTopic

# Of a bigint.
_LARGEST_ID = 2**63


@dataclass(slots=True)
class PaperEntries:
    """The papers of one edition as its messages show them, one value for all subscribers.

    Renderers cache cards by these values, so a card is rendered only once. Without
    `has_ai_summaries` every paper shows its abstract.
    """

    papers: Mapping[int, PaperView]
    late_ids: frozenset[int]
    settings: Settings
    has_ai_summaries: bool = True
    # By the topic's query and note, then by paper. A clause matches the same words of a paper for everyone,
    # so a note's key leaves the words out: comparing them would cost more.
    _placed: dict[tuple[str | None, digest_json.NoteKey], dict[int, DigestPaper]] = field(
        default_factory=dict
    )

    def take(
        self, entries: Iterable[DigestEntry], topic: str | None = None
    ) -> Iterator[DigestPaper]:
        """Yield the frozen entries whose papers still exist; without a query, as suggestions."""
        for entry in entries:
            placed = self._placed.setdefault((topic, digest_json.note_key(entry)), {})
            if entry.paper_id not in placed and entry.paper_id in self.papers:
                placed[entry.paper_id] = self._place(entry, topic)
            if entry.paper_id in placed:
                yield placed[entry.paper_id]

    def parse_groups(
        self, value: Mapping[str, Any], topics: Iterable[NamedTopic]
    ) -> tuple[DigestSection, ...]:
        """Return the groups of a digest in JSON; a group's topic may be gone from `topics`."""
        keys = digest_json.note_keys(value)
        queries = {topic.topic_id: topic.query for topic in topics}
        return tuple(
            DigestSection(
                title=title,
                papers=self._read(value, keys, ids, notes, queries.get(topic_id, "")),
                topic_id=topic_id,
            )
            for title, topic_id, ids, notes in value["groups"]
        )

    def parse_also(self, value: Mapping[str, Any]) -> tuple[DigestPaper, ...]:
        """Return the suggestions of a digest in JSON."""
        ids, notes = value["also"]
        return self._read(value, digest_json.note_keys(value), ids, notes, None) if ids else ()

    def _read(
        self,
        value: Mapping[str, Any],
        keys: Sequence[digest_json.NoteKey],
        ids: Sequence[int],
        notes: Sequence[int],
        topic: str | None,
    ) -> tuple[DigestPaper, ...]:
        """Return the result of `take` for the same entries, without parsing cached ones."""
        placed = {note: self._placed.setdefault((topic, keys[note]), {}) for note in set(notes)}
        found = []
        for paper_id, note in zip(ids, notes, strict=True):
            paper = placed[note].get(paper_id)
            if paper is None and paper_id in self.papers:
                paper = self._place(digest_json.parse_entry(value, paper_id, note), topic)
                placed[note][paper_id] = paper
            if paper is not None:
                found.append(paper)
        return tuple(found)

    def _place(self, entry: DigestEntry, topic: str | None) -> DigestPaper:
        paper = self.papers[entry.paper_id]
        query = topic or ""
        words = [word for word in mutable_words(entry.reasons, query) if _can_mute(query, word)]
        links = paper_links(self.settings, paper)
        if any(reason.field == "author" for reason in entry.reasons):
            links = replace(links, follow="")
        is_late = entry.paper_id in self.late_ids
        if paper.is_late != is_late:
            paper = replace(paper, is_late=is_late)
        if paper.summary and not self.has_ai_summaries:
            paper = replace(paper, summary="")
        return DigestPaper(
            paper=paper,
            links=links,
            reasons=entry.reasons,
            maybe_seen=entry.is_maybe_seen,
            revision=entry.revision,
            mutes=tuple((word, mute_url("", 0, word, paper.id)) for word in words),
            is_suggested=topic is None,
        )


@cached("words to mute", maxsize=65_536)
def _can_mute(topic: str, word: str) -> bool:
    """Return whether the topic could still match without this word; if not, the link would fail."""
    try:
        return not leaves_nothing(parse_query(topic), parse_clause(word))
    except QueryError:
        return False  # there is no topic: trending or carried-over papers


@dataclass(slots=True)
class EditionDataCache:
    """Editions, papers and topics read from the database, kept for the later windows of a run."""

    editions: dict[int, Edition] = field(default_factory=dict)
    papers: dict[int, PaperView] = field(default_factory=dict)
    late_ids: dict[int, frozenset[int]] = field(default_factory=dict)
    topics: dict[int, list[NamedTopic]] = field(default_factory=dict)
    _entries: dict[tuple[int, bool], PaperEntries] = field(default_factory=dict)
    stored_parts: set[PartKey] = field(default_factory=set)
    _days: dict[int, DigestDays] = field(default_factory=dict)

    def days(self, edition_id: int) -> DigestDays | None:
        """Return an edition's days, one value for all its messages; None where it is not loaded."""
        days = self._days.get(edition_id)
        if days is None and edition_id in self.editions:
            days = self._days[edition_id] = edition_days(self.editions[edition_id])
        return days

    def entries_of(
        self, edition_id: int, settings: Settings, subscriber: RecipientView
    ) -> PaperEntries:
        """Return the paper entries of an edition, shared by all who see AI summaries, or do not."""
        has_summaries = settings.ai_summaries and subscriber.has_ai_summaries
        key = (edition_id, has_summaries)
        if key not in self._entries:
            late = self.late_ids.get(edition_id, frozenset())
            self._entries[key] = PaperEntries(self.papers, late, settings, has_summaries)
        return self._entries[key]


def gather_edition_data(
    session: Session,
    claims: Sequence[Claim],
    editions: EditionDataCache,
    *,
    everything: bool = False,
) -> None:
    """Load data that these rows need and `editions` lacks; topics are always read again.

    With `everything`, also load the papers that were cut from the digests.
    """
    for edition_id in {c.delivery.edition_id for c in claims} - editions.editions.keys():
        edition = get_edition(session, edition_id) if edition_id else None
        if edition is not None:
            editions.editions[edition.id] = edition
            late = get_edition_papers(session, edition.id)
            editions.late_ids[edition.id] = frozenset(i for i, is_late in late.items() if is_late)
    wanted: set[int] = set()
    for claim in claims:
        wanted.update(claim.delivery.paper_ids)
        if claim.delivery.digest:
            # A broken digest fails when its mail is built, and not here, with all others.
            with suppress(*digest_json.BROKEN_DIGEST):
                wanted.update(digest_json.named_papers(claim.delivery.digest))
    wanted = {i for i in wanted if type(i) is int and 0 < i < _LARGEST_ID} - editions.papers.keys()
    if everything:
        wanted |= {i for c in claims for i in (c.delivery.digest or {}).get("cut", [])}
    editions.papers.update(get_papers(session, wanted))
    editions.topics = get_named_topics(session, [c.subscriber.id for c in claims if c.subscriber])
