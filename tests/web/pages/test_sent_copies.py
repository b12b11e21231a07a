"""The browser copy stays as sent, even if papers, settings or templates change."""

import hashlib
import re
from email import message_from_bytes, policy
from email.message import EmailMessage

import httpx2
import pytest
from sqlalchemy import Engine, select, text, update
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport
from support.web.papers import FRIDAY, make_announcement, store_papers
from support.web.site import Subscribers

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.models import Delivery, MailCopy, MailPart
from service.editions.catch_up import compose_catch_ups
from service.editions.publish import publish_now
from service.messages.browser_copy import sent_html
from service.messages.rendering.renderer import Renderer
from service.papers.store.models import Paper
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.sending.deliver import deliver
from service.sending.sender import Sender
from service.subscribers.lifecycle import pause, resume
from service.subscribers.store.models import Subscriber

SUBSCRIBER = "reader@example.org"


@pytest.fixture
def sent(
    session: Session, engine: Engine, subscribers: Subscribers
) -> tuple[EmailMessage, Delivery]:
    """Return a sent digest and its row."""
    subscribers.add(SUBSCRIBER, "cats")
    store_papers(session, [make_announcement(1, "Cats, x < y & é")])
    return send(session, engine, subscribers)


def send(
    session: Session, engine: Engine, subscribers: Subscribers, **changes: int
) -> tuple[EmailMessage, Delivery]:
    sessions = make_sessions(engine)
    publish_now(sessions, subscribers.settings, Cadence.DAILY, FRIDAY, subscribers.clock())
    transport = PlannedTransport()
    settings = subscribers.settings.model_copy(update=changes)
    deliver(Sender(sessions, settings, Renderer(), transport, subscribers.clock))
    session.rollback()
    digests = select(Delivery).where(Delivery.kind == DeliveryKind.DIGEST)
    (mail,) = transport.sent
    message = message_from_bytes(mail.payload, policy=policy.default)
    return message, session.execute(digests).scalar_one()


def html_of(message: EmailMessage) -> bytes:
    part = message.get_body(("html",))
    assert part is not None
    body = part.get_payload(decode=True)
    assert isinstance(body, bytes)
    return body


def shown_copy(message: EmailMessage, settings: Settings, personal_links: int) -> bytes:
    """Return the HTML part with the page that mails the link in place of the personal links."""
    base = settings.base_url.encode()
    personal = rb'%b/(?:preferences|unsubscribe|change)/[^"]*' % re.escape(base)
    html, count = re.subn(personal, base + b"/link", html_of(message))
    assert count == personal_links
    return html


def test_the_browser_copy_is_the_html_part_but_for_its_personal_links_and_never_changes(
    web: httpx2.Client,
    session: Session,
    subscribers: Subscribers,
    sent: tuple[EmailMessage, Delivery],
) -> None:
    message, delivery = sent
    token = subscribers.token(Purpose.EDITION, delivery.id)
    shown = shown_copy(message, subscribers.settings, 5)
    assert web.get(f"/editions/{token}").content == shown
    session.execute(update(Paper).values(title="Now about Dogs", abstract="Changed."))
    session.execute(text("UPDATE topics SET query = 'dogs'"))
    session.commit()
    answer = web.get(f"/editions/{token}")
    assert answer.content == shown
    assert answer.headers["content-type"].startswith("text/html")
    copy = session.execute(select(MailCopy)).scalar_one()
    part = message.get_body(("html",))
    assert part is not None
    encoded = part.get_payload()
    assert isinstance(encoded, str)
    wire = "".join(f"{line}\r\n" for line in encoded.splitlines()).encode()
    assert copy.content_hash == hashlib.sha256(wire).digest()[:16]


def test_a_copy_survives_new_keys_and_a_new_address(
    session: Session, subscribers: Subscribers, sent: tuple[EmailMessage, Delivery]
) -> None:
    message, delivery = sent
    subscriber = session.get_one(Subscriber, delivery.subscriber_id)
    settings = subscribers.settings
    keys = ("a-new-key-that-signs-links-from-today-on", *settings.secret_key)
    moved = settings.model_copy(update={"secret_key": keys, "base_url": "https://new.example.org"})
    assert sent_html(session, delivery, subscriber, moved) == html_of(message)
    # Without the key that signed them no link to the copy opens either.
    ended = settings.model_copy(update={"secret_key": keys[:1]})
    assert sent_html(session, delivery, subscriber, ended) is None


