"""Unsubscribe works at once, for mail programs and for people, and can be undone."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session
from support.web.site import Subscribers, count_rows

from service.deliveries.domain.recipients import SubscriberState
from service.platform.signing.tokens import Purpose
from service.subscribers.lifecycle import suppress_address
from service.subscribers.store.suppressions import is_suppressed

ONE_CLICK = "List-Unsubscribe=One-Click"


def state_of(subscribers: Subscribers, subscriber: Any) -> SubscriberState:
    fresh = subscribers.reread(subscriber)
    assert fresh
    return fresh.state


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"List-Unsubscribe": "One-Click"}},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {},
        {"content": ONE_CLICK.encode(), "headers": {"Content-Type": "text/plain"}},
        {"content": b"--broken", "headers": {"Content-Type": "multipart/form-data"}},
    ],
    ids=["urlencoded", "multipart", "empty", "plain text", "broken multipart"],
)
def test_one_click_unsubscribes_with_any_body_and_without_cookie_or_redirect(
    web: httpx2.Client, subscribers: Subscribers, body: dict[str, Any]
) -> None:
    subscriber = subscribers.add()
    link = f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}"
    answer = web.post(link, follow_redirects=False, **body)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "You will get no more mail from us." in answer.text
    assert state_of(subscribers, subscriber) is SubscriberState.UNSUBSCRIBED


@pytest.mark.parametrize("state", ["active", "paused"])
def test_one_click_costs_one_statement_and_is_recorded_once(
    web: httpx2.Client, subscribers: Subscribers, session: Session, engine: Engine, state: str
) -> None:
    subscriber = subscribers.add()
    subscriber.state = SubscriberState(state)
    session.commit()
    link = f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}"
    before = count_rows(session)["consents"]
    statements: list[str] = []

    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    event.listen(engine, "before_cursor_execute", note)
    first = web.post(link)
    event.remove(engine, "before_cursor_execute", note)
    assert len(statements) == 1
    assert web.post(link).content == first.content
    assert state_of(subscribers, subscriber) is SubscriberState.UNSUBSCRIBED
    session.expire_all()
    assert count_rows(session)["consents"] == before + 1


def test_opening_the_link_changes_nothing(
    web: httpx2.Client, subscribers: Subscribers, session: Session
) -> None:
    subscriber = subscribers.add()
    token = subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)
    before = count_rows(session)
    for path in (f"/unsubscribe/{token}", f"/unsubscribe/{token}/undo"):
        page = web.get(path)
        assert page.status_code == 200
        assert 'method="post"' in page.text
    assert count_rows(session) == before
    assert state_of(subscribers, subscriber) is SubscriberState.ACTIVE


def test_unsubscribe_succeeds_also_after_leaving_or_erasure(
    web: httpx2.Client, subscribers: Subscribers
) -> None:
    subscriber = subscribers.add()
    link = f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}"
    first = web.post(link)
    again = web.post(link)
    web.post(
        f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}",
        data={"action": "erase", "sure": "yes"},
    )
    assert subscribers.reread(subscriber) is None
    erased = web.post(link)
    assert first.content == again.content
    assert erased.status_code == 200
    for answer in (erased, web.get(link)):
        assert "You get no mail from us" in answer.text
    assert web.post(f"{link}/undo").status_code == 409


def test_undo_brings_the_digests_back(web: httpx2.Client, subscribers: Subscribers) -> None:
    subscriber = subscribers.add()
    link = f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}"
    page = web.post(link).text
    assert f'action="{link}/undo"' in page
    assert "Changed your mind?" in page
    answers = [web.post(f"{link}/undo"), web.post(f"{link}/undo")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert "Welcome back" in answers[0].text
    assert state_of(subscribers, subscriber) is SubscriberState.ACTIVE


@pytest.mark.parametrize("is_confirmed", [True, False])
def test_a_used_link_names_the_address_and_offers_the_way_back_that_works(
    web: httpx2.Client, subscribers: Subscribers, *, is_confirmed: bool
) -> None:
    subscriber = subscribers.add(is_confirmed=is_confirmed)
    link = f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}"
    web.post(link)
    page = web.get(link).text
    assert "You are already unsubscribed" in page
    assert "r***@example.org gets no mail from us" in page
    assert (f'action="{link}/undo"' in page) == is_confirmed
    assert ("Sign up again" in page) != is_confirmed


def test_the_link_of_a_suppressed_subscriber_offers_no_way_back(
    web: httpx2.Client, subscribers: Subscribers, session: Session
) -> None:
    subscriber = subscribers.add()
    keys, now = subscribers.settings.secret_key, subscribers.clock()
    suppress_address(session, subscriber.email, keys, "complained", now)
    session.commit()
    page = web.get(f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}").text
    assert "You are already unsubscribed" in page
    assert "Changed your mind?" not in page


def test_undo_never_subscribes_an_address_that_was_not_confirmed(
    web: httpx2.Client, subscribers: Subscribers
) -> None:
    subscriber = subscribers.add(is_confirmed=False)
    link = f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}"
    web.post(link)
    answer = web.post(f"{link}/undo")
    assert answer.status_code == 409
    assert "Please sign up again" in answer.text
    assert state_of(subscribers, subscriber) is SubscriberState.UNSUBSCRIBED


def test_never_mail_needs_a_button_and_suppresses_permanently(
    web: httpx2.Client, subscribers: Subscribers, session: Session
) -> None:
    subscriber = subscribers.add("victim@example.org", is_confirmed=False)
    keys = subscribers.settings.secret_key
    link = f"/never/{subscribers.token(Purpose.NEVER, subscriber.id)}"
    assert web.get(link).status_code == 200
    assert not is_suppressed(session, "victim@example.org", keys)
    answers = [web.post(link), web.post(link)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    session.rollback()
    assert is_suppressed(session, "victim@example.org", keys)
    assert subscribers.reread(subscriber) is None


@pytest.mark.parametrize("purpose", [Purpose.CONFIRM, Purpose.PREFERENCES, Purpose.FORM])
def test_a_token_of_another_purpose_unsubscribes_nobody(
    web: httpx2.Client, subscribers: Subscribers, purpose: Purpose
) -> None:
    subscriber = subscribers.add()
    answer = web.post(f"/unsubscribe/{subscribers.token(purpose, subscriber.id)}")
    assert answer.status_code == 404
    assert "This link is not complete" in answer.text
    assert state_of(subscribers, subscriber) is SubscriberState.ACTIVE
