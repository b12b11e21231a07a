"""Subscribers, their consents and their topics."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, cast

from sqlalchemy import CursorResult, case, delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery, DeliveryEvent
from service.deliveries.store.sent_copies import delete_copies
from service.platform.database.text_formats import is_among, write_numbers
from service.subscribers.domain.sign_up import Preferences, ValidSignUp
from service.subscribers.store.models import Consent, Subscriber
from service.topics.domain.names import name_topics
from service.topics.domain.types import NamedTopic, TopicMeasure
from service.topics.store.models import Topic
from service.topics.store.save_compiled import save_compiled_topics
from service.topics.store.topics import list_topics


def insert_subscriber(session: Session, form: ValidSignUp, now: datetime) -> Subscriber | None:
    """Insert and return a pending subscriber without topics, or None if the address exists."""
    return session.scalar(
        insert(Subscriber)
        .values(row_values(form, SubscriberState.PENDING, now))
        .on_conflict_do_nothing()
        .returning(Subscriber)
    )


def row_values(form: ValidSignUp, state: SubscriberState, now: datetime) -> dict[str, object]:
    """Return the columns of a new row."""
    return {
        "email": form.email,
        "email_key": form.email_key,
        "state": state,
        "cadence": form.preferences.cadence,
        "hour": form.preferences.hour,
        "timezone": form.preferences.timezone,
        "timing": form.preferences.timing,
        "has_empty_digests": form.preferences.has_empty_digests,
        "has_ai_summaries": form.preferences.has_ai_summaries,
        "full_cards": form.preferences.full_cards,
        "max_papers": form.preferences.max_papers,
        "weekly_topics_on": form.preferences.weekly_topics_on,
        "created_at": now,
        "confirmed_at": now if state is SubscriberState.ACTIVE else None,
    }


def name_distinct(chosen: Preferences) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the canonical form and the text of each distinct topic."""
    distinct = distinct_topics(chosen.topics)
    names = name_topics([(query, chosen.names.get(c, "")) for c, query in distinct.items()])
    for name, (canonical, query) in zip(names, distinct.items(), strict=True):
        yield name, canonical, query


