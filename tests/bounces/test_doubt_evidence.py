"""Evidence that resolves a delivery in doubt, by every channel, before the next edition."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.mail.bounce_mails import SUBSCRIBER, dsn, refused
from support.mail.hook_calls import (
    SIGNED_AT,
    TOPIC,
    basic,
    certificate,
    generic,
    mailgun,
    sendgrid,
    sendgrid_public_key,
    sns,
)
from support.newsletter.bounce_press import path_of, send_digest, take
from support.newsletter.press import SILENCE, PlannedTransport, Press, read_mail
from support.web.papers import FRIDAY

from service.bounces.inbound.webhook_signatures import Call
from service.bounces.webhooks import WebhookContext, record_webhook
from service.deliveries.domain.digest_json import digest_from_json
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery

KEY, PAIR = "a webhook key of a test", "postmark:a long password"
SATURDAY = FRIDAY + timedelta(days=1)

# (Message-ID, return path) -> a provider's call about that mail.
MakeCall = Callable[[str, str], Call]


def as_json(value: object, headers: dict[str, str] | None = None) -> Call:
    return Call(json.dumps(value).encode(), headers or {})


def ses(kind: str, **more: Any) -> MakeCall:
    def make_call(identity: str, path: str) -> Call:
        mail = {
            "messageId": "ses-1",
            "source": path,
            "destination": [SUBSCRIBER],
            "headers": [{"name": "Message-ID", "value": identity}],
        }
        return as_json(sns({"eventType": kind, "mail": mail, **more}))

    return make_call


def postmark(identity: str, path: str) -> Call:
    event = {
        "RecordType": "Delivery",
        "MessageID": "pm-1",
        "Recipient": SUBSCRIBER,
        "Metadata": {"message-id": identity},
    }
    return as_json(event, basic(PAIR))


def mailgun_call(kind: str) -> MakeCall:
    def make_call(identity: str, path: str) -> Call:
        headers = {"headers": {"message-id": identity.strip("<>")}}
        event = {"event": kind, "id": "mg-1", "recipient": SUBSCRIBER, "message": headers}
        return as_json(mailgun(event, KEY))

    return make_call


def sendgrid_call(kind: str) -> MakeCall:
    def make_call(identity: str, path: str) -> Call:
        event = {"event": kind, "email": SUBSCRIBER, "sg_event_id": "sg-1", "smtp-id": identity}
        return sendgrid([event])

    return make_call


def generic_call(identity: str, path: str) -> Call:
    event = {"event": "delivered", "address": SUBSCRIBER, "return_path": path}
    return generic(json.dumps(event).encode(), KEY)


ARRIVED: dict[str, tuple[str, MakeCall]] = {
    "ses, send": ("ses", ses("Send", send={})),
    "ses, delivery": ("ses", ses("Delivery", delivery={"recipients": [SUBSCRIBER]})),
    "ses, delay": ("ses", ses("DeliveryDelay", deliveryDelay={"delayType": "TransientCommunicationFailure"})),
    "postmark, delivery": ("postmark", postmark),
    "mailgun, accepted": ("mailgun", mailgun_call("accepted")),
    "mailgun, delivered": ("mailgun", mailgun_call("delivered")),
    "sendgrid, processed": ("sendgrid", sendgrid_call("processed")),
    "sendgrid, deferred": ("sendgrid", sendgrid_call("deferred")),
    "sendgrid, delivered": ("sendgrid", sendgrid_call("delivered")),
    "generic, delivered": ("generic", generic_call),
}  # fmt: skip


@pytest.fixture
def doubtful(press: Press) -> Delivery:
    hooks = (
        f"ses={TOPIC}",
        f"postmark={PAIR}",
        f"mailgun={KEY}",
        f"sendgrid={sendgrid_public_key()}",
        f"generic={KEY}",
    )
    press.settings = press.settings.model_copy(update={"hooks": hooks})
    delivery = send_digest(press, PlannedTransport(lambda _: SILENCE))
    assert delivery.state is DeliveryState.IN_DOUBT
    return delivery


def publish_next(press: Press) -> list[tuple[int, bool]]:
    """Publish and return the subscriber's next digest: (paper, whether it is maybe seen)."""
    press.clock.forward(days=1)
    row = press.row(press.publish(SATURDAY))
    digest = digest_from_json(row.digest)
    return [(e.paper_id, e.is_maybe_seen) for group in digest.groups for e in group.entries]


@pytest.mark.parametrize("name", ARRIVED)
def test_a_providers_report_that_it_accepted_the_mail_resolves_the_doubt(
    press: Press, doubtful: Delivery, name: str
) -> None:
    provider, say = ARRIVED[name]
    door = WebhookContext(press.sessions, press.settings, lambda _: certificate())
    call = say(press.message_id(doubtful), path_of(press, doubtful))
    for _ in range(2):  # Providers say everything twice.
        assert record_webhook(door, provider, call, press.clock()).arrived == 1
    assert press.row().state is DeliveryState.SENT
    assert press.history(doubtful.id)[-2:] == [(1, DeliveryState.IN_DOUBT), (1, DeliveryState.SENT)]
    assert publish_next(press) == []


@pytest.mark.parametrize("action", ["delivered", "relayed"])
def test_a_receipt_resolves_the_doubt(press: Press, doubtful: Delivery, action: str) -> None:
    raw = dsn(refused(status="2.0.0", action=action, reply=""), to=path_of(press, doubtful))
    take(press, raw)
    assert press.row().state is DeliveryState.SENT
    assert publish_next(press) == []


def test_a_bounce_resolves_the_doubt_as_bounced(press: Press, doubtful: Delivery) -> None:
    take(press, dsn(refused(status="5.2.2", reply=""), to=path_of(press, doubtful)))
    assert press.row().state is DeliveryState.BOUNCED
    assert publish_next(press) == []


def test_without_evidence_the_papers_come_again_marked_and_evidence_is_too_late_then(
    press: Press, doubtful: Delivery
) -> None:
    assert publish_next(press) == [(paper_id, True) for paper_id in doubtful.paper_ids]
    _, say = ARRIVED["mailgun, delivered"]
    door = WebhookContext(press.sessions, press.settings, lambda _: certificate())
    # In time by its signature, so that only the evidence is late.
    signed_at = datetime.fromtimestamp(int(SIGNED_AT), UTC)
    record_webhook(door, "mailgun", say(press.message_id(doubtful), ""), signed_at)
    assert [row.state for row in press.rows()] == [DeliveryState.CARRIED, DeliveryState.QUEUED]


def test_a_report_without_proof_resolves_nothing(press: Press, doubtful: Delivery) -> None:
    door = WebhookContext(press.sessions, press.settings, lambda _: certificate())
    _, say = ARRIVED["mailgun, delivered"]
    forged = press.message_id(doubtful)[:-30] + "0" * 20 + "@paperboy.example>"
    assert record_webhook(door, "mailgun", say(forged, ""), press.clock()).arrived == 1
    assert press.row().state is DeliveryState.IN_DOUBT


def test_mails_have_the_headers_that_postmark_reports(press: Press) -> None:
    relay = ("smtps://key:key@smtp.postmarkapp.com",)
    press.settings = press.settings.model_copy(update={"smtp_url": relay})
    transport = PlannedTransport(lambda _: SILENCE)
    delivery = send_digest(press, transport)
    (sent,) = transport.sent
    assert read_mail(sent.payload)["X-PM-Metadata-message-id"] == press.message_id(delivery)
