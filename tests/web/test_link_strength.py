"""A link opens what it is for: no page hands out a stronger one, and an ended one opens nothing."""

import re
from collections.abc import Callable

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport
from support.web.link_walk import Walk
from support.web.papers import FRIDAY, make_announcement, store_papers
from support.web.routes import list_routes
from support.web.site import Subscribers, count_rows

from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.models import Delivery
from service.editions.publish import publish_now
from service.messages.rendering.renderer import Renderer
from service.messages.signed_links import signed_url
from service.messages.transactional import address_change_detail
from service.platform.database.engine import make_sessions
from service.platform.signing.tokens import TERMS, Purpose, verify_token
from service.sending.deliver import deliver
from service.sending.sender import Sender
from service.subscribers.address_change import confirm_address, request_address
from service.subscribers.lifecycle import end_links
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import find_by_email
from service.topics.store.topics import list_topics

ORDER = list(TERMS)
OLD, NEW = "reader@example.org", "new@example.org"
# The folder of each purpose in the site's paths.
FOLDERS: dict[Purpose, str] = {
    Purpose.EDITION: "editions",
    **{
        purpose: purpose.value
        for purpose in ORDER
        if purpose not in {Purpose.EDITION, Purpose.FORM, Purpose.WAIT, Purpose.OPERATOR}
    },
}


@pytest.fixture
def reader(session: Session, engine: Engine, subscribers: Subscribers) -> Subscriber:
    """A subscriber with a topic and a digest that was sent."""
    subscriber = subscribers.add(OLD, "cats")
    store_papers(session, [make_announcement(n, f"Cats, part {n}") for n in range(1, 30)])
    sessions = make_sessions(engine)
    publish_now(sessions, subscribers.settings, Cadence.DAILY, FRIDAY, subscribers.clock())
    transport = PlannedTransport()
    deliver(Sender(sessions, subscribers.settings, Renderer(), transport, subscribers.clock))
    assert transport.sent
    session.rollback()
    return subscriber


def digest_of(session: Session) -> Delivery:
    return session.execute(
        select(Delivery).where(Delivery.kind == DeliveryKind.DIGEST)
    ).scalar_one()


def ask_for_move(session: Session, subscribers: Subscribers, subscriber: Subscriber) -> str:
    """Request a change of address; return the link in the mail to the new one."""
    keys, now = subscribers.settings.secret_key, subscribers.clock()
    request_address(session, session.get_one(Subscriber, subscriber.id), NEW, keys, now)
    session.commit()
    other = find_by_email(session, NEW)
    assert other is not None
    detail = address_change_detail(other)
    url = signed_url(subscribers.settings, Purpose.ADDRESS, other, now, detail)
    return url.removeprefix(subscribers.settings.base_url)


def pages_of(
    web: httpx2.Client,
    purpose: Purpose,
    session: Session,
    subscribers: Subscribers,
    reader: Subscriber,
) -> list[str]:
    """Return the paths at which a walk with one purpose begins."""
    if purpose is Purpose.FORM:
        return ["/", "/link"]
    if purpose is Purpose.ADDRESS:
        return [ask_for_move(session, subscribers, reader)]
    if purpose is Purpose.PREFERENCES:
        change = f"/change/{subscribers.token(Purpose.CHANGE, reader.id)}"
        topic_id = str(list_topics(session, reader.id)[0].id)
        for done in ({"keep": "1"}, {"topic": topic_id, "mute": "dogs"}):
            assert web.post(change, data=done).status_code == 200
        feed = f"/preferences/{subscribers.token(Purpose.PREFERENCES, reader.id)}/feed"
        assert web.post(feed, data={"action": "make"}).status_code == 200
    if purpose in {Purpose.CONFIRM, Purpose.NEVER}:
        reader = subscribers.add("pending@example.org", is_confirmed=False)
    subject = digest_of(session).id if purpose is Purpose.EDITION else reader.id
    path = f"/{FOLDERS[purpose]}/{subscribers.token(purpose, subject)}"
    topic = list_topics(session, reader.id)
    also = {
        Purpose.EDITION: ["?all=1"],
        Purpose.UNSUBSCRIBE: ["/undo"],
        Purpose.CHANGE: [
            *(f"?topic={each.id}&mute=dogs" for each in topic),
            *(
                "?less=1",
                "?keep=2",
                "?more=1",
                "?follow=Ada%20Lovelace",
                "?also=off",
                "?mute=nothing",
            ),
        ],
        Purpose.PREFERENCES: ["/kept", "/kept/1"],
    }
    return [path, *(f"{path}{each}" for each in also.get(purpose, []))]


