"""`POST /hooks/{provider}`: signed events are recorded, others leave no trace."""

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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
    sign_sendgrid,
    sns,
)
from support.newsletter.press import Turnable
from support.web.server import serve
from support.web.site import EnqueuedTasks, Subscribers, count_rows

from service.bounces.inbound.webhook_signatures import WebhookForged
from service.bounces.inbound.webhooks import MOST_BYTES, MOST_NOTICES
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


# --- Repeated and hostile calls -------------------------------------------------------------

STALE: dict[str, tuple[int, Call]] = {
    "mailgun": (6, GOOD["mailgun"]),
    "sendgrid": (6, GOOD["sendgrid"]),
    "ses": (66, GOOD["ses"]),
}


@pytest.mark.parametrize("provider", STALE)
@pytest.mark.parametrize("direction", [1, -1])
def test_a_call_that_was_signed_for_another_time_changes_nothing(
    web: httpx2.Client,
    subscribers: Subscribers,
    session: Session,
    clock: Turnable,
    provider: str,
    direction: int,
) -> None:
    subscriber = subscribers.add(SUBSCRIBER)
    before = count_rows(session)
    minutes, call = STALE[provider]
    clock.forward(minutes=direction * minutes)
    assert call(web).status_code == 406
    assert count_rows(session) == before
    after = subscribers.reread(subscriber)
    assert after is not None
    assert after.state is SubscriberState.ACTIVE


def test_a_token_of_mailgun_is_good_for_one_event(
    web: httpx2.Client, subscribers: Subscribers
) -> None:
    other = subscribers.add("other@example.org")
    subscribers.add(SUBSCRIBER)
    token = "t" * 50
    first = post("mailgun", mailgun(MAILGUN, KEY, token=token))
    # The signature is not of the event, so anybody who saw one call can put another event into it.
    forged = post(
        "mailgun",
        mailgun({**MAILGUN, "id": "b", "recipient": "other@example.org"}, KEY, token=token),
    )
    assert first(web).json()["recorded"] == 1
    assert forged(web).status_code == 406
    # Mailgun itself repeats the same event, and gets the same answer.
    assert (first(web).status_code, first(web).json()["known"]) == (200, 1)
    after = subscribers.reread(other)
    assert after is not None
    assert after.state is SubscriberState.ACTIVE


FRAGMENTS = st.one_of(
    st.sampled_from(
        [
            *("1e999", "-1e999", "9" * 4000, "9" * 5000, "NaN", "-Infinity", "null", "true", "0"),
            *("[]", "{}", "[{}]", '{"":[]}', "[" * 45 + "]" * 45, '""', '"\\ud800"', '"\\u0000"'),
            *(
                '"x@y.example"',
                '"' + "a" * 3000 + '@b.example"',
                '"2026-09-18T05:00:00Z"',
                "1789707600",
            ),
            *(
                '"0001-01-01T00:00:00+14:00"',
                "253402300800",
                '"https://[::1"',
                '"Bounce"',
                '"bounce"',
            ),
        ]
    ),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=5,
    ).map(json.dumps),
)
EVENTS: dict[str, dict[str, Any]] = {
    "ses": {**ses_bounce(SUBSCRIBER), "delivery": {"recipients": [SUBSCRIBER]}, "mail": {"messageId": "1", "source": "x@y", "destination": [SUBSCRIBER], "headers": [{"name": "Message-ID", "value": "<a@b>"}], "commonHeaders": {"messageId": "<a@b>"}}},
    "postmark": {**POSTMARK, "Details": "550", "Metadata": {"message-id": "<a@b>"}, "From": "x@y", "BouncedAt": "2026-09-18"},
    "mailgun": {**MAILGUN, "envelope": {"sender": "x@y"}, "message": {"headers": {"message-id": "a@b"}}, "timestamp": 1.5, "reason": "x"},
    "sendgrid": {"event": "bounce", "email": SUBSCRIBER, "sg_event_id": "a", "reason": "550", "status": "5.1.1", "smtp-id": "<a@b>", "timestamp": 1},
    "generic": {"event": "bounce", "id": "a", "address": SUBSCRIBER, "status": "5.1.1", "reply": "550", "return_path": "x", "message_id": "<a@b>", "at": 1},
}  # fmt: skip
HOLE = "a hole"


def holes(value: Any) -> Iterator[Any]:
    """Yield copies of a JSON value, each with one of its values replaced by a hole."""
    yield HOLE
    for key in (
        value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    ):
        for inner in holes(value[key]):
            if isinstance(value, dict):
                yield {**value, key: inner}
            else:
                yield [*value[:key], inner, *value[key + 1 :]]


HOLED = [(provider, holed) for provider, event in EVENTS.items() for holed in holes(event)]


def sign(provider: str, body: str) -> Call:
    """Return a signed call whose event is this text, JSON or not."""
    raw = body.encode("utf-8", "surrogatepass")
    match provider:
        case "ses":
            return post("ses", sns(body.encode("utf-8", "replace").decode()))
        case "postmark":
            return post("postmark", raw, basic(PAIR))
        case "mailgun":
            signed = json.dumps(mailgun(HOLE, KEY, token=sha256(raw).hexdigest()))
            return post(
                "mailgun", signed.replace(json.dumps(HOLE), body).encode("utf-8", "replace")
            )
        case "sendgrid":
            call = sign_sendgrid(raw)
        case _:
            call = generic(raw, KEY)
    return post(provider, call.body, dict(call.headers))


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.sampled_from(HOLED), FRAGMENTS)
def test_no_signed_event_is_answered_with_500(
    web: httpx2.Client, holed: tuple[str, Any], fragment: str
) -> None:
    provider, event = holed
    answer = sign(provider, json.dumps(event).replace(json.dumps(HOLE), fragment))(web)
    assert answer.status_code in {200, 400}, answer.text


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from([*EVENTS, "ses"]),
    st.text(max_size=80) | st.dictionaries(st.text(max_size=9), st.text(max_size=9)).map(urlencode),
)
def test_no_signed_form_or_text_is_answered_with_500(
    web: httpx2.Client, provider: str, body: str
) -> None:
    assert sign(provider, body)(web).status_code in {200, 400}


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.sampled_from(list(holes(sns(ses_bounce(SUBSCRIBER))))), FRAGMENTS)
def test_no_envelope_of_sns_is_answered_with_500(
    web: httpx2.Client, holed: Any, fragment: str
) -> None:
    body = json.dumps(holed).replace(json.dumps(HOLE), fragment)
    answer = web.post("/hooks/ses", content=body.encode("utf-8", "replace"))
    assert answer.status_code in {200, 400, 401, 406}, answer.text


@pytest.mark.parametrize(
    "url",
    [
        f"{CERTIFICATE}?x=\x7f",
        f"{CERTIFICATE}?many",
        f"{CERTIFICATE}#x",
        f"{CERTIFICATE}\n",
        "https://[",
    ],
)
def test_an_odd_address_of_a_certificate_is_not_fetched(
    web: httpx2.Client, fetched: Fetched, url: str
) -> None:
    body = {**sns(ses_bounce(SUBSCRIBER)), "SigningCertURL": url}
    assert post("ses", body)(web).status_code == 401
    assert fetched == []


def test_a_call_about_thousands_of_mails_is_refused(web: httpx2.Client, session: Session) -> None:
    before = count_rows(session)
    many = [{"event": "bounce", "address": "x@y.example", "id": n} for n in range(MOST_NOTICES + 1)]
    assert post_generic(many)(web).status_code == 400
    assert count_rows(session) == before
