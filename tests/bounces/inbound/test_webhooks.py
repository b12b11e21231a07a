"""Webhook calls parsed as notices: the providers' identifiers and replies, our message ids."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mail.hook_calls import ses_bounce

from service.bounces.inbound.notice import BounceNotice
from service.bounces.inbound.webhooks import (
    MOST_BYTES,
    PARSERS,
    WebhookUnreadable,
    parse_json,
    parse_webhook,
)
from service.deliveries.domain.refusals import CERTAIN
from service.deliveries.domain.states import BounceVerdict

V = BounceVerdict
SUBSCRIBER = "reader@example.org"
OUR_ID = "<digest.1.00000000000000000000@paperboy.example>"


def only(provider: str, value: object) -> BounceNotice:
    reading = parse_webhook(provider, value)
    assert reading.bad_count == 0
    (notice,) = reading.notices
    return notice


# --- SES ------------------------------------------------------------------------------------


def test_a_bounce_of_ses_is_parsed_with_its_return_path() -> None:
    notice = only("ses", ses_bounce(SUBSCRIBER, "bounce+1-x@bounces.example"))
    assert (notice.address, notice.verdict, notice.code) == (SUBSCRIBER, V.ADDRESS, "5.1.1")
    assert notice.weight == CERTAIN
    assert notice.return_paths == ("bounce+1-x@bounces.example",)
    assert notice.occurred_at == datetime(2026, 9, 18, 5, 1, tzinfo=UTC)
    assert notice.key.startswith("ses:")


def test_ses_reports_our_message_id_where_it_sends_headers() -> None:
    event = ses_bounce(SUBSCRIBER)
    event["mail"]["headers"] = [
        {"name": "To", "value": SUBSCRIBER},
        {"name": "Message-ID", "value": OUR_ID},
    ]
    event["mail"]["commonHeaders"] = {"messageId": "<other@example.org>"}
    assert only("ses", event).message_ids == ("<other@example.org>", OUR_ID)


@pytest.mark.parametrize(
    ("subtype", "verdict"),
    [
        ("NoEmail", V.ADDRESS),
        ("Suppressed", V.ADDRESS),
        ("MailboxFull", V.FULL),
        ("MessageTooLarge", V.CONTENT),
        ("General", V.CONFIGURATION),
    ],
)
def test_a_bounce_of_ses_without_a_reply_is_classified_by_its_subtype(
    subtype: str, verdict: V
) -> None:
    event = ses_bounce(
        SUBSCRIBER,
        bounceType="Transient",
        bounceSubType=subtype,
        bouncedRecipients=[{"emailAddress": SUBSCRIBER}],
    )
    assert only("ses", event).verdict is verdict


def test_a_transient_bounce_of_a_domain_without_servers_is_about_the_address() -> None:
    recipient = {
        "emailAddress": SUBSCRIBER,
        "status": "5.4.4",
        "diagnosticCode": "smtp; 550 5.4.4 no",
    }
    event = ses_bounce(SUBSCRIBER, bounceType="Transient", bouncedRecipients=[recipient])
    assert only("ses", event).verdict is V.ADDRESS


@pytest.mark.parametrize(
    ("kind", "verdict"), [("abuse", V.COMPLAINT), ("not-spam", V.NOT_A_BOUNCE)]
)
def test_a_complaint_of_ses(kind: str, verdict: V) -> None:
    event = {
        "eventType": "Complaint",
        "complaint": {
            "complainedRecipients": [{"emailAddress": SUBSCRIBER}],
            "complaintFeedbackType": kind,
            "feedbackId": "f",
        },
        "mail": {"messageId": "m"},
    }
    assert only("ses", event).verdict is verdict


def test_a_delivery_of_ses_is_no_bounce_and_other_events_are_skipped() -> None:
    event: dict[str, Any] = {
        "notificationType": "Delivery",
        "delivery": {"recipients": [SUBSCRIBER]},
        "mail": {"messageId": "m", "headers": None},
    }
    assert only("ses", event).verdict is V.NOT_A_BOUNCE
    assert parse_webhook("ses", {"notificationType": "Open", "mail": {}}).notices == ()


# --- Postmark -------------------------------------------------------------------------------


def postmark(**more: Any) -> dict[str, Any]:
    return {
        "RecordType": "Bounce",
        "ID": 42,
        "Type": "HardBounce",
        "Email": SUBSCRIBER,
        "From": "digest@paperboy.example",
        "BouncedAt": "2026-09-18T05:01:00Z",
        "Metadata": {"message-id": OUR_ID},
        **more,
    }


def test_a_bounce_of_postmark() -> None:
    notice = only("postmark", postmark())
    assert (notice.verdict, notice.weight, notice.message_ids) == (V.ADDRESS, CERTAIN, (OUR_ID,))


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"Details": "smtp;550 5.7.1 blocked as spam"}, V.POLICY),
        ({"Details": "smtp;550 who knows"}, V.ADDRESS),
        ({"Type": "SoftBounce", "Details": "552 mailbox full"}, V.FULL),
        ({"Type": "SoftBounce"}, V.UNKNOWN),
        ({"Type": "SpamNotification", "Details": "550 5.1.1 no user"}, V.POLICY),
        ({"Type": "AutoResponder"}, V.AUTO_REPLY),
        ({"Type": "Transient"}, V.NOT_A_BOUNCE),
        ({"RecordType": "SpamComplaint"}, V.COMPLAINT),
        ({"RecordType": "Delivery", "Email": None, "Recipient": SUBSCRIBER}, V.NOT_A_BOUNCE),
        ({"Metadata": None}, V.ADDRESS),
    ],
)
def test_the_receivers_reply_takes_precedence_over_postmarks_type(
    fields: dict[str, Any], verdict: V
) -> None:
    assert only("postmark", postmark(**fields)).verdict is verdict


def test_records_of_postmark_that_are_no_bounces_are_skipped() -> None:
    assert parse_webhook("postmark", postmark(RecordType="Open")).notices == ()


# --- Mailgun --------------------------------------------------------------------------------


def mailgun_event(**more: Any) -> dict[str, Any]:
    return {
        "event-data": {
            "event": "failed",
            "severity": "permanent",
            "id": "one",
            "recipient": SUBSCRIBER,
            "timestamp": 1789707660.5,
            "delivery-status": {"code": 550, "enhanced-code": "5.1.1", "message": "no such user"},
            "message": {"headers": {"message-id": OUR_ID.strip("<>")}},
            "envelope": {"sender": "bounce+1-x@bounces.example"},
            **more,
        }
    }


def test_a_failure_of_mailgun() -> None:
    notice = only("mailgun", mailgun_event())
    assert (notice.verdict, notice.code, notice.weight) == (V.ADDRESS, "5.1.1", CERTAIN)
    assert (notice.message_ids, notice.return_paths) == ((OUR_ID,), ("bounce+1-x@bounces.example",))
    assert notice.occurred_at == datetime(2026, 9, 18, 5, 1, 0, 500000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"event": "complained"}, V.COMPLAINT),
        ({"event": "delivered"}, V.NOT_A_BOUNCE),
        ({"event": "rejected"}, V.POLICY),
        ({"severity": "temporary"}, V.NOT_A_BOUNCE),
        ({"reason": "suppress-bounce"}, V.ADDRESS),
        ({"reason": "suppress-complaint"}, V.COMPLAINT),
        ({"reason": "suppress-unsubscribe"}, V.POLICY),
        ({"delivery-status": {"code": 552, "description": "mailbox full"}}, V.FULL),
        ({"delivery-status": None, "message": None, "envelope": None}, V.UNKNOWN),
    ],
)
def test_other_events_of_mailgun(fields: dict[str, Any], verdict: V) -> None:
    assert only("mailgun", mailgun_event(**fields)).verdict is verdict


def test_clicks_of_mailgun_are_skipped() -> None:
    assert parse_webhook("mailgun", mailgun_event(event="clicked")).notices == ()


# --- SendGrid -------------------------------------------------------------------------------


def test_a_batch_of_sendgrid_keeps_the_entries_that_can_be_parsed() -> None:
    batch = [
        {"event": "bounce", "email": SUBSCRIBER, "sg_event_id": "a", "status": "5.2.2", "reason": "552 full", "smtp-id": OUR_ID, "timestamp": 1789707660},
        {"event": "spamreport", "email": SUBSCRIBER, "sg_event_id": "b"},
        {"event": "delivered", "email": SUBSCRIBER, "sg_event_id": "c"},
        {"event": "dropped", "email": SUBSCRIBER, "sg_event_id": "d", "reason": "Bounced Address"},
        {"event": "dropped", "email": SUBSCRIBER, "sg_event_id": "e", "reason": "550 no such user"},
        {"event": "click", "email": SUBSCRIBER, "sg_event_id": "f"},
        {"event": "bounce"},
        "not an event",
    ]  # fmt: skip
    reading = parse_webhook("sendgrid", batch)
    assert [one.verdict for one in reading.notices] == [
        V.FULL,
        V.COMPLAINT,
        V.NOT_A_BOUNCE,
        V.ADDRESS,
        V.ADDRESS,
    ]
    assert reading.bad_count == 2
    assert reading.notices[0].message_ids == (OUR_ID,)
    assert len({one.key for one in reading.notices}) == 5


def test_the_oldest_format_of_sendgrid_is_recognised() -> None:
    batch = [
        {"status": "550", "created": "2011-10-08 12:39:14", "reason": "550 Unknown user", "email": address}
        for address in (SUBSCRIBER, "other@example.org")
    ]  # fmt: skip
    first, second = parse_webhook("sendgrid", batch).notices
    assert first.verdict is V.ADDRESS
    assert first.key != second.key
    assert first.occurred_at == datetime(2011, 10, 8, 12, 39, 14, tzinfo=UTC)


# --- Generic --------------------------------------------------------------------------------


def test_our_own_format() -> None:
    event = {
        "event": "bounce",
        "id": "relay-1",
        "address": SUBSCRIBER,
        "status": "5.1.1",
        "reply": "550 5.1.1 no",
        "return_path": "bounce+1-x@bounces.example",
        "message_id": OUR_ID,
        "at": "2026-09-18T07:01:00+02:00",
    }
    notice = only("generic", event)
    assert (notice.verdict, notice.message_ids) == (V.ADDRESS, (OUR_ID,))
    assert notice.occurred_at == datetime(2026, 9, 18, 5, 1, tzinfo=UTC)
    assert only("generic", {"event": "complaint", "address": SUBSCRIBER}).verdict is V.COMPLAINT
    assert only("generic", {"event": "delivered"}).verdict is V.NOT_A_BOUNCE
    assert parse_webhook("generic", {"event": "party"}).bad_count == 1


def test_invalid_times_are_left_out() -> None:
    for at in ("soon", 1e300, float("nan"), None, [1]):
        assert only("generic", {"event": "delivered", "at": at}).occurred_at is None


# --- Bounds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b" " * (MOST_BYTES + 1), "more than"),
        (b"[" * 60 + b"]" * 60, "too deep"),
        (b"[" * 400_000, "not JSON"),
        (b'{"a":' * 60 + b"1" + b"}" * 60, "too deep"),
    ],
)
def test_a_body_out_of_bounds_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(WebhookUnreadable, match=why):
        parse_json(body)


def test_a_body_within_bounds_is_read() -> None:
    assert parse_json(b'{"a": [1, {"b": null}]}') == {"a": [1, {"b": None}]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["event", "mail", "bounce", "notificationType", "bouncedRecipients", "RecordType",
             "Email", "event-data", "delivery-status", "email", "reason", "timestamp", "headers",
             "bounceSubType", "complaint", "delivery", "recipients", "message", "Details"]
        ),
        inner | st.sampled_from(["Bounce", "Complaint", "Delivery", "bounce", "failed"]),
        max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.sampled_from(sorted(PARSERS)), JSON)
def test_no_json_value_raises(provider: str, value: object) -> None:
    reading = parse_webhook(provider, value)
    assert reading.bad_count >= 0
    assert all(one.key.startswith(f"{provider}:") for one in reading.notices)
    json.dumps([one.detail for one in reading.notices])
