"""Letters and reports in unusual shapes: where the letter ends, enclosed reports, SES by SNS mail."""

import json
from typing import Any

import pytest
from support.mail.bounce_mails import OUR_ID, SUBSCRIBER, dsn, letter, refused

from service.bounces.inbound.bounce_mail import BouncedRecipient
from service.bounces.inbound.parse import parse_bounce
from service.deliveries.domain.states import BounceVerdict

V = BounceVerdict


def only(raw: bytes) -> BouncedRecipient:
    (recipient,) = parse_bounce(raw).recipients
    return recipient


@pytest.mark.parametrize("verb", ["was", "is"])
def test_a_sentence_about_your_message_is_the_letter_itself(verb: str) -> None:
    body = f"<{SUBSCRIBER}>\n\nYour message {verb} not delivered because\nthe mailbox is full.\n"
    assert only(letter(body)).verdict is V.FULL


def test_a_heading_above_the_returned_mail_ends_the_letter() -> None:
    body = f"<{SUBSCRIBER}>: quux\n\nYour message was:\n\nReceived: from x\nSubject: spam, spam\n"
    assert only(letter(body)).verdict is V.UNKNOWN


def test_quoted_fields_of_our_mail_above_the_reason_do_not_end_the_letter() -> None:
    body = f"It is about the mail with\n\n  Message-ID: {OUR_ID}\n  To: {SUBSCRIBER}\n\nReason: over quota\n"
    assert only(dsn(refused(status="5.0.0", reply=""), letter=body)).verdict is V.FULL


def test_a_reason_in_a_comment_beside_the_code_is_a_reply() -> None:
    found = only(dsn(refused(status="5.0.0 (the mailbox is full)", reply="")))
    assert (found.verdict, found.reply) == (V.FULL, "the mailbox is full")


def test_a_report_inside_a_forwarded_mail_is_parsed() -> None:
    outer = b"From: gateway@mx.example\nSubject: failed\nContent-Type: multipart/mixed; boundary=g\n\n--g\nContent-Type: message/rfc822\n\n"
    found = only(outer + dsn() + b"\n--g\nContent-Type: text/plain\n\nConfidential.\n--g--\n")
    assert (found.address, found.code) == (SUBSCRIBER, "5.1.1")


def test_our_missing_domain_is_not_held_against_the_reader() -> None:
    reply = "smtp; 550 5.1.2 No such domain: paperboy.example"
    found = only(dsn(refused(status="5.1.2", reply=reply)))
    assert (found.verdict, found.weight) == (V.CONFIGURATION, 0)


@pytest.mark.parametrize("words", ["was delayed", "will be retried for two more days"])
def test_a_warning_is_no_bounce_whatever_it_names(words: str) -> None:
    body = f"<{SUBSCRIBER}>: user unknown\n\nDelivery of your message {words}.\n"
    assert only(letter(body)).verdict is V.NOT_A_BOUNCE


# --- SES by SNS mail ------------------------------------------------------------------------

PATH = "bounce+x@bounces.paperboy.example"


def event(**bounce: Any) -> dict[str, Any]:
    recipient = {"emailAddress": SUBSCRIBER, "status": "5.1.1", "action": "failed"}
    return {
        "notificationType": "Bounce",
        "bounce": {
            "bounceType": "Permanent",
            "bouncedRecipients": [recipient | {"diagnosticCode": "smtp; 550 5.1.1 user unknown"}],
            "feedbackId": "1",
            **bounce,
        },
        "mail": {
            "messageId": "2",
            "source": PATH,
            "destination": [SUBSCRIBER],
            "headers": [{"name": "Message-ID", "value": OUR_ID}],
        },
    }


def sns_mail(body: str) -> bytes:
    headers = "x-amz-sns-message-id: 7\nContent-Type: text/plain; charset=utf-8"
    return letter(
        body, sender="SES <no-reply@sns.amazonaws.example>", subject="AWS", headers=headers
    )


def test_a_bounce_of_ses_that_sns_sends_by_mail_is_parsed_with_its_proof() -> None:
    envelope = {"Type": "Notification", "Message": json.dumps(event())}
    mail = parse_bounce(sns_mail(json.dumps(envelope, indent=2)))
    assert [(one.address, one.verdict, one.weight) for one in mail.recipients] == [
        (SUBSCRIBER, V.ADDRESS, 100)
    ]
    assert (mail.sent_to, mail.message_ids) == ((PATH,), (OUR_ID,))
    assert mail.is_automatic


def test_the_event_may_be_alone_with_a_footer_and_folded_lines() -> None:
    text = (
        json.dumps(event()).replace('"mail"', '\n "mail"').replace("user unknown", "user\n unknown")
    )
    assert only(sns_mail(f"{text}\n\n--\nTo stop these mails, follow this link.")).code == "5.1.1"


@pytest.mark.parametrize("body", ["", "no JSON", "{", "[1]", '{"Message": "x"}', "{" * 5000])
def test_an_sns_mail_without_an_event_is_no_bounce(body: str) -> None:
    mail = parse_bounce(sns_mail(body))
    assert (mail.verdict, mail.recipients) == (V.NOT_A_BOUNCE, ())
