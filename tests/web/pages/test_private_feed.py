"""The private feed: one's own digests as Atom, unchanged is 304, and an address that was revoked is 410."""

import re
from email.utils import parsedate_to_datetime

import feedparser
import httpx2
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport
from support.web.papers import FRIDAY, make_announcement, store_papers
from support.web.site import Subscribers, count_rows

from service.deliveries.domain.recipients import Cadence
from service.editions.publish import publish_now
from service.messages.rendering.renderer import Renderer
from service.platform.database.engine import make_sessions
from service.platform.signing.tokens import Purpose
from service.sending.deliver import deliver
from service.sending.sender import Sender
from service.subscribers.store.models import Subscriber


@pytest.fixture
def reader(session: Session, engine: Engine, subscribers: Subscribers) -> Subscriber:
    """A subscriber with a topic and one digest that was sent; another one has one, too."""
    subscriber = subscribers.add("reader@example.org", "cats")
    subscribers.add("other@example.org", "dogs")
    store_papers(
        session, [make_announcement(1, "Cats & <Dogs>"), make_announcement(2, "Dogs alone")]
    )
    sessions = make_sessions(engine)
    publish_now(sessions, subscribers.settings, Cadence.DAILY, FRIDAY, subscribers.clock())
    transport = PlannedTransport()
    deliver(Sender(sessions, subscribers.settings, Renderer(), transport, subscribers.clock))
    assert len(transport.sent) == 2
    session.rollback()
    return subscriber


@pytest.fixture
def form(subscribers: Subscribers, reader: Subscriber) -> str:
    return f"/preferences/{subscribers.token(Purpose.PREFERENCES, reader.id)}/feed"


def press(web: httpx2.Client, form: str, action: str, was: str = "") -> tuple[str, str]:
    """Post the form; return the path of the feed and its key, empty where there is none."""
    page = web.post(form, data={"action": action, "was": was})
    assert page.status_code == 200
    path = re.search(r'readonly value="http://127\.0\.0\.1:8000(/feed/[^"]+)"', page.text)
    key = re.search(r'name="was" value="([0-9a-f]{16})"', page.text)
    return (path[1] if path else "", key[1] if key else "")


def test_a_feed_has_the_digests_of_its_reader_alone(web: httpx2.Client, form: str) -> None:
    path, _ = press(web, form, "make")
    answer = web.get(path)
    assert answer.headers["content-type"] == "application/atom+xml; charset=utf-8"
    for name, value in (
        ("cache-control", "no-store"), ("x-robots-tag", "noindex"), ("referrer-policy", "no-referrer"),
    ):  # fmt: skip
        assert answer.headers[name] == value
    feed = feedparser.parse(answer.content)
    assert not feed.bozo
    assert feed.feed.title == "Your digests · Paperboy"
    (entry,) = feed.entries
    assert entry.title == "Friday 18 September 2026: 1 paper"
    assert re.fullmatch(r"tag:127\.0\.0\.1,2026:digest/\d+", entry.id)
    content = entry.content[0].value
    assert "Cats &amp; &lt;Dogs&gt;</a>" in content
    assert "Dogs alone" not in content
    assert "Ada Lovelace, Grace Hopper" in content
    browser = web.get(entry.link.removeprefix("http://127.0.0.1:8000"))
    assert browser.status_code == 200
    assert "Cats &amp; &lt;Dogs&gt;" in browser.text


def test_an_unchanged_private_feed_is_a_304(web: httpx2.Client, form: str) -> None:
    path, _ = press(web, form, "make")
    first = web.get(path)
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    assert parsedate_to_datetime(modified) is not None
    for known in ({"If-None-Match": etag}, {"If-Modified-Since": modified}):
        answer = web.get(path, headers=known)
        assert (answer.status_code, answer.content) == (304, b"")
    assert web.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_making_twice_is_once_and_revoking_ends_the_old_address(
    web: httpx2.Client, session: Session, form: str
) -> None:
    first = press(web, form, "make")
    assert press(web, form, "make") == first
    assert count_rows(session)["feed_keys"] == 1
    second = press(web, form, "renew", first[1])
    assert second[0]
    assert second[0] != first[0]
    assert press(web, form, "renew", first[1]) == second
    old = web.get(first[0])
    assert (old.status_code, old.text) == (410, "This link was ended. Ask for a new one.\n")
    assert old.headers["cache-control"] == "no-store"
    ids = [entry.id for entry in feedparser.parse(web.get(second[0]).content).entries]
    assert len(ids) == 1
    assert press(web, form, "end", first[1]) == second
    stale = web.post(form, data={"action": "end", "was": first[1]}).text
    assert "The feed was not turned off" in stale
    assert press(web, form, "end", second[1]) == ("", "")
    assert web.get(second[0]).status_code == 410
    assert count_rows(session)["feed_keys"] == 0
    third = press(web, form, "make")
    assert web.get(third[0]).status_code == 200
    assert web.get(second[0]).status_code == 410


@pytest.mark.parametrize("token", ["x", "a.b", "%00", "x" * 200])
def test_an_address_that_never_was_is_one_line(web: httpx2.Client, token: str) -> None:
    answer = web.get(f"/feed/{token}")
    assert answer.status_code == 404
    assert answer.text == "This link is not complete or was not made by us.\n"


@pytest.mark.parametrize("was", ["", "zz", "00", "é"])
def test_a_form_without_the_present_key_ends_nothing(
    web: httpx2.Client, form: str, was: str
) -> None:
    path, _ = press(web, form, "make")
    press(web, form, "end", was)
    press(web, form, "renew", was)
    assert web.get(path).status_code == 200
    assert web.post(form, data={"action": "x"}).status_code == 404


def test_the_feed_ends_with_all_links_and_with_its_reader(
    web: httpx2.Client, subscribers: Subscribers, reader: Subscriber, form: str
) -> None:
    preferences = form.removesuffix("/feed")
    path, _ = press(web, form, "make")
    web.post(preferences, data={"action": "end_links", "sure": "yes"})
    assert web.get(path).status_code == 410
    fresh = f"/preferences/{subscribers.token(Purpose.PREFERENCES, reader.id)}"
    path, _ = press(web, f"{fresh}/feed", "make")
    assert web.get(path).status_code == 200
    web.post(fresh, data={"action": "erase", "sure": "yes"})
    assert web.get(path).status_code == 410
