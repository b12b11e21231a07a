"""Mails in the browser: the copy of a digest, and the development mailbox."""

from collections.abc import Iterator
from email.message import EmailMessage
from smtplib import SMTP

import httpx2
import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.papers import FRIDAY, make_announcement, store_papers
from support.web.server import serve
from support.web.site import EnqueuedTasks, Subscribers

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.models import Delivery
from service.editions.publish import publish_now
from service.platform.database.engine import make_sessions
from service.platform.dev_mailbox import Mailbox
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.web.app import create_app


def publish(engine: Engine, subscribers: Subscribers) -> None:
    sessions = make_sessions(engine)
    publish_now(sessions, subscribers.settings, Cadence.DAILY, FRIDAY, subscribers.clock())


def find_digest(session: Session) -> Delivery:
    session.rollback()
    digests = select(Delivery).where(Delivery.kind == DeliveryKind.DIGEST)
    return session.execute(digests).scalar_one()


def test_a_digest_opens_in_the_browser_as_it_was_composed(
    web: httpx2.Client, session: Session, engine: Engine, subscribers: Subscribers
) -> None:
    subscribers.add("reader@example.org", "cats")
    store_papers(session, [make_announcement(1, "All about Cats"), make_announcement(2, "Dogs")])
    publish(engine, subscribers)
    token = subscribers.token(Purpose.EDITION, find_digest(session).id)
    answer = web.get(f"/editions/{token}")
    assert answer.status_code == 200
    assert "All about" in answer.text
    assert "/papers/arxiv:2609.00002" not in answer.text
    assert "Dogs" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "script" not in answer.headers["content-security-policy"]


def test_a_digest_of_an_erased_reader_is_gone(
    web: httpx2.Client, session: Session, engine: Engine, subscribers: Subscribers
) -> None:
    subscriber = subscribers.add("reader@example.org", "cats")
    store_papers(session, [make_announcement(1, "All about Cats")])
    publish(engine, subscribers)
    token = subscribers.token(Purpose.EDITION, find_digest(session).id)
    link = f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"
    web.post(link, data={"action": "erase", "sure": "yes"})
    for lost in (token, subscribers.token(Purpose.EDITION, 999_999)):
        answer = web.get(f"/editions/{lost}")
        assert answer.status_code == 404
        assert "This digest is gone" in answer.text


def test_a_transactional_mail_is_no_edition(
    web: httpx2.Client, session: Session, subscribers: Subscribers
) -> None:
    subscribers.add("reader@example.org", is_confirmed=False)
    confirmation = session.execute(select(Delivery)).scalar_one()
    answer = web.get(f"/editions/{subscribers.token(Purpose.EDITION, confirmation.id)}")
    assert answer.status_code == 404


@pytest.fixture
def development(
    settings: Settings, engine: Engine, clock: Turnable, enqueued: EnqueuedTasks
) -> Iterator[httpx2.Client]:
    """A site without a relay and with one mail in its development mailbox."""
    settings = settings.model_copy(update={"smtp_url": ()})
    message = EmailMessage()
    message["Subject"] = "Three papers <for> you"
    message["From"], message["To"] = "digest@paperboy.example", "reader@example.org"
    message.set_content("As text: a < b\n")
    message.add_alternative("<p style='color:red'>As HTML</p>", subtype="html")
    with (
        Mailbox(settings.data_dir / "mailbox").start() as mailbox,
        SMTP("127.0.0.1", mailbox.port) as smtp,
    ):
        smtp.send_message(message)
    app = create_app(settings, make_sessions(engine), enqueue=enqueued, clock=clock)
    with serve(app) as address, httpx2.Client(base_url=address) as client:
        yield client


def test_the_development_mailbox_lists_and_shows_sent_mail(development: httpx2.Client) -> None:
    import re

    page = development.get("/mailbox").text
    assert "Three papers &lt;for&gt; you" in page
    assert "reader@example.org" in page
    found = re.search(r'href="(/mailbox/[^"/]+)"', page)
    assert found
    shown = development.get(found[1])
    assert f'src="{found[1]}/html"' in shown.text
    assert "sandbox=" in shown.text
    assert "As text: a &lt; b" in shown.text
    html = development.get(f"{found[1]}/html")
    assert html.text.startswith("<p style='color:red'>As HTML</p>")
    assert "frame-ancestors 'self'; sandbox" in html.headers["content-security-policy"]


@pytest.mark.parametrize("key", ["nothing", "..%2f..%2fsecret_key", "%00"])
def test_an_unknown_message_is_a_404_page(development: httpx2.Client, key: str) -> None:
    assert development.get(f"/mailbox/{key}").status_code == 404
    assert development.get(f"/mailbox/{key}/html").status_code == 404


def test_with_a_relay_there_is_no_mailbox(web: httpx2.Client) -> None:
    for path in ("/mailbox", "/mailbox/some-key", "/mailbox/some-key/html"):
        assert web.get(path).status_code == 404
    assert "/mailbox" not in web.get("/").text


@pytest.mark.parametrize("base_url", ["https://papers.example.org", "http://192.0.2.7:8000"])
def test_a_site_for_others_shows_no_mailbox(
    settings: Settings, engine: Engine, clock: Turnable, enqueued: EnqueuedTasks, base_url: str
) -> None:
    settings = settings.model_copy(update={"smtp_url": (), "base_url": base_url})
    app = create_app(settings, make_sessions(engine), enqueue=enqueued, clock=clock)
    with serve(app) as address, httpx2.Client(base_url=address) as client:
        for path in ("/mailbox", "/mailbox/some-key", "/mailbox/some-key/html"):
            assert client.get(path).status_code == 404
        assert "/mailbox" not in client.get("/").text


def test_an_empty_mailbox_says_so(
    settings: Settings, engine: Engine, clock: Turnable, enqueued: EnqueuedTasks
) -> None:
    settings = settings.model_copy(update={"smtp_url": ()})
    app = create_app(settings, make_sessions(engine), enqueue=enqueued, clock=clock)
    with serve(app) as address:
        assert "No mail yet." in httpx2.get(f"{address}/mailbox").text
