"""Recording bounces: only with proof, once, and against the right subscriber."""

import threading

import pytest
from support.mail.bounce_mails import SUBSCRIBER, complaint, dsn, refused
from support.newsletter.bounce_press import (
    count_events,
    outcomes,
    path_of,
    reason_for,
    send_digest,
    subscriber_of,
    take,
)
from support.newsletter.press import PlannedTransport, Press, dump_tables

from service.deliveries.domain.recipients import SubscriberState, SuppressionReason
from service.deliveries.domain.return_path import make_return_path
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery
from service.platform.signing.address_hash import email_key
from service.sending.deliver import deliver
from service.subscribers.lifecycle import erase, release_address
from service.subscribers.store.models import Subscriber
from service.subscribers.store.suppressions import is_suppressed

S = DeliveryState


@pytest.fixture
def sent(press: Press) -> Delivery:
    """Send a digest to the only subscriber."""
    return send_digest(press)


# --- Proof ----------------------------------------------------------------------------------


def test_every_mail_leaves_with_a_return_path_that_names_its_delivery(press: Press) -> None:
    transport = PlannedTransport()
    delivery = send_digest(press, transport)
    assert transport.sent[0].sender == path_of(press, delivery)
    assert transport.sent[0].sender.endswith("@bounces.paperboy.example")


def test_without_a_bounce_domain_the_from_address_stays_the_sender(press: Press) -> None:
    press.settings = press.settings.model_copy(update={"bounce_domain": ""})
    transport = PlannedTransport()
    send_digest(press, transport)
    assert transport.sent[0].sender == "digest@paperboy.example"


def test_a_bounce_to_the_signed_return_path_ends_the_subscription(
    press: Press, sent: Delivery
) -> None:
    reading = take(press, dsn(to=path_of(press, sent), original_id=""))
    assert outcomes(reading) == ["recorded"]
    assert reading.recorded[0].is_suppressed
    assert press.row().state is S.BOUNCED
    assert press.history(sent.id)[-1] == (1, S.BOUNCED)
    assert subscriber_of(press).state is SubscriberState.SUPPRESSED
    assert reason_for(press) is SuppressionReason.HARD_BOUNCE


def test_the_envelopes_receiver_is_proof_where_no_header_names_it(
    press: Press, sent: Delivery
) -> None:
    reading = take(press, dsn(to="x@y.example", original_id=""), path_of(press, sent))
    assert outcomes(reading) == ["recorded"]


def test_our_own_message_id_is_proof_as_well(press: Press, sent: Delivery) -> None:
    assert outcomes(take(press, dsn(original_id=press.message_id(sent)))) == ["recorded"]
    assert press.row().state is S.BOUNCED


@pytest.mark.parametrize(
    "mark",
    [
        "<digest.1.00000000000000000000@bounces.paperboy.example>",
        "<digest.999999999999999999.00000000000000000000@bounces.paperboy.example>",
        "<nonsense@bounces.paperboy.example>",
        "",
    ],
)
def test_a_forged_bounce_changes_nothing(press: Press, sent: Delivery, mark: str) -> None:
    before = dump_tables(press.sessions)
    forged = "bounce+1-aaaaaaaaaaaaaaaa@bounces.paperboy.example"
    reading = take(press, dsn(to=forged, original_id=mark), forged)
    assert outcomes(reading) == ["unattributed"]
    assert reading.mail is not None
    assert reading.mail.recipients[0].address == SUBSCRIBER
    assert dump_tables(press.sessions) == before


def test_a_signed_path_to_a_delivery_that_is_gone_proves_nothing(press: Press) -> None:
    for number in (77, 2**63 + 5):
        path = make_return_path(number, press.settings.bounce_domain, press.settings.secret_key[0])
        assert path is not None
        assert outcomes(take(press, dsn(to=path))) == ["unattributed"]


def test_an_operator_may_vouch_for_addresses(press: Press, sent: Delivery) -> None:
    assert outcomes(take(press, dsn(refused("stranger@example.org")), trust=True)) == [
        "unattributed"
    ]
    assert outcomes(take(press, dsn(message_id="<2@x>"), trust=True)) == ["recorded"]
    assert subscriber_of(press).state is SubscriberState.SUPPRESSED
    # It is unknown which mail it was, so no delivery becomes bounced.
    assert press.row().state is S.SENT


# --- Once -----------------------------------------------------------------------------------


def test_a_report_with_nuls_in_it_is_recorded(press: Press, sent: Delivery) -> None:
    raw = dsn(to=path_of(press, sent), message_id="<a\0b@mx.example>", letter="no\0body")
    raw = raw.replace(b"Diagnostic-Code: ", b"Diagnostic-Code: smtp; 550 5.1.1 no\0body ")
    assert outcomes(take(press, raw)) == ["recorded"]


def test_the_same_bounce_twice_is_one(press: Press, sent: Delivery) -> None:
    raw = dsn(refused(status="5.2.2", reply="smtp; 552 5.2.2 full"), to=path_of(press, sent))
    assert outcomes(take(press, raw)) == ["recorded"]
    before = dump_tables(press.sessions)
    assert outcomes(take(press, b"Received: by another way\n" + raw)) == ["known"]
    assert dump_tables(press.sessions) == before


