"""Compose the digests of a chunk of subscribers; a subscriber without one gets a named skip.

A subscriber whose rows make composing fail is skipped alone, as uncomposable.

Load the chunk's data, compose each digest, add recommendations, insert the rows: only the first and
the last step touch the database.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.alerts import Alert, alert_operator
from service.deliveries.domain.digest import Digest, TopicWait
from service.deliveries.domain.digest_json import digest_from_json, digest_to_json
from service.deliveries.domain.recipients import Cadence, Timing
from service.deliveries.domain.states import SkipReason
from service.deliveries.store.carry_over import carry_doubts_of_subscribers
from service.deliveries.store.deliveries import DigestRow, insert_digests, mark_carried
from service.deliveries.store.restores import is_made_again
from service.editions.domain.compose import EditionSubscriber, MatchedTopic, compose_digest
from service.editions.domain.coverage import Coverage, join_coverages, parse_coverage
from service.editions.domain.edition_index import EditionIndex
from service.editions.domain.learned_order import learn_factors, place_factors
from service.editions.domain.merge import limit_papers, merge_digests
from service.editions.domain.recommendations import Candidates, Taste, recommend
from service.editions.domain.schedule import (
    cap_papers,
    due_at,
    earliest_opening,
    is_opened_late,
    last_covered,
)
from service.editions.domain.silence import explain_silence
from service.editions.domain.waiting import DigestDay
from service.editions.edition_cache import EditionCache, LoadedEdition
from service.editions.match_topics import load_matched_topics
from service.editions.recommend import load_rated_papers, load_tastes
from service.editions.sent_ledger import Ledger, load_ledger
from service.editions.store.chunks import claim_chunk
from service.editions.store.editions import freeze_if_composed, get_edition
from service.editions.store.models import Edition
from service.editions.store.waiting_digests import WaitingDigest, end_merged, lock_waiting_digests
from service.editions.waiting import (
    ChunkWaiting,
    compose_with_waiting,
    load_chunk_waiting,
    lock_changing,
    save_chunk_waiting,
    weigh_waiting,
)
from service.papers.domain.types import PaperView
from service.papers.store.read import get_papers
from service.papers.watched_sources import gating_categories
from service.platform.database.engine import savepoint, transaction
from service.platform.logs import get_logger
from service.platform.row_errors import is_of_one_row
from service.platform.settings.settings import Settings
from service.platform.time_zones import subscriber_hour
from service.subscribers.store.candidates import Candidate, get_candidates

# So many failed, and more than were composed: the fault is not in the subscribers' rows.
MOST_UNCOMPOSABLE = 50

log = get_logger(__name__)


class Uncomposable(Exception):
    """Most subscribers of a chunk could not be composed; the message is the last error's kind."""

    def __init__(self, edition_id: int, kind: str) -> None:
        super().__init__(kind)
        self.edition_id = edition_id


def compose_chunk(
    sessions: sessionmaker[Session],
    settings: Settings,
    chunk_id: int,
    now: datetime,
    cache: EditionCache | None = None,
) -> bool:
    """Compose the digests of one chunk; return whether the edition is frozen by it.

    Its digests may be sent from then on. Idempotent: the chunk's row is locked meanwhile, so a second
    run waits and finds nothing to do.
    `cache` keeps the loaded edition for its next chunks; without it, the edition is loaded again.
    """
    try:
        edition_id = _compose_chunk(sessions, settings, chunk_id, now, cache)
    except Uncomposable as error:
        with transaction(sessions) as session:
            occasion = f"uncomposed {error.edition_id}"
            alert_operator(session, settings, occasion, _describe_stop(error), now)
        raise
    if edition_id is None:
        return False
    with transaction(sessions) as session:
        return freeze_if_composed(session, edition_id, now)