def test_what_mails_of_different_topics_show_of_a_paper_is_stored_once(
    session: Session, engine: Engine, subscribers: Subscribers
) -> None:
    topics = ("cats", "lions", "tigers")
    for topic in topics:
        subscribers.add(f"{topic}@example.org", topic)
    abstract = "Cats, lions and tigers sleep; lions and cats hunt."
    store_papers(session, [make_announcement(1, "Cats, Lions, Tigers", abstract=abstract)])
    sessions = make_sessions(engine)
    publish_now(sessions, subscribers.settings, Cadence.DAILY, FRIDAY, subscribers.clock())
    transport = PlannedTransport()
    deliver(Sender(sessions, subscribers.settings, Renderer(), transport, subscribers.clock))
    stored = b"".join(session.execute(select(MailPart.body)).scalars())
    assert stored.count(abstract.encode()) == 1
    assert b"<mark>" not in stored
    sent = {
        mail.number: message_from_bytes(mail.payload, policy=policy.default)
        for mail in transport.sent
    }
    assert len(sent) == len(topics)
    for number, message in sent.items():
        delivery = session.get_one(Delivery, number)
        subscriber = session.get_one(Subscriber, delivery.subscriber_id)
        html = sent_html(session, delivery, subscriber, subscribers.settings)
        assert html == html_of(message)
        # In the title and the abstract; the heading says the reason.
        marked = 2 if subscriber.email.startswith("tigers") else 3
        assert html.count(b"<mark>") == marked


def test_an_incomplete_copy_is_not_shown_as_sent(
    web: httpx2.Client,
    session: Session,
    subscribers: Subscribers,
    sent: tuple[EmailMessage, Delivery],
) -> None:
    _, delivery = sent
    session.execute(text("UPDATE mail_parts SET body = 'forged'"))
    session.commit()
    answer = web.get(f"/editions/{subscribers.token(Purpose.EDITION, delivery.id)}")
    assert "forged" not in answer.text
    assert "&lt;" in answer.text
    session.execute(text("DELETE FROM mail_parts"))
    session.commit()
    assert (
        web.get(f"/editions/{subscribers.token(Purpose.EDITION, delivery.id)}").status_code == 200
    )


def test_an_erased_readers_copy_is_gone(
    web: httpx2.Client,
    session: Session,
    subscribers: Subscribers,
    sent: tuple[EmailMessage, Delivery],
) -> None:
    _, delivery = sent
    token = subscribers.token(Purpose.PREFERENCES, delivery.subscriber_id or 0)
    web.post(f"/preferences/{token}", data={"action": "erase", "sure": "yes"})
    session.rollback()
    assert session.execute(select(MailCopy)).all() == []
    left = b" ".join(session.execute(select(MailPart.body)).scalars())
    assert b"/unsubscribe/" not in left
    assert SUBSCRIBER.encode() not in left


def test_papers_cut_from_the_mail_are_shown_behind_its_link(
    web: httpx2.Client, session: Session, engine: Engine, subscribers: Subscribers
) -> None:
    subscribers.add(SUBSCRIBER, "cats")
    papers = [make_announcement(number, f"Cats, part {number}") for number in range(1, 31)]
    store_papers(session, papers)
    message, delivery = send(session, engine, subscribers)
    html = html_of(message).decode()
    assert "And 5 more papers" in html
    token = subscribers.token(Purpose.EDITION, delivery.id)
    link = f"/editions/{token}?all=1"
    assert link in html
    page = web.get(link).text
    assert all(f"part {number}</a>" in page for number in range(1, 31))
    assert "more papers" not in page


def test_a_catch_up_is_shown_as_it_was_sent_too(
    web: httpx2.Client, session: Session, engine: Engine, subscribers: Subscribers
) -> None:
    subscriber = subscribers.add(SUBSCRIBER, "cats")
    sessions = make_sessions(engine)
    store_papers(session, [make_announcement(n, f"Cats number {n}") for n in range(1, 31)])
    with sessions.begin() as own:
        here = own.get_one(Subscriber, subscriber.id)
        pause(here, None, subscribers.clock(), catches_up=True)
    subscribers.clock.forward(hours=4)
    publish_now(sessions, subscribers.settings, Cadence.DAILY, FRIDAY, subscribers.clock())
    with sessions.begin() as own:
        resume(own.get_one(Subscriber, subscriber.id))
    assert compose_catch_ups(sessions, subscribers.settings, subscribers.clock()) == 1
    transport = PlannedTransport()
    deliver(Sender(sessions, subscribers.settings, Renderer(), transport, subscribers.clock))
    (mail,) = transport.sent
    message = message_from_bytes(mail.payload, policy=policy.default)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    missed = select(Delivery.id).where(Delivery.kind == DeliveryKind.CATCH_UP)
    token = subscribers.token(Purpose.EDITION, session.execute(missed).scalar_one())
    # Two for each of ten cards, one for each of 15 papers in brief, three of the mail.
    shown = shown_copy(message, subscribers.settings, 38)
    assert web.get(f"/editions/{token}").content == shown
    whole = web.get(f"/editions/{token}?all=1").text.replace("<mark>Cats</mark>", "Cats")
    assert all(f">Cats number {n}<" in whole for n in range(1, 31))
    assert "And 5 more papers" in html_of(message).decode()
