"""Compose the catch-up mail: the papers of a pause, for subscribers who want them afterwards.

The papers are those of the editions that went out without the subscriber. It is idempotent: the
subscriber's row is locked and the request cleared in the transaction that queues the mail, and the
mail's unique key names the pause. Papers in the ledger never come again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.alerts import Alert, alert_operator
from service.deliveries.domain.digest import Digest
from service.deliveries.domain.digest_json import digest_to_json
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import MailRow, insert_mail_row
from service.deliveries.store.sent_papers import find_seen
from service.editions.domain.compose import EditionSubscriber, compose_digest
from service.editions.domain.coverage import join_gaps, parse_coverage
from service.editions.edition_cache import load_index
from service.editions.match_topics import load_matched_topics
from service.editions.store import catch_ups as store
from service.editions.store.models import Edition
from service.editions.store.sent_editions import find_places
from service.papers.store.works import find_siblings
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.row_errors import is_of_one_row
from service.platform.settings.settings import Settings
from service.platform.time_zones import subscriber_hour
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_topics
from service.topics.domain.language import Query, QueryError, parse_query, wants_replaced
from service.topics.like_clauses import topic_condition
from service.topics.like_queries import LikeError

# More than a month of missed papers is too much to look through.
LONGEST_DAYS = 31
# Papers for each topic; those that do not fit into the mail are one click away.
MOST_MISSED = 200
# A catch-up mail may be sent up to this long after it is due.
LIFETIME = timedelta(days=3)
SUBSCRIBERS_AT_ONCE = 200

log = get_logger(__name__)


@dataclass(slots=True)
class _Missed:
    """The papers of missed editions that match a subscriber's topics, at most `most` a topic."""

    most: int
    ids: set[int] = field(default_factory=set)
    revisions: dict[int, int] = field(default_factory=dict)
    is_cut: bool = False


def compose_catch_ups(
    sessions: sessionmaker[Session],
    settings: Settings,
    now: datetime,
    most_missed: int = MOST_MISSED,
) -> int:
    """Queue the mail of every subscriber who is back and wants one; return how many were queued."""
    with transaction(sessions) as session:
        waiting = store.list_waiting(session, SUBSCRIBERS_AT_ONCE)
    queued = 0
    for subscriber_id in waiting:
        try:
            with transaction(sessions) as session:
                subscriber = store.claim_waiting(session, subscriber_id)
                if subscriber is not None and not store.is_composing(session, subscriber.cadence):
                    queued += _queue(session, settings, subscriber, now, most_missed)
        except Exception as error:
            if not is_of_one_row(error):
                raise
            log.exception("catch_up.failed", subscriber_id=subscriber_id)
            _give_up(sessions, settings, subscriber_id, now)
    if queued:
        log.info("catch_up", queued=queued)
    return queued


def _give_up(
    sessions: sessionmaker[Session], settings: Settings, subscriber_id: int, now: datetime
) -> None:
    """Clear the request of a subscriber in whose rows something is broken; all others go on."""
    alert = Alert(
        subject="A catch-up mail cannot be composed",
        detail="Something in the subscriber’s rows is broken. There is no such mail; digests go on.",
        hint="Who and why: “catch_up.failed” in the log of worker-urgent.",
    )
    with transaction(sessions) as session:
        subscriber = store.claim_waiting(session, subscriber_id)
        if subscriber is not None:
            subscriber.catch_up_since, subscriber.paused_at = None, None
        alert_operator(session, settings, f"uncomposable catch-up {now.date()}", alert, now)