def _compose_chunk(
    sessions: sessionmaker[Session],
    settings: Settings,
    chunk_id: int,
    now: datetime,
    cache: EditionCache | None,
) -> int | None:
    """Return the id of the chunk's edition; None where the chunk is composed already."""
    with transaction(sessions) as session:
        chunk = claim_chunk(session, chunk_id)
        edition = get_edition(session, chunk.edition_id) if chunk else None
        if chunk is None or edition is None:
            return None
        subscribers = get_candidates(
            session, edition.cadence, chunk.first_subscriber_id, chunk.last_subscriber_id
        )
        compose_each(session, settings, edition, subscribers, now, cache)
        chunk.composed_at = now
    return edition.id


def compose_each(
    session: Session,
    settings: Settings,
    edition: Edition,
    subscribers: Sequence[Candidate],
    now: datetime,
    cache: EditionCache | None = None,
) -> None:
    """Compose subscribers together; where that fails, halve them until those at fault stand alone.

    Those get a skip, and the operator one alert for the edition. Raises `Uncomposable` where most
    fail: then the chunk stays to be composed, and the next wake-up task tries again.
    """
    parts, composed, failed = [subscribers], 0, dict[int, Exception]()
    while parts:
        part = parts.pop()
        try:
            with savepoint(session):
                compose_subscribers(session, settings, edition, part, now, cache)
        except Exception as error:
            if not is_of_one_row(error):
                raise
            if cache:
                cache.forget(edition.id)  # It may have learned a part of what it was taught.
            if len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
                continue
            failed[part[0].id] = error
            if len(failed) >= MOST_UNCOMPOSABLE and len(failed) > composed:
                raise Uncomposable(edition.id, type(error).__name__) from error
        else:
            composed += len(part)
    if failed:
        _skip_uncomposable(session, settings, edition, failed, now)


def _skip_uncomposable(
    session: Session,
    settings: Settings,
    edition: Edition,
    failed: Mapping[int, Exception],
    now: datetime,
) -> None:
    for subscriber_id, error in failed.items():
        log.error("compose.failed", subscriber_id=subscriber_id, exc_info=error)
    until = now + timedelta(hours=settings.send_not_after_hours)
    rows = [
        DigestRow(number, now, until, f"{SkipReason.UNCOMPOSABLE}: {type(error).__name__}")
        for number, error in failed.items()
    ]
    insert_digests(session, edition.id, rows, now)
    alert_operator(session, settings, f"uncomposable {edition.id}", _describe_skips(edition), now)


def _describe_skips(edition: Edition) -> Alert:
    return Alert(
        subject=f"Not every digest of the {edition.cadence} edition can be composed",
        detail=f"Of the edition of {edition.local_date}, subscribers in whose rows something is broken"
        " are skipped as “uncomposable”. All others get their digests.",
        hint="How many: paperboy status. Who and why: “compose.failed” in the log of worker-send.",
    )


def _describe_stop(error: Uncomposable) -> Alert:
    return Alert(
        subject=f"Edition {error.edition_id} cannot be composed",
        detail=f"Most of its subscribers fail with {error}, so that the fault is hardly in their rows."
        " It is tried again every minute, and nobody is skipped.",
        hint="The log of worker-send has the error. See also: paperboy doctor",
    )


