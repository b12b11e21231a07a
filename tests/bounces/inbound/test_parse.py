"""Parsing bounces, complaints and auto-replies: address and verdict, in all formats."""

from datetime import UTC, datetime

import pytest
from support.mail.bounce_mails import OUR_ID, SUBSCRIBER, complaint, dsn, letter, refused

from service.bounces.inbound.bounce_mail import BouncedRecipient
from service.bounces.inbound.notice import notices_of_mail
from service.bounces.inbound.parse import parse_bounce
from service.deliveries.domain.states import BounceVerdict

V = BounceVerdict


def only(raw: bytes) -> BouncedRecipient:
    (recipient,) = parse_bounce(raw).recipients
    return recipient


def verdicts(raw: bytes) -> dict[str, V]:
    return {one.address: one.verdict for one in parse_bounce(raw).recipients}


# --- Delivery status notifications ---------------------------------------------------------


def test_a_status_notification_has_address_code_and_reply() -> None:
    found = only(dsn())
    assert found == BouncedRecipient(
        SUBSCRIBER, V.ADDRESS, "5.1.1", "550 5.1.1 user unknown", "failed", 100
    )


def test_each_recipient_has_a_verdict_of_its_own() -> None:
    raw = dsn(refused(), refused("full@example.org", "5.2.2", "smtp; 552 5.2.2 mailbox full"))
    assert verdicts(raw) == {SUBSCRIBER: V.ADDRESS, "full@example.org": V.FULL}


def test_the_address_we_used_comes_before_the_one_it_was_forwarded_to() -> None:
    found = only(dsn(refused("inner@backend.example", original=SUBSCRIBER)))
    assert (found.address, found.aliases) == (SUBSCRIBER, ("inner@backend.example",))


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded", "delayed (x)"])
def test_a_report_without_a_failure_is_no_bounce(action: str) -> None:
    assert only(dsn(refused(status="4.4.1", action=action))).verdict is V.NOT_A_BOUNCE


def test_a_success_without_an_action_is_no_bounce() -> None:
    raw = dsn(refused(status="2.1.5", reply="smtp; 250 ok", action=""))
    assert only(raw).verdict is V.NOT_A_BOUNCE


def test_a_block_without_a_reply_is_classified_by_the_text() -> None:
    found = only(dsn(refused(status="5.0.0", reply=""), letter="The mailbox is full."))
    assert found.verdict is V.FULL
    assert found.reply == "The mailbox is full."


def test_the_subject_of_our_own_mail_is_no_reason() -> None:
    text = "Your message\n  Subject: Detecting spam and viruses\ndid not arrive."
    assert only(dsn(refused(status="5.0.0", reply=""), letter=text)).verdict is V.UNKNOWN


def test_blocks_without_empty_lines_are_split() -> None:
    raw = dsn(refused() + "\n" + refused("full@example.org", "5.2.2", "smtp; 552 5.2.2 full"))
    assert verdicts(raw) == {SUBSCRIBER: V.ADDRESS, "full@example.org": V.FULL}


def test_blocks_in_plain_text_are_parsed_as_well() -> None:
    body = f"Something failed.\n\n{refused()}\n\nFinal-Recipient: nobody\n\nGoodbye."
    assert only(letter(body)).code == "5.1.1"


def test_an_international_status_notification_is_parsed_as_well() -> None:
    raw = dsn().replace(b"message/delivery-status\n", b"message/global-delivery-status\n")
    assert only(raw).code == "5.1.1"


def test_a_status_without_an_address_falls_back_to_the_text() -> None:
    raw = dsn(
        "Final-Recipient: x-local; somebody\nAction: failed", letter=f"<{SUBSCRIBER}>: unknown user"
    )
    assert only(raw).address == SUBSCRIBER


def test_the_same_address_twice_is_one() -> None:
    assert len(parse_bounce(dsn(refused(), refused())).recipients) == 1


