"""Replay of real days: a source that yields a day's papers, invented subscribers, and random kills.

Kills come where a process can die: at the begin or commit of a transaction, and while mail is being
sent. The next process finds the same state as after a real crash.
"""

import gzip
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, select

from service.deliveries.domain.digest_json import digest_from_json
from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery
from service.editions.compose import compose_chunk
from service.editions.edition_cache import EditionCache
from service.editions.publish import finish_open_editions, open_due_editions, pending_chunks
from service.editions.store.models import Edition, EditionPaper
from service.papers.domain.types import AnnounceType, ParsedAnnouncement, ParsedBatch, Signals
from service.papers.ingest import ingest_source
from service.papers.listing_check import close_overdue
from service.papers.sources.base import Expectation, Fetched, FetchState
from service.papers.store.models import Paper
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver, resolve, sweep
from service.topics.domain.language import canonical, leaf_texts, parse_query
from service.topics.domain.matching.paper_index import match_papers
from service.topics.store.index_rows import index_papers
from service.topics.store.to_sql import fetch_lexemes
from support.newsletter.press import PlannedTransport, Press

WORDS = (
    "transformer", "diffusion", "segmentation", "robot", "reinforcement learning", "retrieval",
    "graph neural", "privacy", "speech", "benchmark", "reasoning", "quantization", "video",
    "agents", "medical", "translation", "security", "3d", "recommendation", "federated",
)  # fmt: skip
CATEGORIES = ("cs.CL", "cs.CV", "cs.LG", "cs.AI", "cs.RO", "cs.CR", "cs.IR", "cs.SE")


class Killed(BaseException):
    """A simulated kill: nothing after it runs."""


@dataclass(frozen=True)
class RecordedSource:
    """The second implementation of `Source`: days from files instead of the network."""

    name: str
    days: Mapping[date, Sequence[ParsedAnnouncement]]
    gates_editions: bool
    keeps_changing: bool = False
    has_versions: bool = False

    def fetch(self, category: str, on: date | None, state: FetchState) -> Fetched:  # noqa: ARG002  # nothing is conditional here
        return Fetched(str(on).encode(), "", not_modified=False, url=self.name)

    def expect(self, category: str) -> Expectation | None:  # noqa: ARG002  # it cannot be asked
        return None

    def parse(self, payload: bytes) -> ParsedBatch:
        on = date.fromisoformat(payload.decode())
        return ParsedBatch(
            tuple(self.days.get(on, ())), rendered_on=on, is_skip_day=on not in self.days
        )


@dataclass(frozen=True)
class Sample:
    """`days`: the days of the replay in order; at most `papers_a_day` of arXiv's, all of the list's.

    Recorded days are taken in order and laid on weekdays, so that none of their papers is left
    out; the weekends between them are empty, as they are at the sources.
    """

    days: tuple[date, ...]
    arxiv: RecordedSource
    listed: RecordedSource

    @property
    def paper_count(self) -> int:
        announcements = [
            one.key for s in (self.arxiv, self.listed) for day in s.days.values() for one in day
        ]
        return len(set(announcements))


def read_sample(folder: Path, day_count: int, papers_a_day: int) -> Sample:
    """Return the last `day_count` days on which both collections have papers."""
    arxiv = _by_day(folder / "bulk/dev/arxiv_cs.jsonl.gz", "announced")
    listed = _by_day(folder / "bulk/dev/hf_daily.jsonl.gz", "hf_date")
    both = sorted(arxiv.keys() & listed.keys())[-day_count:]
    days = _calendar(date(2026, 3, 2), len(both))
    weekdays = [day for day in days if day.weekday() < 5]
    announcements = {
        day: [_announced(row) for row in arxiv[on][:papers_a_day]]
        for day, on in zip(weekdays, both, strict=True)
    }
    noticed = {
        day: [_listed(row) for row in listed[on]] for day, on in zip(weekdays, both, strict=True)
    }
    return Sample(
        days,
        RecordedSource("arxiv", announcements, gates_editions=True),
        RecordedSource("huggingface", noticed, gates_editions=False),
    )


