"""Transactional mails: each is queued once for its occasion and has the expected content."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from sqlalchemy.orm import Session
from support.mail.reading_mail import parse_strictly, shown_text
from support.newsletter.press import PlannedTransport, Press
from support.web.papers import make_announcement, upvoted

from service.deliveries.domain.recipients import Timing
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.models import Delivery
from service.platform.signing.tokens import Purpose, make_token
from service.sending.deliver import deliver
from service.subscribers.domain.sign_up import SignUpForm
from service.subscribers.lifecycle import leave, pause, undo_unsubscribe, update_preferences
from service.subscribers.queue_mails import queue_paused, queue_resumed, queue_topics_changed
from service.subscribers.sign_up import confirm, request_subscription
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import find_by_email
from service.subscribers.validate import validate_preferences, validate_sign_up

ANNE = "anne@example.org"


def send_due(press: Press) -> Sequence[EmailMessage]:
    """Send all mails that are due, and return them."""
    transport = PlannedTransport()
    deliver(press.sender(transport))
    return [message_from_bytes(mail.payload, policy=policy.default) for mail in transport.sent]


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def shown_html(message: EmailMessage) -> str:
    part = message.get_body(("html",))
    assert part is not None
    return shown_text(parse_strictly(part.get_content()))


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


def confirm_address(press: Press, subscriber_id: int) -> None:
    with press.sessions.begin() as session:
        confirm(
            session,
            press.settings,
            make_token(Purpose.CONFIRM, subscriber_of(session, subscriber_id), press.clock()),
            press.clock(),
        )


def subscriber_of(session: Session, subscriber_id: int) -> Subscriber:
    return session.get_one(Subscriber, subscriber_id)


@pytest.mark.parametrize(("upvotes", "heading"), [(7, "Trending\n--------"), (0, "Newest\n------")])
def test_a_welcome_without_topics_shows_what_such_a_digest_shows(
    press: Press, upvotes: int, heading: str
) -> None:
    noticed = make_announcement(2, "A paper", signals=upvoted(upvotes) if upvotes else None)
    press.add_papers(1, announcements=[noticed])
    confirm_address(press, sign_up(press))
    (welcome,) = send_due(press)
    text = text_of(welcome).replace("\r\n", "\n")
    flat = " ".join(text.split())
    assert "so you get the day’s best papers by upvotes, at most 25." in flat
    assert "What it looks like: the best papers of the latest day." in flat
    assert heading in text


def move_to(press: Press, subscriber_id: int, zone: str, timing: Timing) -> None:
    with press.sessions.begin() as session:
        subscriber = subscriber_of(session, subscriber_id)
        subscriber.timezone, subscriber.timing = zone, timing


@pytest.mark.parametrize(
    ("zone", "timing", "first", "is_explained"),
    [
        ("Asia/Tokyo", Timing.AT_HOUR, "Tuesday 1 December 2026 at 07:00", True),
        ("Asia/Tokyo", Timing.WHEN_COMPLETE, "Monday 30 November 2026 at about 14:30", False),
        ("Europe/Berlin", Timing.AT_HOUR, "Monday 30 November 2026 at 07:00", False),
    ],
)
def test_a_welcome_on_sunday_names_the_day_of_the_first_digest(
    press: Press, zone: str, timing: Timing, first: str, is_explained: bool
) -> None:
    press.clock.now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    subscriber_id = sign_up(press)
    send_due(press)
    move_to(press, subscriber_id, zone, timing)
    confirm_address(press, subscriber_id)
    # A welcome that waits promises the same.
    press.clock.forward(hours=20)
    (welcome,) = send_due(press)
    on, _, hour = first.partition(" 2026 ")
    day, number, month = on.split()
    short = f"your first digest comes on {day[:3]} {number} {month[:3]} {hour}"
    assert welcome["Subject"] == f"Welcome to Paperboy: {short} · Sun 29 Nov"
    text, html = " ".join(text_of(welcome).split()), shown_html(welcome)
    for shown in (text, html):
        assert f"Your first digest comes on {first}." in shown
        assert ("at about 14:30, after your hour, so they reach you" in shown) == is_explained
        assert ("Get them as soon as they are complete" in shown) == is_explained
    assert ("#schedule" in text) == is_explained


def test_a_confirmed_subscriber_gets_one_welcome_with_recent_papers(press: Press) -> None:
    press.add_papers(1, 2)
    subscriber_id = sign_up(press, "parsing", "nothing-like-it")
    send_due(press)
    for _ in range(2):
        confirm_address(press, subscriber_id)
    (welcome,) = send_due(press)
    text = text_of(welcome).replace("\r\n", "\n")
    assert welcome["Message-ID"].startswith("<welcome.")
    assert "What it looks like" in text
    assert "Parsing number 2" in text
    assert "Parsing number 1" in text
    assert "- Nothing-like-it" in text
    assert "/change/" not in text


def test_papers_of_a_welcome_come_in_the_first_digest_too(press: Press) -> None:
    press.add_papers(1)
    confirm_address(press, sign_up(press, "parsing"))
    send_due(press)
    press.publish()
    (digest,) = send_due(press)
    assert "Parsing number 1" in text_of(digest)


def test_topic_changes_are_notified_once_after_a_quiet_period(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    for topics in (("parsing",), ("parsing", "graphs"), ("graphs", "trees")):
        with press.sessions.begin() as session:
            wanted = validate_preferences(session, SignUpForm(topics=topics))
            update_preferences(session, subscriber_of(session, anne), wanted, press.clock())
    assert send_due(press) == []
    press.clock.forward(minutes=11)
    (mail,) = send_due(press)
    text = text_of(mail)
    assert "- Graphs" in text
    assert "- Trees" in text
    assert "- Parsing" not in text


def test_equal_topics_are_not_a_change(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    with press.sessions.begin() as session:
        form = SignUpForm(topics=("PARSING",), cadence="weekly", hour="9")
        wanted = validate_preferences(session, form)
        update_preferences(session, subscriber_of(session, anne), wanted, press.clock())
    assert kinds(press) == []


@pytest.mark.parametrize(
    ("until", "words"), [(date(2026, 10, 1), "until Thursday 1 October 2026"), (None, "until you")]
)
def test_a_pause_is_confirmed_with_a_link_to_resume(
    press: Press, until: date | None, words: str
) -> None:
    (anne,) = press.add_subscribers(ANNE)
    for _ in range(2):
        with press.sessions.begin() as session:
            subscriber = subscriber_of(session, anne)
            pause(subscriber, until, press.clock())
            queue_paused(session, subscriber, press.clock())
    (mail,) = send_due(press)
    assert words in " ".join(text_of(mail).split())
    assert "/preferences/" in text_of(mail)


def test_the_end_of_a_pause_is_notified_once_a_day(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    for _ in range(2):
        with press.sessions.begin() as session:
            queue_resumed(session, subscriber_of(session, anne), press.clock())
    (mail,) = send_due(press)
    assert "Welcome back" in text_of(mail)


def test_no_farewell_is_sent_unless_the_operator_enables_it(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    with press.sessions.begin() as session:
        assert leave(session, press.settings, anne, "/unsubscribe", press.clock())
    assert send_due(press) == []


def test_a_farewell_is_sent_once_and_undo_cancels_it(press: Press) -> None:
    (anne, bert) = press.add_subscribers(ANNE, "bert@example.org")
    press.settings = press.settings.model_copy(update={"send_farewell": True})
    for subscriber in (anne, bert, anne):
        with press.sessions.begin() as session:
            leave(session, press.settings, subscriber, "/unsubscribe", press.clock())
    with press.sessions.begin() as session:
        assert undo_unsubscribe(session, bert, press.clock())
    (mail,) = send_due(press)
    assert mail["To"] == ANNE
    assert "List-Unsubscribe" not in mail
    press.clock.forward(days=1)
    assert send_due(press) == []


def test_a_transactional_mail_expires_after_a_day(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    with press.sessions.begin() as session:
        queue_topics_changed(session, subscriber_of(session, anne), press.clock())
    row = press.row()
    assert row.due_at - press.clock() == timedelta(minutes=10)
    assert row.send_not_after - row.due_at == timedelta(hours=24)