def test_a_message_with_bare_carriage_returns_is_the_same_message() -> None:
    mac, dos = dsn().replace(b"\n", b"\r"), dsn().replace(b"\n", b"\r\n")
    assert (
        parse_bounce(mac).recipients
        == parse_bounce(dos).recipients
        == parse_bounce(dsn()).recipients
    )


# --- Free-form ------------------------------------------------------------------------------

LETTERS = {
    f"<{SUBSCRIBER}>:\nSorry, no mailbox here by that name. (#5.1.1)": V.ADDRESS,
    f"The following address(es) failed:\n\n  {SUBSCRIBER}\n    mailbox is full": V.FULL,
    f"There was an error delivering your mail to <{SUBSCRIBER}>.\nmx said: 550 5.7.26 DMARC": V.POLICY,
    f"RCPT TO: {SUBSCRIBER}\n550 no such user here": V.ADDRESS,
    f"Message size exceeds the limit of the mailbox {SUBSCRIBER} today": V.CONTENT,
    f"{SUBSCRIBER}... Deferred: Connection timed out\nMessage expired": V.CONFIGURATION,
}


@pytest.mark.parametrize(("body", "verdict"), LETTERS.items())
def test_a_free_form_bounce_is_parsed_by_its_patterns(body: str, verdict: V) -> None:
    assert verdicts(letter(body)) == {SUBSCRIBER: verdict}


def test_exims_header_takes_precedence_over_the_text() -> None:
    raw = letter("other@example.com wrote.", headers=f"X-Failed-Recipients: {SUBSCRIBER}")
    assert list(verdicts(raw)) == [SUBSCRIBER]


def test_each_address_of_a_text_has_its_own_reason() -> None:
    body = f"<{SUBSCRIBER}>:\nmailbox is full\n\n<gone@example.org>:\nuser unknown\n"
    assert verdicts(letter(body)) == {SUBSCRIBER: V.FULL, "gone@example.org": V.ADDRESS}


def test_the_mail_returned_below_the_text_is_not_part_of_it() -> None:
    body = f"I could not deliver it.\n\n--- Below this line is a copy of the message.\n\nReceived: from x\nTo: {SUBSCRIBER}\nMessage-ID: {OUR_ID}\n\nspam spam viagra"
    mail = parse_bounce(letter(body))
    assert [(one.address, one.verdict) for one in mail.recipients] == [(SUBSCRIBER, V.UNKNOWN)]
    assert mail.message_ids == (OUR_ID,)


def test_the_returned_mails_receiver_is_the_last_resort() -> None:
    body = "It failed.\n\n--- Original message ---\nFrom: x@y.example\n\nReceived: by me\nDelivered-To: us@paperboy.example\nTo: nobody, postmaster@mx.example\n"
    assert parse_bounce(letter(body)).recipients[0].address == "us@paperboy.example"


def test_an_address_is_taken_only_from_a_place_that_holds_the_failed_one() -> None:
    body = f"Lost (via {SUBSCRIBER}).\nFor assistance contact <help@mx.example>\nMessage-ID: <1@mx.example>\nFrom: x@y.example\n"
    assert verdicts(letter(body)) == {}


def test_a_sender_who_is_the_failed_recipient_is_found_too() -> None:
    raw = letter(f"<{SUBSCRIBER}>:\nuser unknown", to=SUBSCRIBER)
    assert list(verdicts(raw)) == [SUBSCRIBER]


def test_a_delay_is_no_bounce_and_a_final_failure_is() -> None:
    waiting = f"<{SUBSCRIBER}>: mailbox full. We will continue to try to deliver it."
    assert only(letter(waiting)).verdict is V.NOT_A_BOUNCE
    final = f"{waiting}\nNo: this is a permanent error; giving up."
    assert only(letter(final)).verdict is V.FULL


def test_an_html_bounce_is_parsed_without_its_tags() -> None:
    body = f"<html><head><style>p {{}}</style></head><p>Failed:</p><div>&lt;{SUBSCRIBER}&gt;:</div><p>user unknown</p></html>"
    raw = letter(body, headers="Content-Type: text/html")
    assert verdicts(raw) == {SUBSCRIBER: V.ADDRESS}


