"""`/privacy`: true of this installation, and linked on every page."""

from datetime import datetime

import httpx2
import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.newsletter.press import NOBODY, PlannedTransport, Press
from support.web.server import serve
from support.web.site import Subscribers

from service.operations.store.tables import Base
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver
from service.subscribers.lifecycle import erase
from service.subscribers.store.models import Subscriber, Suppression
from service.web.app import create_app

# Where the page names the rows of each table that belong to a subscriber.
NAMED = {
    "consents": "When, and on which page, you signed up",
    "feed_keys": "The key of your private feed",
    "opinions": "Papers you saved",
    "submissions": "The papers you submitted",
    "topics": "Your topics",
    "votes": "The papers you voted for",
    "waiting_papers": "Papers of a topic that wait for a later digest",
    "topic_changes": "those you changed by a link in a mail",
    "deliveries": "Which mails and papers were sent to you",
    "bounce_events": "Bounces and complaints",
    "pending_sign_ups": "A sign-up with an address that was known already",
    "subscribers": "Your address, schedule, time zone",
}


def test_the_page_names_every_table_with_data_of_a_subscriber(web: httpx2.Client) -> None:
    text = web.get("/privacy").text
    tables = {
        table.name
        for table in Base.metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name == Subscriber.__tablename__
    }
    assert tables == NAMED.keys()
    for name, phrase in NAMED.items():
        assert phrase in text, name


@pytest.mark.settings(
    operator_address="Example Institute, 1 Sample Street",
    contact="https://example.org/contact",
    reply_to="Help Desk <help@example.org>",
    brand_name="The Example Reading Room",
    brand_logo="https://example.org/logo.png",
)
def test_the_page_says_who_runs_the_site(web: httpx2.Client) -> None:
    text = web.get("/privacy").text
    assert "The Example Reading Room" in text
    assert "Example Institute, 1 Sample Street" in text
    assert '<a href="https://example.org/contact" rel="noopener">' in text
    assert '<a href="mailto:help@example.org">help@example.org</a>' in text
    assert "Mails load one picture, the logo;" in text
    assert "/mailbox" not in text


def test_without_settings_the_page_names_the_address_that_mail_comes_from(
    settings: Settings, engine: Engine, now: datetime
) -> None:
    local = settings.model_copy(update={"smtp_url": ()})
    app = create_app(local, make_sessions(engine), enqueue=lambda *_: None, clock=lambda: now)
    with serve(app) as address:
        text = httpx2.get(f"{address}/privacy").text
    assert "mailto:digest@paperboy.example" in text
    assert "Postal address" not in text
    assert "everybody who can open this site can read them" in text


def test_every_page_links_to_it(web: httpx2.Client, subscribers: Subscribers) -> None:
    subscribers.add("reader@example.org", "cats")
    for path in ("/", "/search", "/topics", "/status", "/nowhere", "/confirm/broken", "/privacy"):
        footer = web.get(path).text.rpartition("<footer>")[2]
        assert '<a href="/privacy">Privacy</a>' in footer, path


def test_a_suppression_does_not_contain_the_address(press: Press, session: Session) -> None:
    """A relay repeats the address in its refusal, and the suppression outlives the subscriber."""
    (subscriber_id,) = press.add_subscribers("anne.lister@example.org")
    press.add_papers(1)
    press.publish()
    refusal = NOBODY.__class__(NOBODY.phase, 550, "5.1.1 <anne.lister@example.org>: unknown")
    deliver(press.sender(PlannedTransport(lambda _: refusal)))
    subscriber = session.get_one(Subscriber, subscriber_id)
    erase(session, subscriber, press.settings.secret_key, press.clock())
    session.commit()
    kept = session.scalars(select(Suppression)).one()
    assert "5.1.1" in kept.reply
    assert "anne.lister" not in kept.reply + kept.detail
