"""What came during a pause, in one mail, for readers who want it when they are back.

The papers are those of the editions that went out without the reader. What makes it safe to run
twice: the reader's row is locked and the wish taken from it in the transaction that queues the
mail, and the mail's key names the pause. Papers the ledger knows never come again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.digest import Digest
from service.deliveries.domain.digest_json import digest_to_json
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import MailRow, find_seen, insert_mail_row
from service.editions.domain.compose import EditionSubscriber, compose_digest
from service.editions.domain.schedule import due_at
from service.editions.edition_cache import load_index
from service.editions.match_topics import load_matched_topics
from service.editions.store.catch_ups import (
    claim_waiting,
    find_missed_papers,
    find_missed_revisions,
    is_composing,
    list_held_back,
    list_missed,
    list_waiting,
)
from service.editions.store.models import Edition
from service.papers.store.works import find_siblings
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_topics
from service.topics.domain.language import Query, QueryError, parse_query, wants_replaced
from service.topics.like_clauses import topic_condition
from service.topics.like_queries import LikeError

# A month is what somebody looks through; who was away for longer wants to begin anew.
LONGEST_DAYS = 31
# Of each topic; what does not fit into the mail is one click away.
MOST_MISSED = 200
# Whoever comes back has a few days' time.
LIFETIME = timedelta(days=3)
SUBSCRIBERS_AT_ONCE = 200

log = get_logger(__name__)


@dataclass(slots=True)
class _Missed:
    """The papers that a reader's topics want of the editions that were missed, `most` a topic."""

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
    """Queue the mail of every reader who is back and wants one; returns how many were queued."""
    with transaction(sessions) as session:
        waiting = list_waiting(session, SUBSCRIBERS_AT_ONCE)
    queued = 0
    for subscriber_id in waiting:
        with transaction(sessions) as session:
            subscriber = claim_waiting(session, subscriber_id)
            if subscriber is not None and not is_composing(session, subscriber.cadence):
                queued += _queue(session, settings, subscriber, now, most_missed)
    if queued:
        log.info("catch_up", queued=queued)
    return queued


def _queue(
    session: Session, settings: Settings, subscriber: Subscriber, now: datetime, most_missed: int
) -> bool:
    """Gather and queue; true if there was anything. The reader's wish is fulfilled either way."""
    today = now.astimezone(ZoneInfo(subscriber.timezone)).date()
    began = subscriber.catch_up_since or today
    earliest = max(began - timedelta(days=1), today - timedelta(days=LONGEST_DAYS))
    editions = list_missed(session, subscriber, earliest)
    occasion = str(subscriber.paused_at or began)
    subscriber.catch_up_since, subscriber.paused_at = None, None
    missed = _find_missed(session, settings, subscriber, editions, now, most_missed)
    digest = _compose(session, settings, subscriber, missed)
    if digest is None:
        return False
    note = _note(missed, is_bounded=began < earliest)
    told = _tell_span(editions, (max(began, earliest), today), note)
    due = due_at(today, subscriber.hour, subscriber.timezone, now)
    row = MailRow(
        DeliveryKind.CATCH_UP,
        subscriber.id,
        occasion,
        now,
        due,
        due + LIFETIME,
        digest={**digest_to_json(digest), "missed": told},
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
    """Asked as searches are, of the store: a month's papers are too many to lay out for one reader."""
    missed, ids = _Missed(most), [edition.id for edition in editions]
    held_back = list_held_back(session, subscriber.id, now - timedelta(days=LONGEST_DAYS))
    topics = [topic for _, topic in get_topics(session, [subscriber.id]).get(subscriber.id, ())]
    if not topics:
        missed.ids.update(find_missed_papers(session, ids, held_back, None, most))
    for query, condition in _read_conditions(session, settings, topics):
        found = find_missed_papers(session, ids, held_back, condition, most)
        missed.ids.update(found)
        missed.is_cut |= len(found) == most
        if wants_replaced(query):
            missed.revisions |= find_missed_revisions(session, ids, condition, most)
    # What is new in the same days is told of as new, whatever its version.
    missed.revisions = {i: v for i, v in missed.revisions.items() if i not in missed.ids}
    return missed


def _read_conditions(
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
    """The digest of those papers: matched, ranked and cut as every digest is."""
    ids = sorted({*missed.ids, *missed.revisions})
    if not ids:
        return None
    index = load_index(session, ids, missed.revisions)
    topics = load_matched_topics(session, settings, index, [subscriber.id]).get(subscriber.id, [])
    siblings = find_siblings(session, ids)
    sent = find_seen(session, [subscriber.id], siblings, edition_id=0).get(
        subscriber.id, frozenset()
    )
    seen = frozenset(siblings[i] for i in sent)
    asked = EditionSubscriber(subscriber.id, topics=tuple(topics), seen_ids=seen)
    return compose_digest(asked, index, settings.digest_max_papers)


def _note(missed: _Missed, *, is_bounded: bool) -> str:
    said = []
    if is_bounded:
        said.append(f"Your pause was longer than {LONGEST_DAYS} days: these are the last of them.")
    if missed.is_cut:
        said.append(f"Of each topic these are the newest {missed.most} papers.")
    return " ".join(said)


def _tell_span(editions: Sequence[Edition], span: tuple[date, date], note: str) -> dict[str, Any]:
    """What the mail says of the days: from when to when, and how much of them was looked at."""
    told = [edition.coverage for edition in editions]
    return {
        "since": span[0].isoformat(),
        "until": span[1].isoformat(),
        "announced": sum(one.get("announced", 0) for one in told),
        "checked": sum(one.get("checked", 0) for one in told),
        "is_complete": all(one.get("is_complete", False) for one in told),
        "note": note,
    }