def test_a_bounce_of_unknown_content_type_is_parsed_as_text() -> None:
    raw = letter(f"<{SUBSCRIBER}>: user unknown", headers="Content-Type: application/x-odd")
    assert verdicts(raw) == {SUBSCRIBER: V.ADDRESS}


def test_a_forwarded_bounce_is_parsed_without_quote_marks() -> None:
    quoted = "\n".join(f"> {line}" for line in f"Sorry.\n\n{refused()}\n".splitlines())
    raw = letter(f"See below\n{quoted}", sender="friend@example.com", subject="Fwd: Returned mail")
    assert only(raw).code == "5.1.1"


def test_a_mail_from_an_unknown_sender_that_returns_ours_is_a_bounce() -> None:
    body = f"We could not deliver this to {SUBSCRIBER}.\n\nReceived: from us\nTo: {SUBSCRIBER}\n"
    raw = letter(body, sender="staff@odd.example", subject="?")
    assert list(verdicts(raw)) == [SUBSCRIBER]
    silent = letter("See you.\n\nReceived: from us\n", sender="staff@odd.example", subject="?")
    assert parse_bounce(silent).verdict is V.NOT_A_BOUNCE


def test_a_bounce_without_an_address_still_has_a_verdict() -> None:
    mail = parse_bounce(letter("Error: the mailbox is full"))
    assert (mail.verdict, mail.recipients) == (V.FULL, ())


def test_a_report_without_a_status_is_a_bounce() -> None:
    raw = letter(
        "Nothing to see.",
        sender="a@b.example",
        subject="x",
        headers="Content-Type: multipart/report",
    )
    assert parse_bounce(raw).verdict is V.UNKNOWN


# --- Neither --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", ["Auto-Submitted: auto-replied", "X-Autoreply: yes", "Precedence: auto_reply"]
)
def test_an_auto_reply_is_recognised(headers: str) -> None:
    raw = letter(
        "I am away until Monday.", sender=SUBSCRIBER, subject="Re: New papers", headers=headers
    )
    assert parse_bounce(raw).verdict is V.AUTO_REPLY


def test_an_auto_reply_is_recognised_by_its_subject() -> None:
    raw = letter("Back soon.", sender=SUBSCRIBER, subject="Out of office: New papers")
    assert (parse_bounce(raw).verdict, parse_bounce(raw).recipients) == (V.AUTO_REPLY, ())


def test_a_mail_from_a_subscriber_is_no_bounce() -> None:
    raw = letter("Thank you, I like it.", sender=SUBSCRIBER, subject="Re: New papers")
    assert parse_bounce(raw).verdict is V.NOT_A_BOUNCE


def test_a_mail_from_a_subscriber_with_an_enclosed_mail_is_no_bounce() -> None:
    raw = (
        complaint()
        .replace(b"message/feedback-report", b"text/plain")
        .replace(b"multipart/report", b"multipart/mixed")
        .replace(b"abuse report", b"greeting")
    )
    assert parse_bounce(raw).verdict is V.NOT_A_BOUNCE


# --- Complaints -----------------------------------------------------------------------------


def test_a_complaint_names_its_subscriber() -> None:
    found = only(complaint(fields=f"Original-Rcpt-To: {SUBSCRIBER}"))
    assert (found.address, found.verdict, found.reply) == (SUBSCRIBER, V.COMPLAINT, "abuse")


def test_a_complaint_without_a_recipient_takes_it_from_the_enclosed_mail() -> None:
    assert verdicts(complaint()) == {SUBSCRIBER: V.COMPLAINT}