# The token of a wait is a field of a form and opens no page; that of the operator needs a password, too.
@pytest.mark.parametrize("purpose", [*FOLDERS, Purpose.FORM])
def test_no_page_hands_out_a_stronger_link_than_the_one_that_opens_it(
    web: httpx2.Client,
    app: FastAPI,
    session: Session,
    subscribers: Subscribers,
    reader: Subscriber,
    purpose: Purpose,
) -> None:
    starts = pages_of(web, purpose, session, subscribers, reader)
    # The last button of the preferences erases everything; on the other pages the first one ends most.
    walk = Walk(web, subscribers.settings.secret_key).start(
        *starts, newest_first=purpose is not Purpose.PREFERENCES
    )
    allowed = set(ORDER[: ORDER.index(purpose) + 1])
    assert {page: found - allowed for page, found in walk.found.items() if found - allowed} == {}
    # The walk saw tokens at all, and every page that this purpose opens.
    assert purpose in set().union(*walk.found.values())
    missing = [
        each
        for each in routes_of(app, purpose)
        if not any(re.fullmatch(each, page) for page in walk.found)
    ]
    assert missing == []


def routes_of(app: FastAPI, purpose: Purpose) -> list[str]:
    """Return the routes that a purpose opens, as patterns of `GET /path`."""
    folder = f"/{FOLDERS.get(purpose, 'link')}"
    return [
        f"{method} {re.sub('{[a-z_]+}', '[^/]+', route.path)}"
        for route in list_routes(app)
        for method in route.methods or ()
        if f"{route.path}/".startswith(f"{folder}/") and "export" not in route.path
    ]


def test_a_confirmation_opens_the_preferences_once(
    web: httpx2.Client, subscribers: Subscribers
) -> None:
    pending = subscribers.add("pending@example.org", is_confirmed=False)
    link = f"/confirm/{subscribers.token(Purpose.CONFIRM, pending.id)}"
    first, again = web.post(link), web.post(link)
    assert "/preferences/" in first.text
    assert again.status_code == 200
    assert "/preferences/" not in again.text
    assert "Send me my link" in again.text


def move(session: Session, subscribers: Subscribers, reader: Subscriber) -> None:
    keys, now = subscribers.settings.secret_key, subscribers.clock()
    link = ask_for_move(session, subscribers, reader).rpartition("/")[2]
    confirm_address(session, verify_token(link, Purpose.ADDRESS, keys, now), now)


def end_all(session: Session, subscribers: Subscribers, reader: Subscriber) -> None:
    end_links(session, session.get_one(Subscriber, reader.id), "test", subscribers.clock())


def reuse_id(session: Session, _subscribers: Subscribers, reader: Subscriber) -> None:
    """What a restored backup does: the id belongs to another row, with another random key."""
    given = {"id": reader.id}
    session.execute(text("UPDATE subscribers SET link_key = DEFAULT WHERE id = :id"), given)


def links_of(session: Session, subscribers: Subscribers, reader: Subscriber) -> dict[Purpose, str]:
    """Return a link of each purpose about this subscriber, as a mail that was sent has it."""
    return {
        purpose: f"/{folder}/{subscribers.token(purpose, subject)}"
        for purpose, folder in FOLDERS.items()
        for subject in [digest_of(session).id if purpose is Purpose.EDITION else reader.id]
        if purpose is not Purpose.NEVER
    }


POSTS = ("", "/undo", "/suggestions", "/kept", "/kept/add", "/kept/1", "/feed")
ACTIONS = ("save", "pause", "unsubscribe", "erase", "end_links", "address")


@pytest.mark.parametrize("change", [move, end_all, reuse_id])
def test_an_ended_link_opens_nothing(
    web: httpx2.Client,
    session: Session,
    subscribers: Subscribers,
    reader: Subscriber,
    change: Callable[[Session, Subscribers, Subscriber], None],
) -> None:
    links = links_of(session, subscribers, reader)
    preferences = links[Purpose.PREFERENCES]
    assert OLD[0] + "***@" in web.get(preferences).text
    change(session, subscribers, reader)
    session.commit()
    before = count_rows(session)
    for purpose, link in links.items():
        if purpose is Purpose.UNSUBSCRIBE:
            continue
        if purpose is not Purpose.ADDRESS:
            # That of a change of address is read when its button is pressed.
            answer = web.get(link)
            assert answer.status_code == 410, (purpose, answer.text)
            assert "This link was ended" in answer.text
            assert "***@" not in answer.text
            assert "Cats" not in answer.text
        assert web.post("/link", data={"old": link}).status_code in {404, 410}, purpose
    for path in ("kept", "kept/1", "kept/export.bib", "export"):
        assert web.get(f"{preferences}/{path}").status_code == 410, path
    given = {"paper": "1", "also": "on", "action": "make", "address": "2609.00001"}
    answers = [
        *(web.post(f"{preferences}{each}", data=given) for each in POSTS),
        *(
            web.post(preferences, data={"action": action, "sure": "yes", "address": "x@y.example"})
            for action in ACTIONS
        ),
        web.post(links[Purpose.CHANGE], data={"less": "1"}),
        web.post(f"{links[Purpose.CHANGE]}/undo", data={"also": "on"}),
        web.post(links[Purpose.CONFIRM]),
    ]
    assert {answer.status_code for answer in answers} == {410}
    assert count_rows(session) == before
    fresh = subscribers.reread(reader)
    assert fresh is not None
    assert fresh.state is SubscriberState.ACTIVE