def _queue(
    session: Session, settings: Settings, subscriber: Subscriber, now: datetime, most_missed: int
) -> bool:
    """Queue the mail; true if there were papers. The subscriber's request is cleared either way."""
    today = now.astimezone(ZoneInfo(subscriber.timezone)).date()
    began = subscriber.catch_up_since or today
    earliest = max(began - timedelta(days=1), today - timedelta(days=LONGEST_DAYS))
    editions = store.list_missed(session, subscriber, earliest)
    occasion = str(subscriber.paused_at or began)
    subscriber.catch_up_since, subscriber.paused_at = None, None
    missed = _find_missed(session, settings, subscriber, editions, now, most_missed)
    digest = _compose(session, settings, subscriber, missed)
    if digest is None:
        return False
    note = _note(missed, is_bounded=began < earliest)
    summary = _span_json(editions, (max(began, earliest), today), note)
    # At once if today's hour is over: tomorrow it would come beside the next digest.
    due = max(now, subscriber_hour(today, subscriber.hour, subscriber.timezone))
    row = MailRow(
        DeliveryKind.CATCH_UP,
        subscriber.id,
        occasion,
        now,
        due,
        due + LIFETIME,
        digest={**digest_to_json(digest), "missed": summary},
        paper_ids=digest.paper_ids,
    )
    return insert_mail_row(session, row) is not None


def _find_missed(
    session: Session,
    settings: Settings,
    subscriber: Subscriber,
    editions: Sequence[Edition],
    now: datetime,
    most: int,
) -> _Missed:
    """Search in SQL: a month's papers are too many to index in memory for one subscriber."""
    missed, ids = _Missed(most), [edition.id for edition in editions]
    held_back = store.list_held_back(
        session, subscriber.id, now - timedelta(days=LONGEST_DAYS), ids
    )
    topics = [topic for _, topic in get_topics(session, [subscriber.id]).get(subscriber.id, ())]
    if not topics:
        missed.ids.update(store.find_missed_papers(session, ids, held_back, None, most))
    for query, condition in _select_conditions(session, settings, topics):
        found = store.find_missed_papers(session, ids, held_back, condition, most)
        missed.ids.update(found)
        missed.is_cut |= len(found) == most
        if wants_replaced(query):
            missed.revisions |= store.find_missed_revisions(session, ids, condition, most)
    # A paper that is new in the same days is listed as new, whatever its version.
    missed.revisions = {i: v for i, v in missed.revisions.items() if i not in missed.ids}
    return missed


def _select_conditions(
    session: Session, settings: Settings, topics: Iterable[str]
) -> list[tuple[Query, ColumnElement[bool]]]:
    found = []
    for topic in topics:
        try:
            query = parse_query(topic)
            found.append((query, topic_condition(session, settings, query)))
        except (QueryError, LikeError):
            # The language changed since the topic was saved, or the paper it names is gone.
            continue
    return found


def _compose(
    session: Session, settings: Settings, subscriber: Subscriber, missed: _Missed
) -> Digest | None:
    """Return the digest of those papers: matched, ranked and cut as every digest is."""
    ids = sorted({*missed.ids, *missed.revisions})
    if not ids:
        return None
    index = load_index(session, ids, missed.revisions)
    topics = load_matched_topics(session, settings, index, [subscriber.id]).get(subscriber.id, [])
    siblings = find_siblings(session, ids)
    places = find_places(session, siblings, edition_id=0)
    sent = find_seen(session, [subscriber.id], siblings, places, 0).get(subscriber.id, ())
    seen = frozenset(siblings[i] for i in sent)
    recipient = EditionSubscriber(tuple(topics), seen_ids=seen)
    return compose_digest(recipient, index, subscriber.max_papers or settings.digest_max_papers)


def _note(missed: _Missed, *, is_bounded: bool) -> str:
    notes = []
    if is_bounded:
        notes.append(f"Your pause was longer than {LONGEST_DAYS} days: here is its last month.")
    if missed.is_cut:
        notes.append(f"For each topic, only the newest {missed.most} papers are shown.")
    return " ".join(notes)


def _span_json(editions: Sequence[Edition], span: tuple[date, date], note: str) -> dict[str, Any]:
    """Return the span of days that the mail covers, and how many of their papers were checked."""
    coverages = [edition.coverage for edition in editions]
    return {
        "since": span[0].isoformat(),
        "until": span[1].isoformat(),
        "announced": sum(coverage.get("announced", 0) for coverage in coverages),
        "checked": sum(coverage.get("checked", 0) for coverage in coverages),
        "is_complete": all(coverage.get("is_complete", False) for coverage in coverages),
        "gaps": join_gaps(parse_coverage(coverage).gaps for coverage in coverages),
        "note": note,
    }