def _calendar(start: date, weekday_count: int) -> tuple[date, ...]:
    """Return every date from a Monday on, with the given number of weekdays."""
    weeks, rest = divmod(weekday_count, 5)
    return tuple(start + timedelta(days=n) for n in range(7 * weeks + rest))


def _by_day(path: Path, name: str) -> dict[str, list[dict[str, Any]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get(name):
                found[str(row[name])[:10]].append(row)
    return dict(found)


def _announced(row: dict[str, Any]) -> ParsedAnnouncement:
    categories = tuple(str(c) for c in (row["categories"] or ()))
    return ParsedAnnouncement(
        key=f"arxiv:{row['id']}",
        source="arxiv",
        identifier=str(row["id"]),
        version=1,
        announce_type=AnnounceType.NEW,
        title=str(row["title"]),
        abstract=str(row["abstract"] or ""),
        authors=tuple(map(str, row["authors"])),
        categories=categories,
        primary_category=categories[0] if categories else None,
        url=f"https://arxiv.org/abs/{row['id']}",
    )


def _listed(row: dict[str, Any]) -> ParsedAnnouncement:
    return replace(
        _announced({**row, "categories": []}),
        source="huggingface",
        announce_type=AnnounceType.LISTED,
        signals=Signals(upvotes=int(str(row["upvotes"] or 0))),
    )


def choose_topics(chance: random.Random) -> list[str]:
    """Return one to four topics, which overlap on purpose."""
    made = [
        *chance.sample(WORDS, chance.randint(0, 2)),
        *(f"cat:{c}" for c in chance.sample(CATEGORIES, chance.randint(0, 2))),
    ]
    return made or [f"cat:{chance.choice(CATEGORIES)} {chance.choice(WORDS)}"]


@dataclass
class Fate:
    """Random kills: `odds` for each moment at which a process can die."""

    chance: random.Random
    odds: float
    kills: Counter[str] = field(default_factory=Counter)
    is_armed: bool = False

    def may_strike(self, moment: str) -> None:
        if self.is_armed and self.chance.random() < self.odds:
            self.kills[moment] += 1
            raise Killed(moment)

    @contextmanager
    def watching(self, engine: Engine) -> Iterator[None]:
        def on_begin(_connection: object) -> None:
            self.may_strike("before a transaction")

        def on_commit(_connection: object) -> None:
            self.may_strike("before a commit")

        event.listen(engine, "begin", on_begin)
        event.listen(engine, "commit", on_commit)
        try:
            yield
        finally:
            event.remove(engine, "begin", on_begin)
            event.remove(engine, "commit", on_commit)


@dataclass
class Replay:
    """An installation through the days of a sample. `wire` counts the messages of each delivery."""

    press: Press
    settings: Settings
    sample: Sample
    fate: Fate
    wire: Counter[int] = field(default_factory=Counter)
    carried_count: int = 0

    def run(self) -> None:
        with self.fate.watching(self.press.sessions.kw["bind"]):
            for on in self.sample.days:
                self._live(on)

    def _live(self, on: date) -> None:
        self.press.clock.now = datetime.combine(on, time(6), tzinfo=UTC)
        for source in (self.sample.arxiv, self.sample.listed):
            self._until_done(partial(self._ingest, source))
        # Past the deadline as well, so that nothing hangs on a batch that a kill left open.
        for hour in (7, 15):
            self.press.clock.now = datetime.combine(on, time(hour), tzinfo=UTC)
            self._until_done(self._publish)
            self._until_done(self._deliver)
        self._answer_doubts()

    def _until_done(self, step: Callable[[], object]) -> None:
        """Run a step until it ends by itself, and then once more, since every step is idempotent."""
        is_twice = self.fate.odds > 0
        while True:
            try:
                self.fate.is_armed = is_twice
                step()
            except Killed:
                self.fate.is_armed = False
                sweep(self.press.sessions, self.press.clock())
                continue
            finally:
                self.fate.is_armed = False
            if not is_twice:
                return
            is_twice = False

    def _ingest(self, source: RecordedSource) -> None:
        ingest_source(self.press.sessions, self.settings, source, None, self.press.clock())

    def _publish(self) -> None:
        now = self.press.clock()
        close_overdue(self.press.sessions, now)
        open_due_editions(self.press.sessions, self.settings, now)
        finish_open_editions(self.press.sessions, now)
        cache = EditionCache()
        for chunk in pending_chunks(self.press.sessions):
            compose_chunk(self.press.sessions, self.settings, chunk, now, cache)

    def _deliver(self) -> None:
        # As beat does every minute: a dead sender's lock may outlive it for a moment.
        sweep(self.press.sessions, self.press.clock())
        transport = PlannedTransport(meanwhile=lambda: self.fate.may_strike("on the wire"))
        try:
            deliver(self.press.sender(transport))
        finally:
            self.wire.update(envelope.number for envelope in transport.sent)

    def _answer_doubts(self) -> None:
        """Resolve doubts as an operator would in the evening: as sent and as carried, in turn."""
        with self.press.sessions() as session:
            doubtful = set(
                session.execute(
                    select(Delivery.edition_id).where(Delivery.state == DeliveryState.IN_DOUBT)
                ).scalars()
            )
        for edition_id in sorted(filter(None, doubtful)):
            answer = self.fate.chance.choice(["sent", "carry"])
            count = resolve(self.press.sessions, edition_id, answer, self.press.clock())
            self.carried_count += count if answer == "carry" else 0


@dataclass(frozen=True)
class Books:
    """The counts at the end of a replay."""

    announced: frozenset[int]
    placed: Counter[int]
    sent: Mapping[int, Counter[int]]
    cut: Mapping[int, frozenset[int]]
    carried: Mapping[int, frozenset[int]]
    states: Counter[str]
    open_count: int


def read_books(press: Press) -> Books:
    sent: defaultdict[int, Counter[int]] = defaultdict(Counter)
    cut: defaultdict[int, set[int]] = defaultdict(set)
    carried: defaultdict[int, set[int]] = defaultdict(set)
    states: Counter[str] = Counter()
    with press.sessions() as session:
        announced = frozenset(
            session.execute(select(Paper.id).where(Paper.first_announced_on.is_not(None))).scalars()
        )
        placed = Counter(
            session.execute(
                select(EditionPaper.paper_id).where(EditionPaper.cadence == Cadence.DAILY)
            ).scalars()
        )
        open_count = len(
            session.execute(select(Edition.id).where(Edition.closed_at.is_(None))).all()
        )
        for row in session.execute(select(Delivery)).scalars():
            states[str(row.state)] += 1
            if row.digest is None or row.subscriber_id is None:
                continue
            if row.state is DeliveryState.SENT:
                sent[row.subscriber_id].update(row.paper_ids)
                cut[row.subscriber_id].update(digest_from_json(row.digest).cut_ids)
            elif row.state is DeliveryState.CARRIED:
                carried[row.subscriber_id].update(row.paper_ids)
                cut[row.subscriber_id].update(digest_from_json(row.digest).cut_ids)
    return Books(
        announced,
        placed,
        sent,
        {i: frozenset(ids) for i, ids in cut.items()},
        {i: frozenset(ids) for i, ids in carried.items()},
        states,
        open_count,
    )


def match_everything(press: Press, topics: Mapping[int, Sequence[str]]) -> dict[int, set[int]]:
    """Return subscriber -> every announced paper that matches any of their topics, without editions."""
    canonicals = sorted({canonical(parse_query(t)) for some in topics.values() for t in some})
    queries = [parse_query(text) for text in canonicals]
    by_topic: defaultdict[str, set[int]] = defaultdict(set)
    with press.sessions() as session:
        lexicon = fetch_lexemes(session, frozenset(t for q in queries for t in leaf_texts(q)))
        ids = iter(
            session.execute(select(Paper.id).where(Paper.first_announced_on.is_not(None)))
            .scalars()
            .all()
        )
        while some := list(islice(ids, 500)):
            papers = index_papers(session, some)
            for number, paper_id, _ in match_papers(enumerate(queries), papers, lexicon):
                by_topic[canonicals[number]].add(paper_id)
    return {
        subscriber: set().union(*(by_topic[canonical(parse_query(t))] for t in some))
        for subscriber, some in topics.items()
    }
