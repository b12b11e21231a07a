"""The mails beside the digest: queued once for their occasion, and with what they promise."""

from collections.abc import Sequence
from datetime import date, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport, Press

from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.models import Delivery
from service.platform.signing.tokens import Purpose, Token
from service.sending.deliver import deliver
from service.subscribers.domain.sign_up import SignUpForm
from service.subscribers.lifecycle import leave, pause, undo_unsubscribe, update_preferences
from service.subscribers.queue_mails import queue_paused, queue_resumed, queue_topics_changed
from service.subscribers.sign_up import confirm, request_subscription
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import find_by_email
from service.subscribers.validate import validate_preferences, validate_sign_up

ANNE = "anne@example.org"


def letters(press: Press) -> Sequence[EmailMessage]:
    """Everything that is due, sent."""
    transport = PlannedTransport()
    deliver(press.sender(transport))
    return [message_from_bytes(one.payload, policy=policy.default) for one in transport.sent]


def said(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def kinds(press: Press) -> list[DeliveryKind]:
    with press.sessions() as session:
        return [row.kind for row in session.query(Delivery).order_by(Delivery.id)]


def sign_up(press: Press, *topics: str) -> int:
    with press.sessions.begin() as session:
        form = validate_sign_up(session, SignUpForm(ANNE, topics))
        request_subscription(session, form, press.settings.secret_key, press.clock())
        subscriber = find_by_email(session, ANNE)
        assert subscriber is not None
        return subscriber.id


def say_yes(press: Press, subscriber_id: int) -> None:
    with press.sessions.begin() as session:
        confirm(
            session,
            press.settings,
            Token(Purpose.CONFIRM, subscriber_id, press.clock()),
            press.clock(),
        )


def subscriber_of(session: Session, subscriber_id: int) -> Subscriber:
    return session.get_one(Subscriber, subscriber_id)


def test_a_confirmed_reader_is_welcomed_once_with_papers_of_the_last_days(press: Press) -> None:
    press.add_papers(1, 2)
    subscriber_id = sign_up(press, "parsing", "nothing-like-it")
    letters(press)
    for _ in range(2):
        say_yes(press, subscriber_id)
    (welcome,) = letters(press)
    text = said(welcome)
    assert welcome["Message-ID"].startswith("<welcome.")
    assert "What it looks like" in text
    assert "Parsing number 2" in text
    assert "Parsing number 1" in text
    assert "nothing-like-it" in text
    assert "/change/" not in text


def test_papers_of_a_welcome_come_in_the_first_digest_all_the_same(press: Press) -> None:
    press.add_papers(1)
    say_yes(press, sign_up(press, "parsing"))
    letters(press)
    press.publish()
    (digest,) = letters(press)
    assert "Parsing number 1" in said(digest)


def test_changed_topics_are_told_once_when_they_have_settled(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    for topics in (("parsing",), ("parsing", "graphs"), ("graphs", "trees")):
        with press.sessions.begin() as session:
            wanted = validate_preferences(session, SignUpForm(topics=topics))
            update_preferences(session, subscriber_of(session, anne), wanted, press.clock())
    assert letters(press) == []
    press.clock.forward(minutes=11)
    (mail,) = letters(press)
    text = said(mail)
    assert "- graphs" in text
    assert "- trees" in text
    assert "- parsing" not in text


def test_the_same_topics_are_no_change(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    with press.sessions.begin() as session:
        form = SignUpForm(topics=("PARSING",), cadence="weekly", hour="9")
        wanted = validate_preferences(session, form)
        update_preferences(session, subscriber_of(session, anne), wanted, press.clock())
    assert kinds(press) == []


@pytest.mark.parametrize(
    ("until", "words"), [(date(2026, 10, 1), "until Thursday 1 October 2026"), (None, "until you")]
)
def test_a_pause_is_confirmed_with_the_way_back(
    press: Press, until: date | None, words: str
) -> None:
    (anne,) = press.add_subscribers(ANNE)
    for _ in range(2):
        with press.sessions.begin() as session:
            subscriber = subscriber_of(session, anne)
            pause(subscriber, until, press.clock())
            queue_paused(session, subscriber, press.clock())
    (mail,) = letters(press)
    assert words in " ".join(said(mail).split())
    assert "/preferences/" in said(mail)


def test_the_end_of_a_pause_is_told_once_a_day(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    for _ in range(2):
        with press.sessions.begin() as session:
            queue_resumed(session, subscriber_of(session, anne), press.clock())
    (mail,) = letters(press)
    assert "Welcome back" in said(mail)


def test_who_leaves_hears_no_more_unless_the_operator_wants_a_farewell(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    with press.sessions.begin() as session:
        assert leave(session, press.settings, anne, "/unsubscribe", press.clock())
    assert letters(press) == []


def test_a_farewell_goes_out_once_and_its_undo_ends_it(press: Press) -> None:
    (anne, bert) = press.add_subscribers(ANNE, "bert@example.org")
    press.settings = press.settings.model_copy(update={"send_farewell": True})
    for subscriber in (anne, bert, anne):
        with press.sessions.begin() as session:
            leave(session, press.settings, subscriber, "/unsubscribe", press.clock())
    with press.sessions.begin() as session:
        assert undo_unsubscribe(session, bert, press.clock())
    (mail,) = letters(press)
    assert mail["To"] == ANNE
    assert "List-Unsubscribe" not in mail
    press.clock.forward(days=1)
    assert letters(press) == []


def test_a_letter_has_its_day_to_arrive(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    with press.sessions.begin() as session:
        queue_topics_changed(session, subscriber_of(session, anne), press.clock())
    row = press.row()
    assert row.due_at - press.clock() == timedelta(minutes=10)
    assert row.send_not_after - row.due_at == timedelta(hours=24)
