"""Webhook authentication: only the provider's signature over exactly these bytes passes."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from support.mail.hook_calls import (
    CERTIFICATE,
    SIGNED_AT,
    TOPIC,
    VALID_FROM,
    basic,
    certificate,
    ec_key,
    generic,
    mailgun,
    rsa_key,
    sendgrid,
    sendgrid_public_key,
    sign_sendgrid,
    sns,
)

from service.bounces.inbound.webhook_signatures import (
    Call,
    WebhookForged,
    WebhookStale,
    certificate_url,
    check_generic,
    check_mailgun,
    check_mailgun_time,
    check_postmark,
    check_sendgrid,
    check_sendgrid_time,
    check_sns,
    is_amazon,
)

KEY = "a signing key of a test"
NOW = VALID_FROM + timedelta(days=260, hours=5)
TOPICS = frozenset({TOPIC})


def fetch(_url: str) -> bytes:
    return certificate()


def never(url: str) -> bytes:
    raise AssertionError(f"fetched {url}")


# --- Shared secrets -------------------------------------------------------------------------


def test_postmark_needs_its_user_and_password() -> None:
    check_postmark(Call(b"", basic("user:a long password")), "user:a long password")
    for headers in (
        {},
        basic("user:wrong"),
        {"authorization": "Basic ???"},
        {"authorization": "Bearer dXNlcjphIGxvbmcgcGFzc3dvcmQ="},
    ):
        with pytest.raises(WebhookForged):
            check_postmark(Call(b"", headers), "user:a long password")


def test_mailgun_needs_its_hmac() -> None:
    call = mailgun({"event": "failed"}, KEY)
    check_mailgun(call, KEY)
    forged: list[object] = [
        mailgun({}, "another key"),
        {"event-data": {}},
        {"signature": {"timestamp": "1", "signature": "x"}},
        {"signature": {**call["signature"], "timestamp": "2"}},
        {"signature": {**call["signature"], "signature": "ÿ"}},
        [],
        None,
    ]
    for value in forged:
        with pytest.raises(WebhookForged):
            check_mailgun(value, KEY)


def test_the_generic_signature_is_over_the_whole_body() -> None:
    call = generic(b"{}", KEY)
    check_generic(call, KEY)
    for forged in (
        Call(b"{} ", call.headers),
        Call(b"{}", {}),
        Call(b"{}", {"x-paperboy-signature": "sha256=\u00ff"}),
        generic(b"{}", "another key"),
    ):
        with pytest.raises(WebhookForged):
            check_generic(forged, KEY)


# --- SendGrid -------------------------------------------------------------------------------


def test_sendgrid_signs_the_time_and_the_body() -> None:
    call, key = sendgrid([{"event": "bounce"}]), sendgrid_public_key()
    check_sendgrid(call, key)
    stamp = "x-twilio-email-event-webhook-timestamp"
    for forged in (
        Call(call.body + b" ", call.headers),
        Call(call.body, {**call.headers, stamp: "1"}),
        Call(call.body, {}),
        Call(call.body, {**call.headers, "x-twilio-email-event-webhook-signature": "???"}),
    ):
        with pytest.raises(WebhookForged):
            check_sendgrid(forged, key)


def test_an_invalid_public_key_refuses_every_call() -> None:
    from base64 import b64encode

    from cryptography.hazmat.primitives import serialization

    der = (
        rsa_key()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    for key in ("", "not base64!", b64encode(b"nonsense").decode(), b64encode(der).decode()):
        with pytest.raises(WebhookForged):
            check_sendgrid(sendgrid([]), key)


# --- SNS ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_signed_notification_passes(version: str) -> None:
    check_sns(sns({"a": 1}, version=version), TOPICS, fetch, NOW)
    check_sns(sns({"a": 1}, version=version, Subject="A subject"), TOPICS, fetch, NOW)


def change(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda message: {**message, **fields}


@pytest.mark.parametrize(
    "forge",
    [
        change(Message="another"),
        change(Timestamp="2026-09-19T05:00:00.000Z"),
        change(Subject="added"),
        change(Signature="AAAA"),
        change(Signature="???"),
        change(SignatureVersion="1"),
    ],
)
def test_a_changed_notification_is_refused(
    forge: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    with pytest.raises(WebhookForged, match="wrong signature"):
        check_sns(forge(sns({"a": 1})), TOPICS, fetch, NOW)


@pytest.mark.parametrize(
    "forge",
    [
        change(Type="Gossip"),
        change(TopicArn="arn:aws:sns:eu-west-1:666:theirs"),
        change(SignatureVersion="3"),
        change(SigningCertURL="https://sns.eu-west-1.amazonaws.com.evil.example/x.pem"),
        change(SigningCertURL=""),
    ],
)
def test_nothing_is_fetched_for_a_message_that_cannot_be_ours(
    forge: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    with pytest.raises(WebhookForged):
        check_sns(forge(sns({"a": 1})), TOPICS, never, NOW)


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com:x/SimpleNotificationService-0123456789abcdef.pem",
        "https://me@sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0123456789abcdef.pem",
        "https://s3.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.amazonaws.com.evil.example/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com/../evil/SimpleNotificationService-0123456789abcdef.pem",
        "https://sns.eu-west-1.amazonaws.com/mine.pem",
        "https://[::1",
        "file:///etc/passwd",
    ],
)
def test_a_certificate_comes_from_amazon_or_not_at_all(url: str) -> None:
    with pytest.raises(WebhookForged):
        certificate_url({"SigningCertURL": url})


def test_amazons_own_hosts_are_known_in_every_partition() -> None:
    assert certificate_url({"SigningCertUrl": CERTIFICATE}) == CERTIFICATE
    for host in ("sns.us-gov-west-1.amazonaws.com", "sns.cn-north-1.amazonaws.com.cn"):
        assert is_amazon(f"https://{host}/x")
        assert is_amazon(f"https://{host}:443/x")


@pytest.mark.parametrize("days", [-1, 366])
def test_an_expired_or_future_certificate_is_refused(days: int) -> None:
    with pytest.raises(WebhookForged, match="not valid today"):
        check_sns(sns({}), TOPICS, fetch, VALID_FROM + timedelta(days=days))


def test_the_fetched_file_must_be_a_certificate_with_an_rsa_key() -> None:
    with pytest.raises(WebhookForged):
        check_sns(sns({}), TOPICS, lambda _: b"<html>", NOW)
    with pytest.raises(WebhookForged, match="RSA"):
        check_sns(sns({}), TOPICS, lambda _: certificate(ec_key()), NOW)


def test_an_additional_field_is_ignored() -> None:
    message = json.loads(json.dumps(sns({"ü": 1})))
    check_sns(message, TOPICS, fetch, NOW)


# --- Time -----------------------------------------------------------------------------------

SECONDS = {-301: False, -300: True, 0: True, 300: True, 301: False}


@pytest.mark.parametrize(("late", "passes"), SECONDS.items())
def test_mailgun_and_sendgrid_must_have_signed_within_five_minutes(
    late: int, *, passes: bool
) -> None:
    now = NOW + timedelta(seconds=late)
    for check in (
        lambda: check_mailgun_time(mailgun({}, KEY), now),
        lambda: check_sendgrid_time(sendgrid([]), now),
    ):
        with nullcontext() if passes else pytest.raises(WebhookStale):
            check()


def test_sns_may_deliver_a_message_again_for_an_hour() -> None:
    for late, passes in {-301: False, 3900: True, 3901: False}.items():
        with nullcontext() if passes else pytest.raises(WebhookStale):
            check_sns(sns({}), TOPICS, fetch, NOW + timedelta(seconds=late))
    for stamp in ("yesterday", ""):
        with pytest.raises(WebhookStale):
            check_sns(sns({}, Timestamp=stamp), TOPICS, fetch, NOW)


@pytest.mark.parametrize("stamp", ["", "9" * 12, "9" * 5000, "-1", "1e9", "\u0661", "1789707600 "])
def test_a_time_that_is_none_is_refused(stamp: str) -> None:
    with pytest.raises(WebhookStale):
        check_mailgun_time(mailgun({}, KEY, stamp=stamp), NOW)
    with pytest.raises(WebhookStale):
        check_sendgrid_time(sign_sendgrid(b"[]", stamp), NOW)


@pytest.mark.parametrize("field", ["timestamp", "token", "signature"])
def test_a_signature_of_mailgun_consists_of_texts(field: str) -> None:
    values: list[object] = [None, [], {}, 1.5, "x" * 201]
    for value in values:
        call = mailgun({}, KEY)
        call["signature"][field] = value
        with pytest.raises(WebhookForged):
            check_mailgun(call, KEY)
    call = mailgun({}, KEY)
    call["signature"]["timestamp"] = int(SIGNED_AT)
    check_mailgun(call, KEY)
