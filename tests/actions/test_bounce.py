"""What comes back, recorded: believed only with proof, counted once, told to the right reader."""

from __future__ import annotations

import threading
from datetime import timedelta
from mailbox import Maildir
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from support.bounce_mails import READER, complaint, dsn, letter, refused
from support.press import (
    ACCEPTED,
    SILENCE,
    PlannedTransport,
    Press,
    dump_tables,
)
from support.smtp_sink import SmtpSink

from service.actions.bounce import (
    Channel,
    Reading,
    open_listener,
    read_bounce_mail,
    read_bounce_mailbox,
    record_notices,
    settle_bounces,
    verp_address,
)
from service.actions.deliver import deliver
from service.actions.export import export_reader
from service.actions.subscribe import erase, release_address
from service.domain.addresses import email_key
from service.domain.types import BounceVerdict, DeliveryState, SubscriberState, SuppressionReason
from service.mail.bounces_parts import MOST_BYTES
from service.mail.notices import Notice
from service.store.bounce_models import BounceEventRow
from service.store.bounces import count_verdicts
from service.store.models import Delivery, Subscriber
from service.store.suppressions import find_reason, is_suppressed

V, S = BounceVerdict, DeliveryState


@pytest.fixture
def sent(press: Press) -> Delivery:
    """A digest that the relay has taken, to the only reader."""
    return send_digest(press)


def send_digest(press: Press, transport: PlannedTransport | None = None) -> Delivery:
    press.add_readers(READER)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(transport or PlannedTransport()))
    return press.row()


def take(press: Press, raw: bytes, *receivers: str, trust: bool = False) -> Reading:
    channel = Channel(press.settings, "file", trusts_addresses=trust)
    return read_bounce_mail(press.sessions, channel, raw, press.clock(), receivers)


def outcomes(reading: Reading) -> list[str]:
    return [one.outcome for one in reading.recorded]


def path_of(press: Press, delivery: Delivery) -> str:
    path = verp_address(press.settings, delivery.id)
    assert path is not None
    return path


def reader_of(press: Press) -> Subscriber:
    with press.sessions() as session:
        return session.execute(select(Subscriber)).scalar_one()


def reason_for(press: Press, address: str = READER) -> SuppressionReason | None:
    with press.sessions() as session:
        return find_reason(session, email_key(address), press.settings.secret_key)


def count_events(press: Press) -> int:
    with press.sessions() as session:
        return session.execute(select(func.count()).select_from(BounceEventRow)).scalar_one()


# --- Proof ----------------------------------------------------------------------------------


def test_every_mail_leaves_with_a_return_path_that_names_its_delivery(press: Press) -> None:
    transport = PlannedTransport()
    delivery = send_digest(press, transport)
    assert transport.sent[0].sender == path_of(press, delivery)
    assert transport.sent[0].sender.endswith("@bounces.paperboy.example")


def test_without_a_bounce_domain_the_from_address_stays_the_sender(press: Press) -> None:
    press.settings = press.settings.model_copy(update={"bounce_domain": ""})
    transport = PlannedTransport()
    delivery = send_digest(press, transport)
    assert transport.sent[0].sender == "digest@paperboy.example"
    assert verp_address(press.settings, delivery.id) is None


def test_a_bounce_to_the_signed_return_path_ends_the_subscription(
    press: Press, sent: Delivery
) -> None:
    reading = take(press, dsn(to=path_of(press, sent), original_id=""))
    assert outcomes(reading) == ["recorded"]
    assert reading.recorded[0].is_suppressed
    assert press.row().state is S.BOUNCED
    assert press.history(sent.id)[-1] == (1, S.BOUNCED)
    assert reader_of(press).state is SubscriberState.SUPPRESSED
    assert reason_for(press) is SuppressionReason.HARD_BOUNCE


def test_the_envelopes_receiver_is_proof_where_no_header_names_it(
    press: Press, sent: Delivery
) -> None:
    reading = take(press, dsn(to="x@y.example", original_id=""), path_of(press, sent))
    assert outcomes(reading) == ["recorded"]