def compose_subscribers(
    session: Session,
    settings: Settings,
    edition: Edition,
    subscribers: Sequence[Candidate],
    now: datetime,
    cache: EditionCache | None = None,
) -> None:
    """Insert the deliveries of some subscribers: a frozen digest each, or a skip with its reason."""
    ids = [subscriber.id for subscriber in subscribers]
    lock_changing(session, subscribers)
    if settings.in_doubt == "carry":
        carry_doubts_of_subscribers(session, edition.id, ids, now)
    opened_at = edition.opened_at
    if is_made_again(session, edition.cadence, edition.local_date, opened_at):
        # Due as at first, so that those are known who may have got theirs before.
        opened_at = earliest_opening(edition.cadence, edition.local_date)
    due_times = _cache_due_times(edition, settings, opened_at)
    dues = {subscriber.id: due_times(subscriber).at for subscriber in subscribers}
    # An edition published by hand goes out now, and the waiting digests at their hour.
    waiting = {} if edition.sends_now else lock_waiting_digests(session, edition, dues)
    loaded = cache.get(session, edition) if cache else LoadedEdition(session, edition)
    chunk = _load_chunk(session, settings, edition, loaded, subscribers)
    first, on = edition.covers_from or edition.local_date, edition.local_date
    most = cap_papers(edition.cadence, on, first, settings.digest_max_papers)
    merged: dict[int, Sequence[WaitingDigest]] = {}

    def make_row(subscriber: Candidate) -> DigestRow:
        due, limit = due_times(subscriber), subscriber.max_papers or most
        digest = _compose(chunk, subscriber, limit, due.on)
        if digest is None:
            return DigestRow(subscriber.id, due.at, due.until, SkipReason.EMPTY)
        more: dict[str, Any] = {"is_late": True} if due.is_late else {}
        if subscriber.id in waiting:
            earlier = merged[subscriber.id] = waiting[subscriber.id]
            digest = merge_digests(digest, [digest_from_json(one.digest) for one in earlier])
            more["covers"] = span_json(edition, [one.edition for one in earlier])
            if subscriber.max_papers:
                digest = limit_papers(digest, subscriber.max_papers)
        value = digest_to_json(digest) | more
        return DigestRow(subscriber.id, due.at, due.until, "", digest.paper_ids, value)

    # Each digest is written before the next is made: a thousand of them alive at once would keep
    # the garbage collector busier than everything else here.
    insert_digests(session, edition.id, [make_row(one) for one in subscribers], now)
    mark_carried(session, edition.id, chunk.ledger.carried)
    end_merged(session, edition.id, merged, now)
    save_chunk_waiting(session, edition, chunk.waiting, subscribers)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The data for composing and recommending, by subscriber id."""

    index: EditionIndex
    topics: Mapping[int, Sequence[MatchedTopic]]
    ledger: Ledger
    carried_papers: Mapping[int, PaperView]
    tastes: Mapping[int, Taste]
    candidates: Candidates
    coverage: Coverage
    watched: tuple[str, ...]
    when: str
    cadence: Cadence
    waiting: ChunkWaiting


def _load_chunk(
    session: Session,
    settings: Settings,
    edition: Edition,
    loaded: LoadedEdition,
    subscribers: Sequence[Candidate],
) -> _Chunk:
    index, ids = loaded.index, [subscriber.id for subscriber in subscribers]
    # A newer version of a paper comes whether the paper was sent before or not.
    new_ids = [paper_id for paper_id in index.ids if paper_id not in index.revisions]
    ledger = load_ledger(session, ids, edition, new_ids)
    topics = load_matched_topics(session, settings, index, ids, all_likes=True)
    carried = {i for subscriber_id in ledger.carried for i in ledger.carried_ids(subscriber_id)}
    carried_papers = get_papers(session, carried - index.papers.keys())
    waiting = load_chunk_waiting(session, settings, edition, index, subscribers)
    tastes, candidates = _load_tastes(session, loaded, ids, waiting)
    when = "today"
    if edition.cadence.collects_days:
        when = "this month" if edition.cadence is Cadence.MONTHLY else "this week"
    coverage, watched = parse_coverage(edition.coverage), gating_categories(settings)
    return _Chunk(
        index, topics, ledger, carried_papers, tastes, candidates, coverage, watched, when,
        edition.cadence, waiting,
    )  # fmt: skip


def _load_tastes(
    session: Session, loaded: LoadedEdition, ids: Sequence[int], waiting: ChunkWaiting
) -> tuple[dict[int, Taste], Candidates]:
    """Return the tastes of subscribers who may get suggestions, often none, and the candidates."""
    rated = load_rated_papers(session, ids)
    if not rated:
        return {}, Candidates({})
    pool = loaded.load_pool(session)
    weigh_waiting(session, waiting, pool.rarity)
    return load_tastes(session, rated, pool), pool.candidates


def _compose(chunk: _Chunk, subscriber: Candidate, max_papers: int, on: date) -> Digest | None:
    """Return the digest of a local date with its recommendations, which alone make no digest."""
    ledger, waits = chunk.ledger, tuple[TopicWait, ...]()
    learned = _learn(chunk, subscriber)
    recipient = EditionSubscriber(
        topics=tuple(chunk.topics.get(subscriber.id, ())),
        seen_ids=ledger.seen_ids(subscriber.id),
        carried_ids=ledger.carried_ids(subscriber.id),
        unsent_ids=ledger.unsent_ids(subscriber.id),
        updates=ledger.updates.get(subscriber.id, ()),
        learned=place_factors(learned, chunk.index.ids),
    )

    def compose(who: EditionSubscriber) -> Digest | None:
        return compose_digest(who, chunk.index, max_papers, chunk.carried_papers)

    if chunk.waiting.concerns(subscriber.id):
        day = DigestDay(on, chunk.cadence, subscriber.weekly_topics_on)
        digest, waits = compose_with_waiting(
            chunk.waiting, recipient, subscriber.id, day, learned, compose
        )
        digest = digest and replace(limit_papers(digest, max_papers), waits=waits)
    else:
        digest = compose(recipient)
    if digest is not None:
        known_ids = recipient.seen_ids | recipient.carried_ids
        return recommend(digest, chunk.tastes.get(subscriber.id), chunk.candidates, known_ids)
    if subscriber.has_empty_digests:
        # Paper updates are reported even where nothing matched.
        topics = [topic.canonical for topic in recipient.topics]
        silence = explain_silence(chunk.coverage, topics, chunk.watched, chunk.when)
        return Digest((), updates=recipient.updates, silence=silence, waits=waits)
    return None


def _learn(chunk: _Chunk, subscriber: Candidate) -> dict[int, int]:
    """Return what was learned: factors of papers in thousandths, also of some that waited."""
    taste = chunk.tastes.get(subscriber.id)
    if taste is None:
        return {}
    learn = partial(learn_factors, taste.kept, taste.dismissed)
    return learn(chunk.waiting.candidates) | learn(chunk.candidates)


class _Due(NamedTuple):
    """When a digest is due, and sent at the latest; `is_late` if that is not on its edition's date.

    `on` is the local date.
    """

    at: datetime
    until: datetime
    on: date
    is_late: bool = False


def _cache_due_times(
    edition: Edition, settings: Settings, opened_at: datetime
) -> Callable[[Candidate], _Due]:
    """Return a cached function of a subscriber: when the digest is due of an edition opened then."""
    on = edition.local_date
    lifetime = timedelta(hours=settings.send_not_after_hours)
    was_down = is_opened_late(edition.cadence, on, opened_at)

    known: dict[tuple[int, str, Timing], _Due] = {}

    def find(hour: int, zone: str, timing: Timing) -> _Due:
        if edition.sends_now:
            return _Due(edition.opened_at, edition.opened_at + lifetime, on)
        due = due_at(edition.cadence, on, opened_at, hour, zone, timing)
        is_late = was_down and due > subscriber_hour(on, hour, zone)
        local = due.astimezone(ZoneInfo(zone)).date()
        return _Due(due, max(due, edition.opened_at) + lifetime, local, is_late)

    def due_times(one: Candidate) -> _Due:
        key = (one.hour, one.timezone, one.timing)
        if key not in known:
            known[key] = find(*key)
        return known[key]

    return due_times


def span_json(edition: Edition, earlier: Sequence[Edition]) -> dict[str, Any]:
    """Return the days that a merged digest covers, and their coverage, for its delivery row."""
    editions = sorted([edition, *earlier], key=lambda one: one.local_date)
    coverages = {one.local_date: parse_coverage(one.coverage) for one in editions}
    joined = replace(
        join_coverages(coverages),
        late=sum(coverage.late for coverage in coverages.values()),
        late_days=tuple(day for coverage in coverages.values() for day in coverage.late_days),
    )
    since = min(one.covers_from or one.local_date for one in editions)
    until = last_covered(edition.cadence, edition.local_date)
    return joined.as_json() | {"since": since.isoformat(), "until": until.isoformat()}