@pytest.mark.parametrize("change", [move, reuse_id])
def test_a_link_to_leave_answers_that_its_address_gets_no_mail_any_more(
    web: httpx2.Client,
    session: Session,
    subscribers: Subscribers,
    reader: Subscriber,
    change: Callable[[Session, Subscribers, Subscriber], None],
) -> None:
    link = links_of(session, subscribers, reader)[Purpose.UNSUBSCRIBE]
    change(session, subscribers, reader)
    session.commit()
    before = count_rows(session)
    one_click = {"List-Unsubscribe": "One-Click"}
    answers = [
        web.get(link),
        web.post(link, data=one_click),
        web.post(f"{link}/pause"),
        web.post(f"{link}/weekly"),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert all("You get no mail from us" in answer.text for answer in answers)
    assert web.post(f"{link}/undo", data={"cadence": "weekly"}).status_code == 409
    assert count_rows(session) == before
    fresh = subscribers.reread(reader)
    assert fresh is not None
    assert (fresh.state, fresh.cadence) == (SubscriberState.ACTIVE, Cadence.DAILY)


def test_after_an_undo_the_links_to_leave_in_old_mails_work_again(
    web: httpx2.Client, session: Session, subscribers: Subscribers, reader: Subscriber
) -> None:
    link = links_of(session, subscribers, reader)[Purpose.UNSUBSCRIBE]
    move(session, subscribers, reader)
    other = find_by_email(session, OLD)
    assert other is not None
    keys, now = subscribers.settings.secret_key, subscribers.clock()
    detail = address_change_detail(other)
    undo = signed_url(subscribers.settings, Purpose.ADDRESS, other, now, detail)
    session.commit()
    assert keys
    assert web.post(undo.removeprefix(subscribers.settings.base_url)).status_code == 200
    assert "You are unsubscribed" in web.post(link).text
    left = subscribers.reread(reader)
    assert left is not None
    assert (left.email, left.state) == (OLD, SubscriberState.UNSUBSCRIBED)


def test_who_ends_all_links_gets_new_ones_and_can_leave_by_any(
    web: httpx2.Client, session: Session, subscribers: Subscribers, reader: Subscriber
) -> None:
    links = links_of(session, subscribers, reader)
    preferences = links[Purpose.PREFERENCES]
    question = web.post(preferences, data={"action": "end_links"})
    assert "End all links in earlier mails?" in question.text
    assert web.get(preferences).status_code == 200
    done = web.post(preferences, data={"action": "end_links", "sure": "yes"})
    assert "A mail with new ones is on its way" in done.text
    assert web.get(preferences).status_code == 410
    session.rollback()
    kinds = select(Delivery.kind).where(Delivery.kind == DeliveryKind.PERSONAL_LINK)
    assert len(session.scalars(kinds).all()) == 1
    fresh = subscribers.token(Purpose.PREFERENCES, reader.id)
    session.expire_all()
    fresh = subscribers.token(Purpose.PREFERENCES, reader.id)
    assert web.get(f"/preferences/{fresh}").status_code == 200
    assert "You are unsubscribed" in web.post(links[Purpose.UNSUBSCRIBE]).text
    left = subscribers.reread(reader)
    assert left is not None
    assert left.state is SubscriberState.UNSUBSCRIBED


def test_a_link_to_leave_pauses_makes_weekly_and_takes_both_back(
    web: httpx2.Client, session: Session, subscribers: Subscribers, reader: Subscriber
) -> None:
    link = links_of(session, subscribers, reader)[Purpose.UNSUBSCRIBE]
    paused = web.post(f"{link}/pause")
    assert re.search(r"You get no digests until \w+ 16 October 2026", paused.text)
    now = subscribers.reread(reader)
    assert now is not None
    assert now.state is SubscriberState.PAUSED
    assert "Welcome back" in web.post(f"{link}/undo").text
    weekly = web.post(f"{link}/weekly").text
    assert "One digest a week" in weekly
    found = re.search(r'name="cadence" value="(\w+)"', weekly)
    assert found
    now = subscribers.reread(reader)
    assert now is not None
    assert (now.state, now.cadence) == (SubscriberState.ACTIVE, Cadence.WEEKLY)
    assert web.post(f"{link}/undo", data={"cadence": found[1]}).status_code == 200
    now = subscribers.reread(reader)
    assert now is not None
    assert now.cadence is Cadence.DAILY