def test_our_own_message_id_is_proof_as_well(press: Press, sent: Delivery) -> None:
    assert outcomes(take(press, dsn(original_id=sent.message_id))) == ["recorded"]
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
    assert reading.mail.recipients[0].address == READER
    assert dump_tables(press.sessions) == before


def test_a_signed_path_to_a_delivery_that_is_gone_proves_nothing(press: Press) -> None:
    for number in (77, 2**63 + 5):
        path = verp_address(press.settings, number)
        assert path is not None
        assert outcomes(take(press, dsn(to=path))) == ["unattributed"]


def test_an_operator_may_vouch_for_addresses(press: Press, sent: Delivery) -> None:
    assert outcomes(take(press, dsn(refused("stranger@example.org")), trust=True)) == [
        "unattributed"
    ]
    assert outcomes(take(press, dsn(message_id="<2@x>"), trust=True)) == ["recorded"]
    assert reader_of(press).state is SubscriberState.SUPPRESSED
    # Nobody knows which mail it was, so none is called bounced.
    assert press.row().state is S.SENT


# --- Once -----------------------------------------------------------------------------------


def test_the_same_bounce_twice_is_one(press: Press, sent: Delivery) -> None:
    raw = dsn(refused(status="5.2.2", reply="smtp; 552 5.2.2 full"), to=path_of(press, sent))
    assert outcomes(take(press, raw)) == ["recorded"]
    before = dump_tables(press.sessions)
    assert outcomes(take(press, b"Received: by another way\n" + raw)) == ["known"]
    assert dump_tables(press.sessions) == before


def test_many_at_once_are_one(press: Press, sent: Delivery) -> None:
    raw, told = dsn(to=path_of(press, sent)), list[str]()
    threads = [
        threading.Thread(target=lambda: told.extend(outcomes(take(press, raw)))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["known"] * 5 + ["recorded"]
    assert count_events(press) == 1
    assert press.history(sent.id).count((1, S.BOUNCED)) == 1


# --- Blame ----------------------------------------------------------------------------------

BLAMELESS = {
    "5.7.1": "smtp; 554 5.7.1 blocked, see blocklist",
    "5.3.4": "smtp; 552 5.3.4 message too big",
    "5.4.6": "smtp; 554 5.4.6 routing loop",
}


@pytest.mark.parametrize(("status", "reply"), BLAMELESS.items())
def test_what_is_not_the_readers_fault_leaves_them_subscribed(
    press: Press, sent: Delivery, status: str, reply: str
) -> None:
    for number in range(30):
        block = refused(status=status, reply=reply)
        take(press, dsn(block, to=path_of(press, sent), message_id=f"<{number}@mx.example>"))
    assert press.row().state is S.BOUNCED
    assert reader_of(press).state is SubscriberState.ACTIVE
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
        states.append(reader_of(press).state)
        press.clock.forward(days=1)
    assert states == [SubscriberState.ACTIVE] * 5 + [SubscriberState.SUPPRESSED]


def test_a_complaint_is_final_and_follows_a_bounce(press: Press, sent: Delivery) -> None:
    take(press, dsn(refused(status="5.2.2", reply=""), to=path_of(press, sent)))
    redacted = complaint(original_id=sent.message_id).replace(READER.encode(), b"redacted")
    assert outcomes(take(press, redacted)) == ["recorded"]
    assert press.row().state is S.COMPLAINED
    assert reason_for(press) is SuppressionReason.COMPLAINT


def test_a_bounce_after_a_complaint_leaves_the_complaint(press: Press, sent: Delivery) -> None:
    take(press, complaint(original_id=sent.message_id))
    take(press, dsn(original_id=sent.message_id))
    assert press.row().state is S.COMPLAINED
    assert reason_for(press) is SuppressionReason.COMPLAINT


def test_a_suppressed_reader_is_passed_over_when_the_next_edition_is_sent(
    press: Press, sent: Delivery
) -> None:
    press.clock.forward(days=3)
    press.add_papers(2, on=press.clock().date())
    edition = press.publish(press.clock().date())
    take(press, dsn(to=path_of(press, sent)))
    # Even if somebody made the reader active again by hand, the address stays suppressed.
    press.change(reader_of(press).id, state=SubscriberState.ACTIVE)
    transport = PlannedTransport()
    deliver(press.sender(transport))
    assert transport.sent == []
    assert press.row(edition).reason == "suppressed"


def test_a_suppression_outlives_the_readers_erasure(press: Press, sent: Delivery) -> None:
    take(press, dsn(to=path_of(press, sent)))
    secrets = press.settings.secret_key
    with press.sessions.begin() as session:
        erase(session, session.get_one(Subscriber, reader_of(press).id), secrets, press.clock())
    with press.sessions() as session:
        assert is_suppressed(session, email_key(READER), secrets)
    assert reason_for(press) is SuppressionReason.HARD_BOUNCE
    assert count_events(press) == 0


def test_a_bounce_that_comes_after_an_erasure_brings_no_address_back(
    press: Press, sent: Delivery
) -> None:
    with press.sessions.begin() as session:
        reader = session.get_one(Subscriber, reader_of(press).id)
        erase(session, reader, press.settings.secret_key, press.clock())
    assert outcomes(take(press, dsn(to=path_of(press, sent)))) == ["recorded"]
    assert press.row().state is S.BOUNCED
    assert READER not in repr(dump_tables(press.sessions))


def test_who_proved_the_address_anew_begins_anew(press: Press, sent: Delivery) -> None:
    take(press, dsn(to=path_of(press, sent)))
    press.clock.forward(days=10)
    with press.sessions.begin() as session:
        assert release_address(session, READER, press.settings.secret_key)
    press.change(reader_of(press).id, state=SubscriberState.ACTIVE, confirmed_at=press.clock())
    # Something else comes back of the old mail, late.
    take(press, dsn(to=path_of(press, sent), message_id="<late@mx.example>"))
    assert reader_of(press).state is SubscriberState.ACTIVE
    assert reason_for(press) is None


# --- Evidence -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        dsn(refused(status="4.4.1", action="delayed"), to="PATH"),
        letter("I am away.", sender=READER, subject="Out of office", to="PATH"),
    ],
)
def test_what_proves_an_arrival_settles_a_doubt(press: Press, raw: bytes) -> None:
    delivery = send_digest(press, PlannedTransport(plan=lambda _: SILENCE))
    assert delivery.state is S.IN_DOUBT
    reading = take(press, raw.replace(b"PATH", path_of(press, delivery).encode()))
    assert outcomes(reading) == ["arrived"]
    assert press.row().state is S.SENT
    assert count_events(press) == 0
    assert reader_of(press).state is SubscriberState.ACTIVE


