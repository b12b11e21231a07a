"""Queries on subscribers, their pauses and their topics, on PostgreSQL."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.subscribers.domain.sign_up import Preferences, ValidSignUp
from service.subscribers.store.candidates import get_candidates, resume_paused
from service.subscribers.store.insert_subscribers import insert_subscribers
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import (
    count_by_state,
    get_subscriber,
    get_topics,
    insert_subscriber,
    list_subscribers,
    replace_topics,
)

NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
DAILY = Preferences(Cadence.DAILY, 7, "UTC")
KEY = "ada@example.org"


def add(session: Session, *names: str, preferences: Preferences = DAILY) -> list[int]:
    new = [ValidSignUp(f"{n}@example.org", f"{n}@example.org", preferences) for n in names]
    return insert_subscribers(session, new, NOW, is_confirmed=True)


def test_an_address_has_one_row_however_often_it_is_inserted(session: Session) -> None:
    first = insert_subscriber(session, ValidSignUp("Ada@example.org", KEY, DAILY), NOW)
    assert first is not None
    assert insert_subscriber(session, ValidSignUp("ADA@example.org", KEY, DAILY), NOW) is None
    assert add(session, "ada", "grace") == [list_subscribers(session)[1].id]
    assert count_by_state(session) == {SubscriberState.PENDING: 1, SubscriberState.ACTIVE: 1}


def test_an_hour_that_no_day_has_is_refused_by_the_database(session: Session) -> None:
    with pytest.raises(IntegrityError, match="ck_subscribers_hour"):
        add(session, "ada", preferences=Preferences(Cadence.DAILY, 24, "UTC"))


def test_a_locked_subscriber_is_read_again(session: Session) -> None:
    (number,) = add(session, "ada")
    subscriber = get_subscriber(session, number)
    assert subscriber is not None
    session.commit()
    with Session(session.get_bind()) as other:
        row = other.get_one(Subscriber, number)
        row.state = SubscriberState.UNSUBSCRIBED
        other.commit()
    assert get_subscriber(session, number) is subscriber
    assert subscriber.state is SubscriberState.ACTIVE
    locked = get_subscriber(session, number, lock=True)
    assert locked is not None
    assert locked is subscriber
    assert locked.state is SubscriberState.UNSUBSCRIBED


def test_only_active_subscribers_of_the_cadence_in_the_range_are_candidates(
    session: Session,
) -> None:
    weekly = Preferences(Cadence.WEEKLY, 7, "UTC")
    first, second, third, paused = add(session, "a", "b", "c", "d")
    add(session, "w", preferences=weekly)
    session.get_one(Subscriber, paused).state = SubscriberState.PAUSED
    session.flush()
    assert [r.id for r in get_candidates(session, Cadence.DAILY, second, paused)] == [second, third]
    assert len(get_candidates(session, Cadence.DAILY, first, 10**9)) == 3


def test_a_pause_ends_on_its_day_and_one_without_end_does_not(session: Session) -> None:
    until = {
        "yesterday": date(2026, 9, 17),
        "today": date(2026, 9, 18),
        "tomorrow": date(2026, 9, 19),
        "never": None,
    }
    for number, end in zip(add(session, *until), until.values(), strict=True):
        subscriber = session.get_one(Subscriber, number)
        subscriber.state, subscriber.paused_until = SubscriberState.PAUSED, end
    session.flush()
    assert resume_paused(session, date(2026, 9, 18)) == 2
    assert resume_paused(session, date(2026, 9, 18)) == 0
    session.expire_all()
    active = [r for r in list_subscribers(session) if r.state is SubscriberState.ACTIVE]
    assert [r.email for r in active] == ["yesterday@example.org", "today@example.org"]
    assert all(r.paused_until is None for r in active)


def test_topics_keep_the_subscribers_order_and_equal_ones_are_one(session: Session) -> None:
    first, second = add(session, "a", "b")
    replace_topics(session, first, [("z", "z"), ("A", "a"), ("m", "m"), ("a", "a")], NOW)
    replace_topics(session, second, [("only", "only")], NOW)
    assert get_topics(session, [first, second]) == {
        first: [("z", "z"), ("A", "a"), ("m", "m")],
        second: [("only", "only")],
    }
    replace_topics(session, first, [("m", "m"), ("new", "new")], NOW)
    assert get_topics(session, [first])[first] == [("m", "m"), ("new", "new")]
    replace_topics(session, first, [], NOW)
    assert get_topics(session, [first]) == {}


def test_an_import_keeps_the_order_of_topics_too(session: Session) -> None:
    topics = (("z", "z"), ("A", "a"), ("m", "m"), ("a", "a"))
    new = [ValidSignUp(KEY, KEY, replace(DAILY, topics=topics))]
    (number,) = insert_subscribers(session, new, NOW, is_confirmed=False)
    assert get_topics(session, [number])[number] == [("z", "z"), ("A", "a"), ("m", "m")]