def test_many_concurrent_copies_are_one(press: Press, sent: Delivery) -> None:
    raw, results = dsn(to=path_of(press, sent)), list[str]()
    threads = [
        threading.Thread(target=lambda: results.extend(outcomes(take(press, raw))))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["known"] * 5 + ["recorded"]
    assert count_events(press) == 1
    assert press.history(sent.id).count((1, S.BOUNCED)) == 1


# --- Blame ----------------------------------------------------------------------------------

BLAMELESS = {
    "5.7.1": "smtp; 554 5.7.1 blocked, see blocklist",
    "5.3.4": "smtp; 552 5.3.4 message too big",
    "5.4.6": "smtp; 554 5.4.6 routing loop",
}


@pytest.mark.parametrize(("status", "reply"), BLAMELESS.items())
def test_bounces_that_are_not_the_subscribers_fault_leave_them_subscribed(
    press: Press, sent: Delivery, status: str, reply: str
) -> None:
    for number in range(30):
        block = refused(status=status, reply=reply)
        take(press, dsn(block, to=path_of(press, sent), message_id=f"<{number}@mx.example>"))
    assert press.row().state is S.BOUNCED
    assert subscriber_of(press).state is SubscriberState.ACTIVE
    assert reason_for(press) is None
    assert count_events(press) == 30


def test_a_full_mailbox_ends_the_subscription_after_days_not_after_mails(
    press: Press, sent: Delivery
) -> None:
    states = []
    for day in range(6):
        for number in range(3):
            block = refused(status="5.2.2", reply="smtp; 552 5.2.2 mailbox full")
            name = f"<{day}.{number}@mx.example>"
            date = f"{press.clock():%a, %d %b %Y %H:%M:%S} +0000"
            raw = dsn(block, to=path_of(press, sent), message_id=name, date=date)
            take(press, raw)
        states.append(subscriber_of(press).state)
        press.clock.forward(days=1)
    assert states == [SubscriberState.ACTIVE] * 5 + [SubscriberState.SUPPRESSED]


def test_a_complaint_is_final_and_follows_a_bounce(press: Press, sent: Delivery) -> None:
    take(press, dsn(refused(status="5.2.2", reply=""), to=path_of(press, sent)))
    redacted = complaint(original_id=press.message_id(sent)).replace(
        SUBSCRIBER.encode(), b"redacted"
    )
    assert outcomes(take(press, redacted)) == ["recorded"]
    assert press.row().state is S.COMPLAINED
    assert reason_for(press) is SuppressionReason.COMPLAINT


def test_a_bounce_after_a_complaint_leaves_the_complaint(press: Press, sent: Delivery) -> None:
    take(press, complaint(original_id=press.message_id(sent)))
    take(press, dsn(original_id=press.message_id(sent)))
    assert press.row().state is S.COMPLAINED
    assert reason_for(press) is SuppressionReason.COMPLAINT


def test_a_suppressed_subscriber_is_skipped_by_the_next_edition(
    press: Press, sent: Delivery
) -> None:
    press.clock.forward(days=3)
    press.add_papers(2, on=press.clock().date())
    edition = press.publish(press.clock().date())
    take(press, dsn(to=path_of(press, sent)))
    # Even if the subscriber is made active again by hand, the address stays suppressed.
    press.change(subscriber_of(press).id, state=SubscriberState.ACTIVE)
    transport = PlannedTransport()
    deliver(press.sender(transport))
    assert transport.sent == []
    assert press.row(edition).reason == "suppressed"


def test_a_suppression_outlives_the_subscribers_erasure(press: Press, sent: Delivery) -> None:
    take(press, dsn(to=path_of(press, sent)))
    secrets = press.settings.secret_key
    with press.sessions.begin() as session:
        erase(session, session.get_one(Subscriber, subscriber_of(press).id), secrets, press.clock())
    with press.sessions() as session:
        assert is_suppressed(session, email_key(SUBSCRIBER), secrets)
    assert reason_for(press) is SuppressionReason.HARD_BOUNCE
    assert count_events(press) == 0


def test_a_bounce_after_an_erasure_stores_no_address(press: Press, sent: Delivery) -> None:
    with press.sessions.begin() as session:
        subscriber = session.get_one(Subscriber, subscriber_of(press).id)
        erase(session, subscriber, press.settings.secret_key, press.clock())
    assert outcomes(take(press, dsn(to=path_of(press, sent)))) == ["recorded"]
    assert press.row().state is S.BOUNCED
    assert SUBSCRIBER not in repr(dump_tables(press.sessions))


def test_confirming_the_address_again_resets_the_bounce_score(press: Press, sent: Delivery) -> None:
    take(press, dsn(to=path_of(press, sent)))
    press.clock.forward(days=10)
    with press.sessions.begin() as session:
        assert release_address(session, SUBSCRIBER, press.settings.secret_key)
    press.change(subscriber_of(press).id, state=SubscriberState.ACTIVE, confirmed_at=press.clock())
    # Another bounce of the old mail comes late.
    take(press, dsn(to=path_of(press, sent), message_id="<late@mx.example>"))
    assert subscriber_of(press).state is SubscriberState.ACTIVE
    assert reason_for(press) is None