def test_an_arrival_of_what_was_sent_changes_nothing(press: Press, sent: Delivery) -> None:
    before = dump_tables(press.sessions)
    raw = letter("Away.", sender=READER, subject="Out of office", to=path_of(press, sent))
    assert outcomes(take(press, raw)) == ["arrived"]
    assert dump_tables(press.sessions) == before


def test_an_arrival_on_a_providers_word_needs_no_delivery(press: Press, sent: Delivery) -> None:
    channel = Channel(press.settings, "ses", trusts_addresses=True)
    notice = Notice("ses:1", V.NOT_A_BOUNCE, READER)
    (told,) = record_notices(press.sessions, channel, [notice], press.clock())
    assert told.outcome == "arrived"


def test_a_bounce_settles_a_doubt_as_well(press: Press) -> None:
    delivery = send_digest(press, PlannedTransport(plan=lambda _: SILENCE))
    take(press, dsn(to=path_of(press, delivery)))
    assert press.row().state is S.BOUNCED


def test_a_bounce_that_is_faster_than_the_record_waits_for_it(press: Press) -> None:
    """A relay on the same machine can bounce before the sender has written down its 250."""
    transport = PlannedTransport(plan=lambda _: ACCEPTED)
    seen: list[S] = []

    def bounce() -> None:
        take(press, dsn(to=path_of(press, press.row())))
        assert settle_bounces(press.sessions, press.clock()) == 0
        seen.append(press.row().state)

    transport.meanwhile = bounce
    delivery = send_digest(press, transport)
    assert (seen, delivery.state) == ([S.IN_FLIGHT], S.SENT)
    assert settle_bounces(press.sessions, press.clock()) == 1
    assert press.row().state is S.BOUNCED
    assert settle_bounces(press.sessions, press.clock()) == 0
    assert reader_of(press).state is SubscriberState.SUPPRESSED


