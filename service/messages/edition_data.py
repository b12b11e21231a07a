"""In-memory cache of an edition's data, shared by all messages that a sending run builds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session

from service.deliveries.domain import digest_json
from service.deliveries.domain.digest import DigestEntry
from service.deliveries.store.claimed_rows import Claim, RecipientView
from service.deliveries.store.sent_copies import PartNumbers
from service.editions.store.edition_papers import get_edition_papers
from service.editions.store.editions import get_edition
from service.editions.store.models import Edition
from service.messages.contexts.digest import DigestPaper, DigestSection, ShownPaper
from service.messages.digest_period import DigestDays, edition_days
from service.messages.signed_links import paper_links
from service.papers.domain.types import PaperView
from service.papers.store.read import get_papers
from service.platform.caches import cached
from service.platform.settings.settings import Settings
from service.presentation.reasons import heading_says
from service.subscribers.store.subscribers import get_named_topics
from service.topics.domain.types import NamedTopic, Reason

# Of a bigint.
_LARGEST_ID = 2**63


@dataclass(slots=True)
class PaperEntries:
    """The papers of one edition as its messages show them: one value of each for all topics.

    Renderers cache cards by these values, so a card is rendered only once. Without
    `has_ai_summaries` every paper shows its abstract.
    """

    papers: Mapping[int, PaperView]
    late_ids: frozenset[int]
    settings: Settings
    has_ai_summaries: bool = True
    # By paper, and then as in `ShownPaper`.
    _shown: dict[tuple[int, bool, int], ShownPaper] = field(default_factory=dict)

    def take(self, entries: Iterable[DigestEntry], heading: str = "") -> Iterator[DigestPaper]:
        """Yield the frozen entries whose papers still exist, for a section with this heading."""
        for paper_id, reasons, maybe_seen, revision in entries:
            if paper_id in self.papers:
                is_in_heading = heading_says(heading, reasons)
                yield self._place(paper_id, reasons, maybe_seen, revision, is_in_heading)

    def parse_groups(self, value: Mapping[str, Any]) -> tuple[DigestSection, ...]:
        """Return the groups of a digest in JSON."""
        notes = digest_json.parse_notes(value)
        return tuple(
            DigestSection(title, self._read(ids, numbers, notes, title), topic_id)
            for title, topic_id, ids, numbers in value["groups"]
        )

    def parse_also(self, value: Mapping[str, Any]) -> tuple[DigestPaper, ...]:
        """Return the suggestions of a digest in JSON."""
        ids, numbers = value["also"]
        notes = digest_json.parse_notes(value) if ids else ()
        return self._read(ids, numbers, notes)

    def _read(
        self,
        ids: Sequence[int],
        numbers: Sequence[int],
        notes: Sequence[digest_json.EntryNote],
        heading: str = "",
    ) -> tuple[DigestPaper, ...]:
        """Return the result of `take` for the same entries."""
        in_heading = {number: heading_says(heading, notes[number][0]) for number in set(numbers)}
        return tuple(
            self._place(paper_id, *notes[number], in_heading[number])
            for paper_id, number in zip(ids, numbers, strict=True)
            if paper_id in self.papers
        )

    def _place(
        self,
        paper_id: int,
        reasons: tuple[Reason, ...],
        maybe_seen: bool,
        revision: int,
        is_in_heading: bool,
    ) -> DigestPaper:
        key = (paper_id, maybe_seen, revision)
        shown = self._shown.get(key) or self._shown.setdefault(key, self._show(*key))
        return DigestPaper(shown, reasons, is_in_heading)

    def _show(self, paper_id: int, maybe_seen: bool, revision: int) -> ShownPaper:
        paper = self.papers[paper_id]
        links = paper_links(self.settings, paper)
        is_late = paper_id in self.late_ids
        if paper.is_late != is_late:
            paper = replace(paper, is_late=is_late)
        if paper.summary and not self.has_ai_summaries:
            paper = replace(paper, summary="")
        # A mail shows no votes, so those that come while it is sent must not make a card another one.
        pick = paper.pick if self.settings.picks else ""
        if paper.votes or paper.pick != pick:
            paper = replace(paper, votes=0, pick=pick)
        return _same(ShownPaper(paper=paper, links=links, maybe_seen=maybe_seen, revision=revision))


# Each run reads its papers again, and renderers look up cards by them: one object for equal values
# is compared by identity.
@cached("shown papers", maxsize=4_096)
def _same(shown: ShownPaper) -> ShownPaper:
    return shown


@dataclass(slots=True)
class EditionDataCache:
    """Editions, papers and topics read from the database, kept for the later windows of a run."""

    editions: dict[int, Edition] = field(default_factory=dict)
    papers: dict[int, PaperView] = field(default_factory=dict)
    late_ids: dict[int, frozenset[int]] = field(default_factory=dict)
    topics: dict[int, list[NamedTopic]] = field(default_factory=dict)
    _entries: dict[tuple[int, bool], PaperEntries] = field(default_factory=dict)
    # The numbers of stored fragments, by month and key.
    stored_parts: PartNumbers = field(default_factory=dict)
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
