"""Sign-up: the same answer for every address, validation, rate limits, confirmation."""

import re

import httpx2
import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport, Press, Turnable, plain_text
from support.web.site import EnqueuedTasks, Subscribers, count_rows

from service.deliveries.domain.recipients import SubscriberState, Timing
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.models import Delivery
from service.platform.signing.tokens import Purpose
from service.sending.deliver import deliver
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_topics


def sign_up(web: httpx2.Client, email: str, **fields: object) -> httpx2.Response:
    return web.post("/subscribe", data={"email": email, **fields})


def form_token(web: httpx2.Client) -> str:
    found = re.search(r'name="token" value="([^"]+)"', web.get("/").text)
    assert found
    return found[1]


def test_a_sign_up_stores_its_values_and_queues_one_confirmation(
    web: httpx2.Client, session: Session, enqueued: EnqueuedTasks
) -> None:
    answer = sign_up(
        web,
        "Reader@Example.org",
        topic=['"prompt tuning"', "", "cat:cs.CV"],
        timezone="Asia/Tokyo",
        hour="6",
        cadence="weekdays",
        timing="when_complete",
    )
    assert answer.status_code == 200
    subscriber = session.execute(select(Subscriber)).scalar_one()
    assert subscriber.timing is Timing.WHEN_COMPLETE
    assert (subscriber.state, subscriber.hour, subscriber.timezone) == (
        SubscriberState.PENDING,
        6,
        "Asia/Tokyo",
    )
    texts = [text for text, _ in get_topics(session, [subscriber.id])[subscriber.id]]
    assert texts == ['"prompt tuning"', "cat:cs.CV"]
    mail = session.execute(select(Delivery)).scalar_one()
    assert (mail.kind, mail.state) == (DeliveryKind.CONFIRMATION, DeliveryState.QUEUED)
    assert enqueued.tasks == [("settle_requests",)]


def test_an_address_alone_is_enough(web: httpx2.Client, session: Session) -> None:
    assert sign_up(web, "reader@example.org").status_code == 200
    subscriber = session.execute(select(Subscriber)).scalar_one()
    assert (subscriber.cadence, subscriber.hour, subscriber.timezone) == ("daily", 7, "UTC")
    assert subscriber.timing is Timing.AT_HOUR


def test_addresses_in_every_state_and_bots_get_the_same_answer(
    web: httpx2.Client, subscribers: Subscribers
) -> None:
    subscribers.add("active@example.org")
    subscribers.add("pending@example.org", is_confirmed=False)
    left = subscribers.add("left@example.org")
    never = subscribers.add("never@example.org", is_confirmed=False)
    web.post(f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, left.id)}")
    web.post(f"/never/{subscribers.token(Purpose.NEVER, never.id)}")
    names = ("new", "pending", "active", "left", "never")
    answers = [sign_up(web, f"{name}@example.org") for name in names]
    answers.append(sign_up(web, "robot@example.org", homepage="https://spam.example"))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    headers_list = [dict(answer.headers) for answer in answers]
    for headers in headers_list:
        for own in ("date", "x-request-id"):
            headers.pop(own)
    assert all(headers == headers_list[0] for headers in headers_list)


def test_a_filled_honeypot_stores_nothing(
    web: httpx2.Client, session: Session, enqueued: EnqueuedTasks
) -> None:
    before = count_rows(session)
    sign_up(web, "robot@example.org", homepage="https://spam.example")
    assert count_rows(session) == before
    assert enqueued.tasks == []


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"email": "not an address"}, "This is not an email address"),
        ({"email": ""}, "This is not an email address"),
        ({"cadence": "hourly"}, "Choose daily, weekdays, weekly, weekly-tuesday"),
        ({"hour": "25"}, "whole number from 0 to 23"),
        ({"timing": "soon"}, "Choose at_hour or when_complete."),
        ({"hour": "9" * 5000}, "whole number from 0 to 23"),
        ({"timezone": "Europe/Atlantis"}, "No time zone is called"),
        ({"topic": ["fine", '"never closed']}, "This quote is never closed"),
        ({"topic": ["the"]}, "too common a word"),
    ],
)
def test_an_invalid_value_is_reported_beside_its_field_and_nothing_is_stored(
    web: httpx2.Client,
    session: Session,
    enqueued: EnqueuedTasks,
    fields: dict[str, object],
    text: str,
) -> None:
    before = count_rows(session)
    answer = web.post("/subscribe", data={"email": "reader@example.org", **fields})
    assert answer.status_code == 422
    assert text in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert count_rows(session) == before
    assert enqueued.tasks == []


def test_an_invalid_topic_is_pointed_at_and_all_values_are_kept(web: httpx2.Client) -> None:
    fields = {"topic": ["cats", "dogs ) cats"], "hour": "5", "timezone": "Asia/Tokyo"}
    page = sign_up(web, "reader@example.org", **fields).text
    assert "<code>dogs <mark>)</mark> cats</code>" in page
    for part in ('value="reader@example.org"', 'value="cats"', 'value="dogs ) cats"'):
        assert part in page
    assert '<option value="5" selected>' in page
    assert 'value="Asia/Tokyo"' in page


def test_all_errors_are_shown_at_once_beside_their_fields(web: httpx2.Client) -> None:
    fields = {"topic": ["cats )", "dogs", '"open'], "hour": "25", "timezone": "Nowhere"}
    answer = sign_up(web, "nobody", **fields)
    assert answer.status_code == 422
    shown = re.findall(r'<p class="fault" id="([^"]+)"', answer.text)
    wrong = ["email-fault", "topic-fault-0", "topic-fault-2", "hour-fault", "timezone-fault"]
    assert shown == wrong