def test_a_waiting_bounce_whose_delivery_is_gone_is_settled(press: Press) -> None:
    transport = PlannedTransport()
    transport.meanwhile = lambda: take(press, dsn(to=path_of(press, press.row())))
    delivery = send_digest(press, transport)
    with press.sessions.begin() as session:
        session.delete(session.get_one(Delivery, delivery.id))
    assert settle_bounces(press.sessions, press.clock()) == 0
    with press.sessions() as session:
        assert session.execute(select(BounceEventRow.settled_at)).scalar_one() is not None


# --- Times, channels, records ---------------------------------------------------------------


def test_a_strangers_clock_is_held_between_our_sending_and_our_now(
    press: Press, sent: Delivery
) -> None:
    press.clock.forward(hours=2)
    for number, date in enumerate(
        ("Mon, 01 Jan 1990 00:00:00 +0000", "Fri, 01 Jan 2100 00:00:00 +0000", "never")
    ):
        take(press, dsn(refused(status="5.2.2", reply=""), to=path_of(press, sent), date=date, message_id=f"<{number}@x>"))  # fmt: skip
    with press.sessions() as session:
        times = session.execute(
            select(BounceEventRow.occurred_at).order_by(BounceEventRow.id)
        ).scalars()
        assert list(times) == [sent.created_at, press.clock(), press.clock()]


def test_what_cannot_be_read_is_told_and_changes_nothing(press: Press, sent: Delivery) -> None:
    before = dump_tables(press.sessions)
    reading = take(press, b"x" * (MOST_BYTES + 1), path_of(press, sent))
    assert (reading.mail, reading.recorded) == (None, ())
    assert "larger" in reading.fault
    assert dump_tables(press.sessions) == before


def test_a_mailbox_is_read_to_its_end(press: Press, sent: Delivery, tmp_path: Path) -> None:
    box = Maildir(tmp_path / "box", create=True)
    for raw in (dsn(to=path_of(press, sent)), letter("hello"), b"x" * (MOST_BYTES + 1)):
        box.add(raw)
    settings = press.settings.model_copy(update={"bounce_mailbox": f"maildir:{tmp_path}/box"})
    total = read_bounce_mailbox(press.sessions, settings, press.clock)
    assert (total.mails, total.unreadable, total.suppressed) == (3, 1, 1)
    assert dict(total.outcomes) == {"recorded": 1, "unattributed": 1}
    assert read_bounce_mailbox(press.sessions, settings, press.clock).mails == 0
    assert read_bounce_mailbox(press.sessions, press.settings, press.clock).mails == 0


@pytest.mark.parametrize("lmtp", [False, True])
def test_a_listener_records_what_comes_to_our_paths_alone(
    press: Press, sent: Delivery, *, lmtp: bool
) -> None:
    import smtplib

    listener = open_listener(press.sessions, press.settings, press.clock, lmtp=lmtp)
    with listener.start() as started:
        kind = smtplib.LMTP if lmtp else smtplib.SMTP
        client = kind("127.0.0.1", started.port)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("", ["bounce+1-forged@bounces.paperboy.example"], dsn())
        client.sendmail("", [path_of(press, sent).upper()], dsn(original_id=""))
        client.quit()
    assert press.row().state is S.BOUNCED


def test_what_came_back_is_counted_and_exported(
    press: Press, sent: Delivery, engine: Engine, smtp_sink: SmtpSink
) -> None:
    take(press, dsn(to=path_of(press, sent)))
    with press.sessions() as session:
        hour_ago = press.clock() - timedelta(hours=1)
        assert count_verdicts(session, hour_ago) == {V.ADDRESS: 1}
        assert count_verdicts(session, press.clock() + timedelta(hours=1)) == {}
        told = export_reader(session, reader_of(press))
    assert [event["code"] for event in told["bounce_events"]] == ["5.1.1"]