def distinct_topics(topics: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return canonical form -> text as first written, in the order written."""
    distinct: dict[str, str] = {}
    for query, canonical in topics:
        distinct.setdefault(canonical, query)
    return distinct


def find_by_email(session: Session, email_key: str, *, lock: bool = False) -> Subscriber | None:
    statement = select(Subscriber).where(Subscriber.email_key == email_key)
    return session.scalar(statement.with_for_update() if lock else statement)


def get_subscriber(
    session: Session, subscriber_id: int, *, lock: bool = False
) -> Subscriber | None:
    """Return the subscriber; with `lock`, the row is locked (FOR UPDATE) and read again."""
    return session.get(
        Subscriber, subscriber_id, with_for_update=lock or None, populate_existing=lock
    )


def list_subscribers(session: Session) -> Sequence[Subscriber]:
    return session.scalars(select(Subscriber).order_by(Subscriber.id)).all()


def count_by_state(session: Session) -> dict[SubscriberState, int]:
    rows = session.execute(select(Subscriber.state, func.count()).group_by(Subscriber.state))
    return dict(rows.all())


def swap_addresses(session: Session, subscriber: Subscriber, other: Subscriber) -> None:
    """Swap two subscribers' addresses; the caller holds the locks of both rows.

    The keys of the links go with the addresses, so that a link to leave works while mail comes to
    the address that got it; all other links of both end.
    """
    subscriber.link_key, other.link_key = other.link_key, subscriber.link_key
    subscriber.link_epoch = other.link_epoch = max(subscriber.link_epoch, other.link_epoch) + 1
    address, key = subscriber.email, subscriber.email_key
    other_address, other_key = other.email, other.email_key
    # The key is unique, so one row gets a placeholder first; a real key always has an @.
    other.email_key = f"moving {other.id}"
    session.flush()
    subscriber.email, subscriber.email_key = other_address, other_key
    session.flush()
    other.email, other.email_key = address, key
    session.flush()


def cancel_other_address_changes(session: Session, subscriber_id: int, kept_id: int) -> None:
    """Cancel all address changes that a subscriber requested except the one of `kept_id`."""
    session.execute(
        update(Subscriber)
        .where(
            Subscriber.moves_from_id == subscriber_id,
            Subscriber.id != kept_id,
            Subscriber.state == SubscriberState.PENDING,
        )
        .values(moves_from_id=None)
    )


def record_consent(
    session: Session, subscriber_id: int, action: str, page: str, now: datetime
) -> None:
    """Insert a consent with text version, page and time; the visitor's IP address is not stored."""
    session.add(
        Consent(
            subscriber_id=subscriber_id,
            action=action,
            text_version=CONSENT_TEXT_VERSION,
            page=page,
            created_at=now,
        )
    )


SUBSCRIBED = frozenset({SubscriberState.ACTIVE, SubscriberState.PAUSED})

_END_SUBSCRIPTION = text("""
    WITH ended AS (
        UPDATE subscribers SET state = 'unsubscribed', unsubscribed_at = :now
        WHERE id = :id AND link_key = :link_key AND state IN ('active', 'paused') RETURNING id
    )
    INSERT INTO consents (subscriber_id, action, text_version, page, created_at)
    SELECT id, 'unsubscribed', :version, :page, :now FROM ended
""")


def end_subscription(
    session: Session, subscriber_id: int, link_key: bytes, page: str, now: datetime
) -> bool:
    """Unsubscribe by one statement; False where a row of that key is neither active nor paused.

    It waits for the row's lock, as of a send that is about to start, and then reads the row again.
    """
    values = {"id": subscriber_id, "link_key": link_key, "page": page, "now": now}
    ended = session.execute(_END_SUBSCRIPTION, values | {"version": CONSENT_TEXT_VERSION})
    return cast("CursorResult[Any]", ended).rowcount > 0


def end_by_suppression(session: Session, subscriber: Subscriber, cause: str, now: datetime) -> None:
    """Make a subscriber suppressed, after the address was; record it if there were digests to end."""
    if subscriber.state in SUBSCRIBED:
        record_consent(session, subscriber.id, "suppressed", cause, now)
    subscriber.state = SubscriberState.SUPPRESSED


def list_suppressed_keys(session: Session) -> Sequence[tuple[int, str]]:
    """Return (id, address key) of all suppressed subscribers, by id."""
    rows = session.execute(
        select(Subscriber.id, Subscriber.email_key)
        .where(Subscriber.state == SubscriberState.SUPPRESSED)
        .order_by(Subscriber.id)
    )
    return [(number, key) for number, key in rows]


def restore_suppressed(
    session: Session, subscriber: Subscriber, because: str, now: datetime
) -> None:
    """Give a subscriber back what a wrong suppression ended; unsubscribed where that was nothing."""
    if _newest_change(session, subscriber.id) != "suppressed":
        subscriber.state = SubscriberState.UNSUBSCRIBED
        return
    is_paused = subscriber.paused_at is not None and subscriber.catch_up_since is None
    subscriber.state = SubscriberState.PAUSED if is_paused else SubscriberState.ACTIVE
    record_consent(session, subscriber.id, "released", _release_page(because), now)


def decline(session: Session, subscriber_id: int, page: str, now: datetime) -> None:
    """Record that a suppressed subscriber wants no mail, so that no release restores it."""
    if _newest_change(session, subscriber_id) != "declined":
        record_consent(session, subscriber_id, "declined", page, now)


def _newest_change(session: Session, subscriber_id: int) -> str | None:
    changes = ("confirmed", "unsubscribed", "suppressed", "declined", "released")
    return session.scalar(
        select(Consent.action)
        .where(Consent.subscriber_id == subscriber_id, Consent.action.in_(changes))
        .order_by(Consent.id.desc())
        .limit(1)
    )


def was_released_because(session: Session, because: str) -> bool:
    """Return whether somebody was restored for this reason before."""
    page = _release_page(because)
    return bool(session.scalar(select(exists().where(Consent.page == page))))


def _release_page(because: str) -> str:
    return f"operator: {because[:200]}"


def activate(session: Session, subscriber: Subscriber, page: str, now: datetime) -> None:
    """Make a subscriber active and record the consent."""
    subscriber.state = SubscriberState.ACTIVE
    subscriber.confirmed_at = now
    subscriber.unsubscribed_at = None
    subscriber.paused_until = None
    subscriber.paused_at = None
    subscriber.catch_up_since = None
    subscriber.moves_from_id = None
    record_consent(session, subscriber.id, "confirmed", page, now)


# To be changed with the text beside the sign-up button.
CONSENT_TEXT_VERSION = "2026-11"


def delete_subscriber(session: Session, subscriber_id: int) -> None:
    """Erase a subscriber with topics and consents; deliveries stay as anonymous rows.

    Relay replies are erased, too, since a refusal repeats the address; reasons of skips are our
    own words and stay.
    """
    own = select(Delivery.id).where(Delivery.subscriber_id == subscriber_id)
    session.execute(
        update(DeliveryEvent).where(DeliveryEvent.delivery_id.in_(own)).values(detail="")
    )
    is_failed = Delivery.state == DeliveryState.FAILED
    session.execute(
        update(Delivery)
        .where(Delivery.subscriber_id == subscriber_id)
        .values(digest=None, last_reply="", reason=case((is_failed, ""), else_=Delivery.reason))
    )
    delete_copies(session, subscriber_id)
    moves = select(Subscriber.id).where(Subscriber.moves_from_id == subscriber_id)
    for other_id in session.scalars(moves).all():
        delete_subscriber(session, other_id)
    session.execute(delete(Subscriber).where(Subscriber.id == subscriber_id))


def set_preferences(
    session: Session, subscriber: Subscriber, chosen: Preferences, now: datetime
) -> None:
    """Set a subscriber's preferences, topics included."""
    subscriber.cadence = chosen.cadence
    subscriber.hour = chosen.hour
    subscriber.timezone = chosen.timezone
    subscriber.timing = chosen.timing
    subscriber.has_empty_digests = chosen.has_empty_digests
    subscriber.has_ai_summaries = chosen.has_ai_summaries
    subscriber.full_cards = chosen.full_cards
    subscriber.max_papers = chosen.max_papers
    subscriber.weekly_topics_on = chosen.weekly_topics_on
    replace_topics(session, subscriber.id, chosen.topics, now, chosen.names)
    if chosen.measures:
        _set_measures(session, subscriber.id, chosen.measures)


def _set_measures(
    session: Session, subscriber_id: int, measures: Mapping[str, TopicMeasure]
) -> None:
    for topic in list_topics(session, subscriber_id):
        if topic.canonical in measures:
            topic.is_weekly, topic.at_least = measures[topic.canonical]
    session.flush()


def replace_topics(
    session: Session,
    subscriber_id: int,
    topics: Sequence[tuple[str, str]],
    now: datetime,
    names: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Set a subscriber's topics to exactly these (text as written, canonical form).

    An existing topic keeps its row, because links in mails name it by its id. `names`: see
    `Preferences`.
    """
    distinct = distinct_topics(topics)
    numbers = save_compiled_topics(session, distinct)
    session.execute(
        delete(Topic).where(
            Topic.subscriber_id == subscriber_id, Topic.canonical.not_in(list(distinct))
        )
    )
    existing = {topic.canonical: topic for topic in list_topics(session, subscriber_id)}
    kept = {canonical: topic.name for canonical, topic in existing.items()}
    chosen = {**kept, **names}
    named = name_topics(
        [(query, chosen.get(canonical, "")) for canonical, query in distinct.items()]
    )
    for position, (canonical, query) in enumerate(distinct.items()):
        topic = existing.get(canonical) or Topic(
            subscriber_id=subscriber_id, canonical=canonical, created_at=now
        )
        topic.name = named[position]
        topic.query = query
        topic.canonical_id = numbers[canonical]
        topic.position = position
        session.add(topic)
    session.flush()


_GET_TOPICS = text("""
SELECT subscriber_id, query, canonical FROM topics
WHERE subscriber_id = ANY(CAST(:ids AS bigint[]))
ORDER BY position, id
""")


def get_topics(session: Session, subscriber_ids: Iterable[int]) -> dict[int, list[tuple[str, str]]]:
    """Return the topics (text as written, canonical form) by subscriber, in their order."""
    session.flush()  # a textual statement does not autoflush
    rows = session.execute(_GET_TOPICS, {"ids": write_numbers(subscriber_ids)}).all()
    topics: dict[int, list[tuple[str, str]]] = {}
    for subscriber_id, query, canonical in rows:
        topics.setdefault(subscriber_id, []).append((query, canonical))
    return topics


def get_named_topics(
    session: Session, subscriber_ids: Iterable[int]
) -> dict[int, list[NamedTopic]]:
    """Return the topics by subscriber, in their order."""
    rows = session.execute(
        select(
            Topic.subscriber_id, Topic.id, Topic.name, Topic.query, Topic.is_weekly, Topic.at_least
        )
        .where(is_among(Topic.subscriber_id, subscriber_ids))
        .order_by(Topic.position, Topic.id)
    )
    topics: dict[int, list[NamedTopic]] = {}
    for subscriber_id, topic_id, name, query, is_weekly, at_least in rows:
        topic = NamedTopic(topic_id, name, query, TopicMeasure(is_weekly, at_least))
        topics.setdefault(subscriber_id, []).append(topic)
    return topics
