"""A lost link is mailed again: which mail fits which state, and never more than one an hour."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.newsletter.press import Press

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.store.models import Delivery
from service.platform.database.engine import make_sessions
from service.platform.signing.tokens import Purpose, make_token
from service.subscribers.lifecycle import suppress_address
from service.subscribers.personal_link import renew_link, request_link
from service.subscribers.store.models import Subscriber

EMAIL = "reader@example.org"


def ask(press: Press, email: str = EMAIL) -> None:
    with press.sessions.begin() as session:
        request_link(session, email, press.settings.secret_key, press.clock())


def mails(press: Press) -> dict[str, int]:
    """Return the kinds of the queued mails, counted."""
    with press.sessions() as session:
        return Counter(map(str, session.scalars(select(Delivery.kind))))


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (SubscriberState.ACTIVE, "personal_link"),
        (SubscriberState.PAUSED, "personal_link"),
        (SubscriberState.PENDING, "confirmation"),
        (SubscriberState.UNSUBSCRIBED, "farewell"),
        (SubscriberState.SUPPRESSED, ""),
    ],
)
def test_each_state_gets_the_mail_that_helps(
    press: Press, state: SubscriberState, kind: str
) -> None:
    (subscriber,) = press.add_subscribers(EMAIL)
    press.change(subscriber, state=state)
    ask(press, "Reader@EXAMPLE.org")
    assert mails(press) == ({kind: 1} if kind else {})


def test_an_unknown_a_suppressed_and_a_never_confirmed_address_get_nothing(press: Press) -> None:
    (subscriber, other) = press.add_subscribers(EMAIL, "other@example.org")
    press.change(subscriber, state=SubscriberState.UNSUBSCRIBED, confirmed_at=None)
    with press.sessions.begin() as session:
        keys = press.settings.secret_key
        suppress_address(session, "other@example.org", keys, "complained", press.clock())
    press.change(other, state=SubscriberState.ACTIVE)
    for email in (EMAIL, "other@example.org", "unknown@example.org"):
        ask(press, email)
    assert mails(press) == {}


@pytest.mark.parametrize(
    ("state", "hours"), [(SubscriberState.ACTIVE, 1), (SubscriberState.UNSUBSCRIBED, 24)]
)
def test_one_mail_an_hour_and_one_a_day_after_leaving(
    press: Press, state: SubscriberState, hours: int
) -> None:
    (subscriber,) = press.add_subscribers(EMAIL)
    press.change(subscriber, state=state)
    # Across a full hour, which an occasion alone would not catch.
    press.clock.forward(minutes=50)
    ask(press)
    press.clock.forward(minutes=20)
    ask(press)
    press.clock.forward(hours=hours - 1, minutes=39)
    ask(press)
    assert sum(mails(press).values()) == 1
    press.clock.forward(minutes=1)
    ask(press)
    assert sum(mails(press).values()) == 2


@pytest.mark.parametrize("state", [SubscriberState.ACTIVE, SubscriberState.PENDING])
def test_two_requests_at_once_queue_one_mail(
    press: Press, session: Session, engine: Engine, state: SubscriberState
) -> None:
    (subscriber,) = press.add_subscribers(EMAIL)
    press.change(subscriber, state=state)
    keys, now = press.settings.secret_key, press.clock()

    def ask_elsewhere() -> None:
        with make_sessions(engine).begin() as other:
            request_link(other, EMAIL, keys, now + timedelta(seconds=1))

    request_link(session, EMAIL, keys, now)
    other = threading.Thread(target=ask_elsewhere)
    other.start()
    other.join(timeout=0.3)
    assert other.is_alive(), "the second must wait for the first"
    session.commit()
    other.join(timeout=10)
    assert sum(mails(press).values()) == 1


def test_strangers_get_three_confirmations_sent_and_the_holder_of_one_as_many_as_needed(
    press: Press,
) -> None:
    (subscriber,) = press.add_subscribers(EMAIL)
    press.change(subscriber, state=SubscriberState.PENDING)
    for _ in range(5):
        ask(press)
        press.clock.forward(hours=2)
    assert mails(press) == {"confirmation": 3}
    for _ in range(2):
        renew(press, subscriber)
    assert mails(press) == {"confirmation": 4}


def renew(press: Press, subscriber: int) -> None:
    with press.sessions.begin() as session:
        holder = session.get_one(Subscriber, subscriber)
        link = make_token(Purpose.PREFERENCES, holder, press.clock())
        renew_link(session, link, press.settings.secret_key, press.clock())


def test_strangers_have_three_links_a_day_sent_and_the_holder_of_one_as_many_as_needed(
    press: Press,
) -> None:
    (subscriber,) = press.add_subscribers(EMAIL)
    for _ in range(12):
        ask(press)
        press.clock.forward(hours=1)
    assert mails(press) == {"personal_link": 3}
    for _ in range(2):
        renew(press, subscriber)
    assert mails(press) == {"personal_link": 4}
    press.clock.forward(hours=24)
    ask(press)
    assert mails(press) == {"personal_link": 5}


def test_strangers_have_three_ways_back_sent_for_each_time_that_somebody_leaves(
    press: Press,
) -> None:
    (subscriber,) = press.add_subscribers(EMAIL)
    left = SubscriberState.UNSUBSCRIBED
    press.change(subscriber, state=left, unsubscribed_at=press.clock())
    for _ in range(6):
        ask(press)
        press.clock.forward(days=1)
    assert mails(press) == {"farewell": 3}
    renew(press, subscriber)
    assert mails(press) == {"farewell": 4}
    press.clock.forward(days=1)
    press.change(subscriber, state=left, unsubscribed_at=press.clock())
    ask(press)
    assert mails(press) == {"farewell": 5}


def test_an_address_that_waits_for_a_change_gets_that_confirmation_again(press: Press) -> None:
    (subscriber, waiting) = press.add_subscribers("old@example.org", EMAIL)
    press.change(waiting, state=SubscriberState.PENDING, moves_from_id=subscriber)
    ask(press)
    assert mails(press) == {"address_change": 1}
