"""What forms asked for is settled once, by a worker; each request for itself."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session
from support.newsletter.press import Press
from support.newsletter.stored import read_tables

from service.deliveries.domain.recipients import Cadence, SubscriberState, Timing
from service.deliveries.store.models import Delivery
from service.subscribers.domain.choices import preferences_from_json, preferences_to_json
from service.subscribers.domain.sign_up import Preferences
from service.subscribers.lifecycle import suppress_address
from service.subscribers.settle_requests import settle_requests
from service.subscribers.store.mail_requests import count_last_hour, insert_mail_request
from service.subscribers.store.models import MailRequest, Subscriber

CHOSEN = Preferences(
    Cadence.WEEKLY,
    9,
    "Asia/Tokyo",
    topics=(("Cats", "cats"),),
    names={"cats": "Pets"},
    timing=Timing.WHEN_COMPLETE,
)


def ask(press: Press, *emails: str, link: bool = False) -> None:
    choices = None if link else preferences_to_json(CHOSEN)
    with press.sessions.begin() as session:
        for email in emails:
            insert_mail_request(session, email, press.clock(), choices=choices, page="/subscribe")


def settle(press: Press) -> int:
    return settle_requests(press.sessions, press.settings, press.clock())


def count(press: Press, domain: str = "example.org") -> tuple[int, int]:
    with press.sessions() as session:
        return count_last_hour(session, domain, press.clock())


def test_choices_survive_their_json() -> None:
    assert preferences_from_json(preferences_to_json(CHOSEN)) == CHOSEN


def test_a_request_is_settled_once_and_its_address_is_forgotten(
    press: Press, session: Session, engine: Engine
) -> None:
    ask(press, "Reader@example.org")
    assert [settle(press), settle(press)] == [1, 0]
    subscriber = session.scalars(select(Subscriber)).one()
    assert (subscriber.email, subscriber.state) == ("Reader@example.org", SubscriberState.PENDING)
    assert (subscriber.cadence, subscriber.hour, subscriber.timezone) == (
        Cadence.WEEKLY, 9, "Asia/Tokyo",
    )  # fmt: skip
    assert subscriber.timing is Timing.WHEN_COMPLETE
    assert session.query(Delivery).count() == 1
    assert not any("eader@" in row for row in read_tables(engine)["mail_requests"])


def test_mails_that_are_queued_are_counted_for_an_hour_and_posts_are_not(press: Press) -> None:
    active, suppressed = press.add_subscribers("active@example.org", "never@example.org")
    assert active
    assert suppressed
    with press.sessions.begin() as session:
        keys = press.settings.secret_key
        suppress_address(session, "never@example.org", keys, "complained", press.clock())
    ask(press, "never@example.org", *["victim@example.org"] * 20, *["active@example.org"] * 20)
    ask(press, "never@example.org", "unknown@uni.example", link=True)
    assert count(press) == (43, 42)
    settle(press)
    assert count(press) == (2, 2)
    press.clock.forward(minutes=61)
    settle(press)
    assert count(press) == (0, 0)
    with press.sessions() as session:
        assert session.query(MailRequest).count() == 0


def test_a_request_that_cannot_be_settled_does_not_hold_up_the_next(
    press: Press, session: Session
) -> None:
    ask(press, "broken@example.org", "reader@example.org")
    session.execute(
        text("""UPDATE mail_requests SET choices = '{"hour": 99}' WHERE email LIKE 'broken%'""")
    )
    session.commit()
    assert settle(press) == 2
    assert session.scalars(select(Subscriber.email)).all() == ["reader@example.org"]
    assert session.scalars(select(MailRequest.email)).all() == [""]


@pytest.mark.parametrize("days", [6, 7])
def test_a_sign_up_of_a_known_address_lapses_with_its_link(
    press: Press, session: Session, days: int
) -> None:
    press.add_subscribers("reader@example.org")
    session.execute(
        text("UPDATE subscribers SET state = 'unsubscribed', unsubscribed_at = :at"),
        {"at": press.clock() - timedelta(days=1)},
    )
    session.commit()
    ask(press, "reader@example.org")
    settle(press)
    press.clock.forward(days=days)
    settle(press)
    assert len(read_pending(session)) == (0 if days > 6 else 1)


def read_pending(session: Session) -> list[int]:
    return list(session.scalars(text("SELECT id FROM pending_sign_ups")))