def test_a_sign_up_is_validated_and_stored_in_one_transaction(
    web: httpx2.Client, engine: Engine, enqueued: EnqueuedTasks
) -> None:
    enqueued.settle = lambda: None
    begun: list[object] = []

    def count(connection: object) -> None:
        begun.append(connection)

    event.listen(engine, "begin", count)
    try:
        assert sign_up(web, "reader@example.org", topic="cats").status_code == 200
    finally:
        event.remove(engine, "begin", count)
    assert len(begun) == 1


def test_control_characters_do_no_harm(web: httpx2.Client, session: Session) -> None:
    answer = sign_up(web, "reader@example.org", topic="prompt\x00 tuning\x07")
    assert answer.status_code == 200
    subscriber = session.execute(select(Subscriber)).scalar_one()
    assert get_topics(session, [subscriber.id])[subscriber.id][0][0] == "prompt tuning"


def test_posts_without_a_fetched_form_are_limited_to_thirty_an_hour(web: httpx2.Client) -> None:
    codes = [sign_up(web, f"reader{n}@example.org").status_code for n in range(31)]
    assert codes == [200] * 30 + [429]


def test_forwarded_for_headers_do_not_lift_the_limits(web: httpx2.Client) -> None:
    codes = [
        web.post(
            "/subscribe",
            data={"email": f"reader{n}@example.org"},
            headers={"X-Forwarded-For": f"192.0.2.{n}", "X-Real-IP": f"192.0.2.{n}"},
        ).status_code
        for n in range(31)
    ]
    assert codes[-1] == 429


def test_a_fetched_form_is_limited_to_sixty_posts_an_hour(
    web: httpx2.Client, clock: Turnable, session: Session
) -> None:
    token = form_token(web)
    clock.forward(seconds=3)
    answers = [sign_up(web, f"reader{n}@example.org", token=token) for n in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 3601
    assert "Too many requests come to this form" in answers[-1].text
    assert count_rows(session)["subscribers"] == 60


@pytest.mark.parametrize("seconds", [0, 3 * 24 * 3600])
def test_a_form_sent_at_once_or_days_later_counts_as_a_script(
    web: httpx2.Client, clock: Turnable, seconds: int
) -> None:
    token = form_token(web)
    clock.forward(seconds=seconds)
    codes = [sign_up(web, f"r{n}@example.org", token=token).status_code for n in range(31)]
    assert codes == [200] * 30 + [429]


def test_invalid_forms_do_not_count_against_the_limit(web: httpx2.Client) -> None:
    for _ in range(12):
        assert sign_up(web, "not an address").status_code == 422
    assert sign_up(web, "reader@example.org").status_code == 200


def test_opening_a_confirmation_changes_nothing_and_two_presses_confirm_once(
    web: httpx2.Client, subscribers: Subscribers, session: Session
) -> None:
    subscriber = subscribers.add(is_confirmed=False)
    link = f"/confirm/{subscribers.token(Purpose.CONFIRM, subscriber.id)}"
    before = count_rows(session)
    page = web.get(link)
    assert page.status_code == 200
    assert f'<form class="one" method="post" action="{link}">' in page.text
    assert web.head(link).status_code == 200
    assert count_rows(session) == before
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert fresh.state is SubscriberState.PENDING
    answers = [web.post(link), web.post(link)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert "You are subscribed" in answers[0].text
    assert "every day at 07:00, Berlin time" in answers[0].text
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert fresh.state is SubscriberState.ACTIVE
    preferences = re.search(r'href="http://127.0.0.1:8000(/preferences/[^"]+)"', answers[0].text)
    assert preferences
    assert web.get(preferences[1]).status_code == 200


def test_an_expired_confirmation_says_what_to_do(
    web: httpx2.Client, subscribers: Subscribers, clock: Turnable
) -> None:
    subscriber = subscribers.add(is_confirmed=False)
    link = f"/confirm/{subscribers.token(Purpose.CONFIRM, subscriber.id)}"
    clock.forward(days=8)
    for answer in (web.get(link), web.post(link)):
        assert answer.status_code == 410
        assert "Send me a new link" in answer.text


def test_a_person_who_left_signs_up_again_by_the_mail_with_what_they_chose_now(
    web: httpx2.Client, subscribers: Subscribers, press: Press
) -> None:
    subscriber = subscribers.add("reader@example.org", "cats")
    press.clock.forward(hours=1)
    leaving = f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}"
    web.post(leaving)
    press.clock.forward(hours=1)
    sign_up(web, "reader@example.org", topic="dogs", hour="9", timezone="Asia/Tokyo")
    left = subscribers.reread(subscriber)
    assert left
    assert (left.state, left.hour) == (SubscriberState.UNSUBSCRIBED, 7)
    transport = PlannedTransport()
    deliver(press.sender(transport))
    *_, mail = transport.sent
    found = re.search(r"http://127.0.0.1:8000(/confirm/\S+)", plain_text(mail.payload))
    assert found
    assert "every day at 09:00, Tokyo time" in web.get(found[1]).text
    assert "every day at 09:00, Tokyo time" in web.post(found[1]).text
    again = subscribers.reread(subscriber)
    assert again
    assert (again.state, again.hour) == (SubscriberState.ACTIVE, 9)
    with press.sessions() as session:
        topics = get_topics(session, [subscriber.id])[subscriber.id]
    assert [query for query, _ in topics] == ["dogs"]


def test_a_confirmation_from_before_an_unsubscribe_is_refused(
    web: httpx2.Client, subscribers: Subscribers, clock: Turnable
) -> None:
    subscriber = subscribers.add()
    link = f"/confirm/{subscribers.token(Purpose.CONFIRM, subscriber.id)}"
    clock.forward(hours=1)
    web.post(f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}")
    assert web.post(link).status_code == 410
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert fresh.state is SubscriberState.UNSUBSCRIBED
