"""A whole installation simulated for days: the tasks of beat, hour by hour, and states of batches.

The clock is simulated; sources, database and gate are real. `notes` record each batch at each hour,
so that a test can check the states during a fault.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlsplit

from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.digest_json import digest_from_json
from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState
from service.editions.compose import compose_chunk
from service.editions.edition_cache import EditionCache
from service.editions.publish import finish_open_editions, open_due_editions, pending_chunks
from service.editions.store.models import Edition, EditionPaper
from service.papers.arxiv_backfill import HealReport, heal_arxiv
from service.papers.domain.crawl_delay import HostRule
from service.papers.domain.types import BatchState
from service.papers.ingest import ingest_source
from service.papers.listing_check import close_overdue
from service.papers.sources.registry import build_oai, build_sources
from service.papers.store.crawl_gate import SharedRateLimiter
from service.papers.store.models import Announcement, Batch, Paper
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver
from support.newsletter.press import PlannedTransport, Press

# Hours (UTC) worth living through in autumn, when New York is four behind: the listing is new at 0,
# OAI-PMH at 2:30, the feed at 4, an edition's deadline is 14.
HOURS = (1, 3, 5, 6, 8, 15)
HEALING_HOURS = (3, 6, 15)


@dataclass(frozen=True, slots=True)
class Note:
    """One batch at one hour. `held` are its papers that are new or cross-listed, by key."""

    at: datetime
    category: str
    on: date
    state: BatchState
    note: str
    expected_count: int | None
    late_count: int
    held: frozenset[str]


@dataclass
class Installation:
    """A simulated installation, whose clock is `skew` ahead of the sources' clock."""

    press: Press
    settings: Settings
    transport: PlannedTransport = field(default_factory=PlannedTransport)
    skew: timedelta = timedelta(0)
    notes: list[Note] = field(default_factory=list)
    heals: list[HealReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        gate = SharedRateLimiter(self.sessions.kw["bind"], _rule_of_channel, sleep=lambda _: None)
        self.sources = build_sources(self.settings, gate)
        oai = build_oai(self.settings, gate)
        assert oai is not None
        self.oai = oai

    @property
    def sessions(self) -> sessionmaker[Session]:
        return self.press.sessions

    @property
    def now(self) -> datetime:
        return self.press.clock() + self.skew

    def live(self, days: Sequence[date], hours: Sequence[int] = HOURS) -> None:
        """Simulate the hours of some days."""
        for day in days:
            for hour in hours:
                self.live_at(datetime.combine(day, time(hour), tzinfo=UTC))

    def live_at(self, at: datetime) -> None:
        """Simulate one hour: run the tasks of beat in its order, then record the batches."""
        self._pass_time(at)
        for source in self.sources:
            ingest_source(self.sessions, self.settings, source, None, self.now)
        self.look()
        if at.hour in HEALING_HOURS:
            self.heals += heal_arxiv(self.sessions, self.settings, self.oai, self.now)
            self.look()
        close_overdue(self.sessions, self.now)
        self.publish()
        self.look()

    def publish(self) -> None:
        open_due_editions(self.sessions, self.settings, self.now)
        finish_open_editions(self.sessions, self.now)
        cache = EditionCache()
        for chunk in pending_chunks(self.sessions):
            compose_chunk(self.sessions, self.settings, chunk, self.now, cache)
        deliver(replace(self.press.sender(self.transport), clock=lambda: self.now))

    def _pass_time(self, at: datetime) -> None:
        """Turn the clock, and with it the times in the database at which hosts may be requested again."""
        passed = at - self.press.clock()
        with self.sessions.begin() as session:
            session.execute(
                text("UPDATE gates SET next_at = next_at - :passed"), {"passed": passed}
            )
        self.press.clock.now = at

    def look(self) -> None:
        """Record the current state of every batch of arXiv."""
        with self.sessions() as session:
            rows = session.execute(
                select(Batch).where(Batch.source == "arxiv").order_by(Batch.id)
            ).scalars()
            for batch in rows:
                held = session.execute(
                    select(Paper.key)
                    .join(Announcement, Announcement.paper_id == Paper.id)
                    .where(
                        Announcement.batch_id == batch.id,
                        Announcement.announce_type.in_(["new", "cross"]),
                    )
                ).scalars()
                self.notes.append(
                    Note(
                        self.press.clock(),
                        batch.category,
                        batch.announced_on,
                        batch.state,
                        batch.note,
                        batch.expected_count,
                        batch.late_count,
                        frozenset(held),
                    )
                )

    def story(self, category: str, on: date) -> list[Note]:
        """Return the records of one batch in the order of time, without repetitions."""
        seen: list[Note] = []
        for note in self.notes:
            if (note.category, note.on) == (category, on):
                same = seen and (seen[-1].state, seen[-1].note) == (note.state, note.note)
                if not same:
                    seen.append(note)
        return seen

    def states(self, category: str, on: date) -> list[str]:
        """Return the successive states of a batch."""
        seen: list[str] = []
        for note in self.story(category, on):
            if not seen or seen[-1] != note.state:
                seen.append(str(note.state))
        return seen

    def latest(self, category: str, on: date) -> Note:
        return [n for n in self.notes if (n.category, n.on) == (category, on)][-1]

    def placed(self, cadence: Cadence = Cadence.DAILY) -> Counter[str]:
        """Return the number of editions of a cadence with each paper, by key."""
        return Counter(key for key, *_ in self.places(cadence))

    def places(self, cadence: Cadence = Cadence.DAILY) -> Iterator[tuple[str, date, bool]]:
        """Return (key, the edition's date, whether it came late) of every paper of a cadence."""
        with self.sessions() as session:
            rows = session.execute(
                select(Paper.key, Edition.local_date, EditionPaper.is_late)
                .join(EditionPaper, EditionPaper.paper_id == Paper.id)
                .join(Edition, Edition.id == EditionPaper.edition_id)
                .where(EditionPaper.cadence == cadence)
                .order_by(Edition.local_date, Paper.key)
            ).all()
        yield from ((key, on, is_late) for key, on, is_late in rows)

    def sent(self, subscriber_id: int) -> list[str]:
        """Return the keys of all papers sent to a subscriber, in the order of the digests."""
        ids = [
            paper_id
            for row in self.press.rows()
            if row.subscriber_id == subscriber_id and row.state is DeliveryState.SENT
            for paper_id in row.paper_ids
        ]
        return [self.keys()[paper_id] for paper_id in ids]

    def told_of(self, subscriber_id: int) -> list[tuple[str, str, str]]:
        """The paper updates that a subscriber was sent: (key, kind, detail)."""
        keys = self.keys()
        return [
            (keys[h.paper_id], str(h.kind), h.detail)
            for row in self.press.rows()
            if row.subscriber_id == subscriber_id and row.digest and row.state is DeliveryState.SENT
            for h in digest_from_json(row.digest).updates
        ]

    def keys(self) -> dict[int, str]:
        with self.sessions() as session:
            return dict(session.execute(select(Paper.id, Paper.key)).all())


def _rule_of_channel(url: str) -> HostRule:
    """Return the rule of the channel's own host, which all have on loopback, without gaps."""
    return HostRule(urlsplit(url).path.split("/")[1], group="arxiv")


def span(first: date, last: date) -> list[date]:
    """Return every date from the first to the last."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def repeated(keys: Iterable[str]) -> list[str]:
    """Return the items that occur more than once."""
    return sorted(key for key, count in Counter(keys).items() if count > 1)
