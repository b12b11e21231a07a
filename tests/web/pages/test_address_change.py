"""Change of address: requested on the preferences page, confirmed by a link."""

import httpx2
import pytest
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.site import Subscribers, count_rows

from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.models import Delivery
from service.messages.signed_links import signed_url
from service.messages.transactional import address_change_detail
from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import find_by_email

OLD, NEW = "reader@example.org", "new.address@example.org"
NOTICE = "If that address can receive our mail"


@pytest.fixture
def subscriber(subscribers: Subscribers) -> Subscriber:
    return subscribers.add(OLD, "cats")


@pytest.fixture
def link(subscribers: Subscribers, subscriber: Subscriber) -> str:
    return f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"


def ask(web: httpx2.Client, link: str, address: str) -> httpx2.Response:
    return web.post(link, data={"action": "address", "address": address})


def question(session: Session, subscribers: Subscribers) -> str:
    """Return the path of the link in the mail to the new address."""
    session.rollback()
    other = find_by_email(session, NEW)
    assert other is not None
    url = signed_url(
        subscribers.settings,
        Purpose.ADDRESS,
        other,
        subscribers.clock(),
        address_change_detail(other),
    )
    return url.removeprefix(subscribers.settings.base_url)


def test_the_answer_is_the_same_for_every_address(
    web: httpx2.Client, subscribers: Subscribers, link: str
) -> None:
    subscribers.add("known@example.org")
    pages = {ask(web, link, address).text for address in (NEW, "known@example.org", OLD)}
    assert len(pages) == 1
    (page,) = pages
    assert NOTICE in page
    assert NEW not in page


def test_a_link_opens_a_page_and_only_its_button_changes_the_address(
    web: httpx2.Client,
    session: Session,
    subscribers: Subscribers,
    subscriber: Subscriber,
    link: str,
) -> None:
    ask(web, link, NEW)
    path = question(session, subscribers)
    before = count_rows(session)
    page = web.get(path)
    assert (page.status_code, count_rows(session)) == (200, before)
    assert 'method="post"' in page.text
    done = web.post(path)
    assert "Your address is changed" in done.text
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert fresh.email == NEW
    # Links in mails to the old address, whose mailbox may have a new owner, open nothing any more.
    assert web.get(link).status_code == 410
    kinds = [row.kind for row in session.query(Delivery).order_by(Delivery.id)]
    assert kinds[-2:] == [DeliveryKind.ADDRESS_CHANGE, DeliveryKind.ADDRESS_NOTICE]
    assert web.post(path).status_code == 200


def test_an_old_or_foreign_link_changes_nothing(
    web: httpx2.Client, session: Session, subscribers: Subscribers, clock: Turnable, link: str
) -> None:
    ask(web, link, NEW)
    path = question(session, subscribers)
    foreign = f"/address/{link.rpartition('/')[2]}"
    assert web.get(foreign).status_code == web.post(foreign).status_code
    assert web.post(foreign).status_code in {400, 404}
    clock.forward(days=8)
    for answer in (web.get(path), web.post(path)):
        assert answer.status_code == 410


def test_an_invalid_address_is_reported_beside_the_field(web: httpx2.Client, link: str) -> None:
    answer = ask(web, link, "nobody<script>")
    assert answer.status_code == 422
    assert "This is not an email address" in answer.text
    assert 'aria-describedby="address-fault"' in answer.text
    assert "<script>" not in answer.text.replace("<script src", "")


def test_an_address_change_counts_as_a_sign_up(
    web: httpx2.Client, session: Session, link: str
) -> None:
    answers = [ask(web, link, f"a{n}@example.org").status_code for n in range(70)]
    assert answers[0] == 200
    assert answers[-1] == 429
    assert answers.count(200) <= 60
    session.rollback()
    mail_count = session.query(Delivery).filter_by(kind=DeliveryKind.ADDRESS_CHANGE).count()
    assert mail_count == answers.count(200)