def test_a_redacted_complaint_still_quotes_our_message_id() -> None:
    mail = parse_bounce(complaint().replace(SUBSCRIBER.encode(), b"redacted"))
    assert (mail.verdict, mail.recipients, mail.message_ids) == (V.COMPLAINT, (), (OUR_ID,))


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        ("not-spam", V.NOT_A_BOUNCE),
        ("auth-failure", V.CONFIGURATION),
        ("virus", V.CONTENT),
        ("opt-out", V.COMPLAINT),
        ("something new", V.COMPLAINT),
    ],
)
def test_not_every_feedback_is_a_complaint(kind: str, verdict: V) -> None:
    assert parse_bounce(complaint(kind)).verdict is verdict


def test_a_report_on_authentication_is_no_notice() -> None:
    assert notices_of_mail(parse_bounce(complaint("auth-failure"))) == ()


def test_a_complaint_without_an_enclosed_mail_is_still_a_complaint() -> None:
    raw = complaint().replace(b"message/rfc822", b"application/octet-stream")
    assert (parse_bounce(raw).verdict, parse_bounce(raw).recipients) == (V.COMPLAINT, ())


def test_outlooks_junk_report_is_a_complaint() -> None:
    raw = b"""From: staff@hotmail.example
To: bounce@bounces.paperboy.example
Subject: complaint about message from 192.0.2.1
Content-Type: multipart/mixed; boundary="b0"

--b0
Content-Type: message/rfc822

X-HmXmrOriginalRecipient: reader@example.org
Message-ID: <digest.1.00000000000000000000@paperboy.example>
Subject: New papers

Papers.
--b0--
"""
    assert verdicts(raw) == {SUBSCRIBER: V.COMPLAINT}


def test_apples_stop_button_is_a_complaint_of_its_sender() -> None:
    raw = letter(
        "unsubscribe", sender=SUBSCRIBER, subject="unsubscribe", headers="X-Apple-Unsubscribe: true"
    )
    found = only(raw)
    assert (found.address, found.verdict, found.reply) == (SUBSCRIBER, V.COMPLAINT, "opt-out")


def test_a_feedback_part_that_is_no_text_is_still_parsed() -> None:
    raw = complaint(fields=f"Original-Rcpt-To: {SUBSCRIBER}").replace(
        b"Content-Type: message/feedback-report\n",
        b"Content-Type: message/feedback-report\nContent-Transfer-Encoding: 8bit\n",
    )
    assert verdicts(raw) == {SUBSCRIBER: V.COMPLAINT}


# --- Proof and keys -------------------------------------------------------------------------


def test_the_key_of_a_mail_does_not_depend_on_its_path() -> None:
    once = parse_bounce(dsn())
    again = parse_bounce(b"Received: from elsewhere\n" + dsn().replace(b"\n", b"\r\n"))
    assert once.key == again.key
    assert parse_bounce(dsn(message_id="<other@mx.example>")).key != once.key


def test_without_a_message_id_the_body_is_the_key() -> None:
    first, second = parse_bounce(letter("a")), parse_bounce(letter("b"))
    assert first.key != second.key
    assert first.key == parse_bounce(letter("a", headers="Received: by x")).key


def test_the_time_is_parsed_with_its_zone() -> None:
    assert parse_bounce(dsn(date="Fri, 18 Sep 2026 05:10:00 +0200")).sent_at == datetime(
        2026, 9, 18, 3, 10, tzinfo=UTC
    )
    assert parse_bounce(dsn(date="Fri, 18 Sep 2026 05:10:00 -0000")).sent_at == datetime(
        2026, 9, 18, 5, 10, tzinfo=UTC
    )
    assert parse_bounce(dsn(date="yesterday")).sent_at is None


def test_the_envelopes_receiver_comes_before_the_headers() -> None:
    mail = parse_bounce(dsn(to="b@bounces.example"))
    assert notices_of_mail(mail, ("a@bounces.example",))[0].return_paths == (
        "a@bounces.example",
        "b@bounces.example",
    )


def test_a_mail_without_an_address_is_one_notice() -> None:
    (notice,) = notices_of_mail(parse_bounce(letter("hello", sender=SUBSCRIBER, subject="Hello")))
    assert (notice.verdict, notice.address, notice.weight) == (V.NOT_A_BOUNCE, "", 0)
