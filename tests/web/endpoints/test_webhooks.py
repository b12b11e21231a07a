"""`POST /hooks/{provider}`: signed events are recorded, others leave no trace."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from support.mail.bounce_mails import dsn
from support.mail.hook_calls import (
    CERTIFICATE,
    TOPIC,
    basic,
    certificate,
    generic,
    mailgun,
    sendgrid,
    sendgrid_public_key,
    ses_bounce,
    sns,
)
from support.newsletter.press import Turnable
from support.web.server import serve
from support.web.site import EnqueuedTasks, Subscribers, count_rows

from service.bounces.inbound.webhook_signatures import WebhookForged
from service.bounces.inbound.webhooks import MOST_BYTES
from service.bounces.store.models import BounceEvent
from service.deliveries.domain.recipients import SubscriberState
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.web.app import create_app

SUBSCRIBER = "reader@example.org"
KEY = "a webhook key of a test"
OLD_KEY = "an older key of a test"
PAIR = "postmark:a long password"
CONFIRMATION = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=abc"


class Fetched(list[str]):
    """A fake download that returns the certificate and records the URLs."""

    def __call__(self, url: str) -> bytes:
        self.append(url)
        return certificate()


@pytest.fixture
def fetched() -> Fetched:
    return Fetched()


@pytest.fixture
def app(
    settings: Settings, engine: Engine, clock: Turnable, enqueued: EnqueuedTasks, fetched: Fetched
) -> FastAPI:
    hooks = (
        f"ses={TOPIC}",
        f"postmark={PAIR}",
        f"mailgun={OLD_KEY}",
        f"mailgun={KEY}",
        f"sendgrid={sendgrid_public_key()}",
        f"generic={KEY}",
    )
    here = settings.model_copy(update={"hooks": hooks})
    return create_app(here, make_sessions(engine), enqueue=enqueued, clock=clock, fetch=fetched)


Call = Callable[[httpx2.Client], httpx2.Response]


def post(provider: str, value: object, headers: dict[str, str] | None = None) -> Call:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda web: web.post(f"/hooks/{provider}", content=body, headers=headers or {})


def post_sendgrid(*events: dict[str, Any]) -> Call:
    call = sendgrid(list(events))
    return post("sendgrid", call.body, dict(call.headers))


def post_generic(value: object, **headers: str) -> Call:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    call = generic(body, KEY, **headers)
    return post("generic", call.body, dict(call.headers))


POSTMARK = {"RecordType": "Bounce", "ID": 1, "Type": "HardBounce", "Email": SUBSCRIBER}
MAILGUN = {
    "event": "failed",
    "severity": "permanent",
    "id": "a",
    "recipient": SUBSCRIBER,
    "delivery-status": {"code": 550, "message": "5.1.1 no such user"},
}
GOOD: dict[str, Call] = {
    "ses": post("ses", sns(ses_bounce(SUBSCRIBER))),
    "ses, signed the old way": post("ses", sns(ses_bounce(SUBSCRIBER), version="1")),
    "postmark": post("postmark", POSTMARK, basic(PAIR)),
    "mailgun": post("mailgun", mailgun(MAILGUN, KEY)),
    "mailgun, with the older key": post("mailgun", mailgun(MAILGUN, OLD_KEY)),
    "sendgrid": post_sendgrid(
        {"event": "bounce", "email": SUBSCRIBER, "sg_event_id": "a", "reason": "550 5.1.1 no user"}
    ),
    "generic": post_generic({"event": "bounce", "address": SUBSCRIBER, "status": "5.1.1"}),
    "generic, a raw mail": post_generic(dsn(), **{"content-type": "message/rfc822"}),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_signed_bounce_ends_the_subscription_once(
    web: httpx2.Client, subscribers: Subscribers, session: Session, name: str
) -> None:
    subscriber = subscribers.add(SUBSCRIBER)
    answer = GOOD[name](web)
    assert (answer.status_code, answer.json()["recorded"]) == (200, 1)
    after = subscribers.reread(subscriber)
    assert after is not None
    assert after.state is SubscriberState.SUPPRESSED
    again = GOOD[name](web)
    assert (again.status_code, again.json()["known"]) == (200, 1)
    session.rollback()
    assert len(session.execute(select(BounceEvent)).all()) == 1


@pytest.mark.parametrize("odd", ["\0", "\ud800", "\x1b"])
def test_characters_that_postgresql_refuses_lose_no_event(
    web: httpx2.Client, subscribers: Subscribers, session: Session, odd: str
) -> None:
    subscribers.add(SUBSCRIBER)
    event = {"event": "bounce", "address": SUBSCRIBER, "status": "5.1.1", "reply": f"no{odd}body"}
    answer = post_generic({**event, "id": f"a{odd}b", "message_id": f"<a{odd}@b>"})(web)
    assert (answer.status_code, answer.json()["recorded"]) == (200, 1)
    session.rollback()
    assert [row.detail for row in session.execute(select(BounceEvent)).scalars()] == ["no body"]
    answer = post_generic({**event, "address": f"reader{odd}@example.org"})(web)
    assert (answer.status_code, answer.json()["unattributed"]) == (200, 1)


FORGED: dict[str, Call] = {
    "ses without an envelope": post("ses", ses_bounce(SUBSCRIBER)),
    "ses, changed": post("ses", {**sns(ses_bounce("x@y.example")), "Message": json.dumps(ses_bounce(SUBSCRIBER))}),
    "ses, another topic": post("ses", {**sns(ses_bounce(SUBSCRIBER)), "TopicArn": "arn:aws:sns:eu-west-1:6:x"}),
    "ses, a list": post("ses", [sns(ses_bounce(SUBSCRIBER))]),
    "postmark without a password": post("postmark", POSTMARK),
    "postmark with a wrong one": post("postmark", POSTMARK, basic("postmark:wrong")),
    "mailgun with another key": post("mailgun", mailgun(MAILGUN, "somebody else's key")),
    "sendgrid without a signature": post("sendgrid", [{"event": "bounce", "email": SUBSCRIBER}]),
    "generic with another key": post(
        "generic", b"{}", dict(generic(b"{}", "somebody else's key").headers)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_call_is_refused_and_leaves_no_trace(
    web: httpx2.Client, subscribers: Subscribers, session: Session, name: str
) -> None:
    subscriber = subscribers.add(SUBSCRIBER)
    before = count_rows(session)
    answer = FORGED[name](web)
    assert (answer.status_code, answer.json()) == (401, {"fault": "invalid signature"})
    assert count_rows(session) == before
    after = subscribers.reread(subscriber)
    assert after is not None
    assert after.state is SubscriberState.ACTIVE


def test_postmark_gets_a_basic_challenge(web: httpx2.Client) -> None:
    assert FORGED["postmark without a password"](web).headers["www-authenticate"] == "Basic"


@pytest.mark.parametrize("provider", ["nobody", "SES", "ses%2F..", "generic/more"])
def test_a_provider_without_settings_is_a_404(web: httpx2.Client, provider: str) -> None:
    assert web.post(f"/hooks/{provider}", content=b"{}").status_code == 404


def test_a_webhook_accepts_only_post(web: httpx2.Client) -> None:
    assert web.get("/hooks/ses").status_code == 405


UNREADABLE: dict[str, Call] = {
    "no JSON": post_generic(b"{"),
    "too deep": post_generic(b"[" * 60 + b"]" * 60),
    "mailgun, no JSON": post("mailgun", b"hello"),
    "ses, no JSON": post("ses", b"hello"),
    "ses, no JSON inside": post("ses", sns("hello")),
    "a bomb as a mail": post_generic(
        b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n' * 1000,
        **{"content-type": "message/rfc822"},
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_body_is_answered_in_one_line(
    web: httpx2.Client, session: Session, name: str
) -> None:
    before = count_rows(session)
    answer = UNREADABLE[name](web)
    assert answer.status_code == 400
    assert list(answer.json()) == ["fault"]
    assert count_rows(session) == before


def test_the_size_limit_of_webhooks_is_above_what_providers_send(web: httpx2.Client) -> None:
    events = [
        {"event": "processed", "email": SUBSCRIBER, "sg_event_id": str(n), "reason": "x" * 700}
        for n in range(900)
    ]
    assert post_sendgrid(*events)(web).status_code == 200
    assert post_generic(b" " * (MOST_BYTES + 1))(web).status_code == 413


def test_unreadable_entries_are_counted(web: httpx2.Client) -> None:
    answer = post_sendgrid({"event": "bounce"}, {"event": "spamreport", "email": "who@x.example"})(
        web
    )
    assert (answer.json()["bad"], answer.json()["unattributed"]) == (1, 1)


def test_the_certificate_is_fetched_only_from_amazon(web: httpx2.Client, fetched: Fetched) -> None:
    for url in ("https://evil.example/SimpleNotificationService-0123456789abcdef.pem", "file:///x"):
        forged = {**sns(ses_bounce(SUBSCRIBER)), "SigningCertURL": url}
        assert post("ses", forged)(web).status_code == 401
    assert fetched == []
    assert GOOD["ses"](web).status_code == 200
    assert fetched == [CERTIFICATE]


def test_a_subscription_to_our_sns_topic_is_confirmed(web: httpx2.Client, fetched: Fetched) -> None:
    message = sns("confirm", "SubscriptionConfirmation", SubscribeURL=CONFIRMATION, Token="abc")
    assert post("ses", message)(web).status_code == 200
    assert fetched == [CERTIFICATE, CONFIRMATION]
    elsewhere = sns(
        "x", "SubscriptionConfirmation", SubscribeURL="https://evil.example/", Token="a"
    )
    assert post("ses", elsewhere)(web).status_code == 401
    assert fetched == [CERTIFICATE, CONFIRMATION, CERTIFICATE]


@pytest.fixture
def cut_off(
    settings: Settings, engine: Engine, clock: Turnable, enqueued: EnqueuedTasks
) -> Iterator[httpx2.Client]:
    """The site on a host that cannot reach Amazon."""

    def fail(_url: str) -> bytes:
        raise WebhookForged("the certificate cannot be fetched")

    here = settings.model_copy(update={"hooks": (f"ses={TOPIC}",)})
    made = create_app(here, make_sessions(engine), enqueue=enqueued, clock=clock, fetch=fail)
    with serve(made) as address, httpx2.Client(base_url=address) as client:
        yield client


def test_without_the_certificate_a_call_is_refused(cut_off: httpx2.Client) -> None:
    assert GOOD["ses"](cut_off).status_code == 401
