"""Send me my link: one answer for every address, and the mail that arrives opens the right page."""

import re

import httpx2
import pytest
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport, Press, Turnable, plain_text
from support.web.site import EnqueuedTasks, Subscribers, count_rows

from service.deliveries.domain.recipients import SubscriberState
from service.platform.signing.tokens import Purpose
from service.sending.deliver import deliver

STATES = ("active", "paused", "pending", "left", "never")


def add_all(web: httpx2.Client, subscribers: Subscribers, press: Press) -> None:
    """Add a subscriber of each state, and send what that queued."""
    for name in STATES:
        is_confirmed = name not in {"pending", "never"}
        subscriber = subscribers.add(f"{name}@example.org", is_confirmed=is_confirmed)
        if name == "paused":
            link = subscribers.token(Purpose.PREFERENCES, subscriber.id)
            web.post(f"/preferences/{link}", data={"action": "pause"})
        if name == "left":
            web.post(f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}")
        if name == "never":
            web.post(f"/never/{subscribers.token(Purpose.NEVER, subscriber.id)}")
    send(press)
    press.clock.forward(hours=2)


def send(press: Press) -> dict[str, str]:
    """Send what is queued; return address -> text."""
    transport = PlannedTransport()
    deliver(press.sender(transport))
    return {one.recipient: plain_text(one.payload) for one in transport.sent}


def first_link(text: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:8000(/\S+)", text)
    assert found
    return found[1]


def test_every_address_gets_the_same_answer_and_its_mail_opens_the_right_page(
    web: httpx2.Client, subscribers: Subscribers, press: Press, enqueued: EnqueuedTasks
) -> None:
    add_all(web, subscribers, press)
    names = (*STATES, "unknown")
    answers = [web.post("/link", data={"email": f"{name}@example.org"}) for name in names]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert enqueued.tasks[-1] == ("settle_requests",)
    mails = send(press)
    assert {address.partition("@")[0] for address in mails} == {
        "active", "paused", "pending", "left",
    }  # fmt: skip
    headings = {
        address.partition("@")[0]: re.findall("<h1[^>]*>([^<]*)", web.get(first_link(text)).text)
        for address, text in mails.items()
    }
    assert headings == {
        "active": ["Your preferences"],
        "paused": ["Your preferences"],
        "pending": ["Confirm your subscription"],
        "left": ["Changed your mind?"],
    }
    assert "paused until you resume" in mails["paused@example.org"]
    assert "every day at 07:00, Berlin time" in mails["active@example.org"]
    assert "/preferences/" in mails["left@example.org"]


def test_a_double_click_sends_one_mail(
    web: httpx2.Client, subscribers: Subscribers, press: Press
) -> None:
    subscribers.add()
    for _ in range(3):
        web.post("/link", data={"email": "reader@example.org"})
    transport = PlannedTransport()
    deliver(press.sender(transport))
    assert len([one for one in transport.sent if "link" in str(one.payload)]) == 1


def test_a_link_asked_for_is_not_sent_to_a_person_who_left_a_second_ago(
    web: httpx2.Client, subscribers: Subscribers, press: Press
) -> None:
    subscriber = subscribers.add()
    send(press)
    web.post("/link", data={"email": "reader@example.org"})
    web.post(f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}")
    assert send(press) == {}


def test_the_form_keeps_a_wrong_address_and_says_what_is_wrong(
    web: httpx2.Client, session: Session
) -> None:
    before = count_rows(session)
    page = web.get("/link")
    assert page.status_code == 200
    answer = web.post("/link", data={"email": "reader@"})
    assert answer.status_code == 422
    assert 'value="reader@"' in answer.text
    assert 'aria-describedby="email-fault" autofocus' in answer.text
    assert count_rows(session) == before


def test_requests_for_links_count_as_sign_ups(web: httpx2.Client) -> None:
    codes = [web.post("/link", data={"email": f"r{n}@example.org"}).status_code for n in range(31)]
    assert codes == [200] * 30 + [429]
    assert web.post("/subscribe", data={"email": "new@example.org"}).status_code == 429


@pytest.mark.parametrize("path", ["confirm", "preferences", "change"])
def test_an_expired_link_brings_a_new_one_by_one_click(
    web: httpx2.Client, subscribers: Subscribers, press: Press, clock: Turnable, path: str
) -> None:
    subscriber = subscribers.add(is_confirmed=path != "confirm")
    send(press)
    link = f"/{path}/{subscribers.token(Purpose(path), subscriber.id)}"
    clock.forward(days=121)
    answer = web.get(link)
    assert answer.status_code == 410
    assert 'href="/link"' in answer.text
    answers = [click(web, answer) for _ in range(2)]
    assert [each.status_code for each in answers] == [200, 200]
    mails = send(press)
    assert [*mails] == ["reader@example.org"]
    assert web.get(first_link(mails["reader@example.org"])).status_code == 200


def click(web: httpx2.Client, page: httpx2.Response) -> httpx2.Response:
    found = re.search('action="/link"><input type="hidden" name="old" value="([^"]+)"', page.text)
    assert found
    return web.post("/link", data={"old": found[1]})


@pytest.mark.parametrize("old", ["/confirm/broken", "/never/x.y", "/", "nonsense"])
def test_a_link_that_is_not_ours_sends_nothing(
    web: httpx2.Client, session: Session, old: str
) -> None:
    before = count_rows(session)
    answer = web.post("/link", data={"old": old})
    assert answer.status_code == 404
    assert 'href="/link"' in answer.text
    assert count_rows(session) == before


@pytest.mark.parametrize("days", [1, 30])
def test_a_used_confirmation_says_so_and_offers_the_link(
    web: httpx2.Client, subscribers: Subscribers, press: Press, clock: Turnable, days: int
) -> None:
    subscriber = subscribers.add()
    send(press)
    link = f"/confirm/{subscribers.token(Purpose.CONFIRM, subscriber.id)}"
    clock.forward(days=days)
    page = web.get(link)
    assert page.status_code == 200
    assert "<h1>You are subscribed</h1>" in page.text
    assert "every day at 07:00, Berlin time" in page.text
    assert "r***@example.org" in page.text
    assert "/preferences/" not in page.text
    click(web, page)
    assert web.get(first_link(send(press)["reader@example.org"])).status_code == 200


def test_a_confirmation_from_before_leaving_offers_the_way_back(
    web: httpx2.Client, subscribers: Subscribers, press: Press, clock: Turnable
) -> None:
    subscriber = subscribers.add()
    link = f"/confirm/{subscribers.token(Purpose.CONFIRM, subscriber.id)}"
    clock.forward(hours=1)
    web.post(f"/unsubscribe/{subscribers.token(Purpose.UNSUBSCRIBE, subscriber.id)}")
    page = web.get(link)
    assert page.status_code == 410
    send(press)
    click(web, page)
    back = first_link(send(press)["reader@example.org"])
    web.post(back)
    again = subscribers.reread(subscriber)
    assert again is not None
    assert again.state is SubscriberState.ACTIVE
