"""Evidence of arrivals and bounces: before our own records, and by every channel."""

from datetime import timedelta
from mailbox import Maildir
from pathlib import Path

import pytest
from sqlalchemy import select
from support.mail.bounce_mails import SUBSCRIBER, dsn, letter, refused
from support.newsletter.bounce_press import (
    count_events,
    outcomes,
    path_of,
    send_digest,
    subscriber_of,
    take,
)
from support.newsletter.press import ACCEPTED, SILENCE, PlannedTransport, Press, dump_tables

from service.bounces.inbound.mime_parts import MOST_BYTES
from service.bounces.inbound.notice import BounceNotice
from service.bounces.record import (
    Channel,
    fetch_bounce_mailbox,
    open_listener,
    record_notices,
    settle_bounces,
)
from service.bounces.store.bounces import count_verdicts
from service.bounces.store.models import BounceEvent
from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import BounceVerdict, DeliveryState
from service.deliveries.store.models import Delivery
from service.subscribers.export import export_subscriber

V, S = BounceVerdict, DeliveryState


@pytest.fixture
def sent(press: Press) -> Delivery:
    """Send a digest to the only subscriber."""
    return send_digest(press)


@pytest.mark.parametrize(
    "raw",
    [
        dsn(refused(status="4.4.1", action="delayed"), to="PATH"),
        letter("I am away.", sender=SUBSCRIBER, subject="Out of office", to="PATH"),
    ],
)
def test_proof_of_an_arrival_resolves_a_doubt(press: Press, raw: bytes) -> None:
    delivery = send_digest(press, PlannedTransport(plan=lambda _: SILENCE))
    assert delivery.state is S.IN_DOUBT
    reading = take(press, raw.replace(b"PATH", path_of(press, delivery).encode()))
    assert outcomes(reading) == ["arrived"]
    assert press.row().state is S.SENT
    assert count_events(press) == 0
    assert subscriber_of(press).state is SubscriberState.ACTIVE


def test_an_arrival_of_a_sent_mail_changes_nothing(press: Press, sent: Delivery) -> None:
    before = dump_tables(press.sessions)
    raw = letter("Away.", sender=SUBSCRIBER, subject="Out of office", to=path_of(press, sent))
    assert outcomes(take(press, raw)) == ["arrived"]
    assert dump_tables(press.sessions) == before


def test_an_arrival_reported_by_a_provider_needs_no_delivery(press: Press, sent: Delivery) -> None:
    channel = Channel(press.settings, "ses", trusts_addresses=True)
    notice = BounceNotice("ses:1", V.NOT_A_BOUNCE, SUBSCRIBER)
    (recorded,) = record_notices(press.sessions, channel, [notice], press.clock())
    assert recorded.outcome == "arrived"


def test_a_bounce_resolves_a_doubt_as_well(press: Press) -> None:
    delivery = send_digest(press, PlannedTransport(plan=lambda _: SILENCE))
    take(press, dsn(to=path_of(press, delivery)))
    assert press.row().state is S.BOUNCED


def test_a_bounce_before_the_senders_record_waits_for_it(press: Press) -> None:
    """A race: a relay on the same machine can bounce before the sender has recorded its 250."""
    transport = PlannedTransport(plan=lambda _: ACCEPTED)
    seen: list[DeliveryState] = []

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
    assert subscriber_of(press).state is SubscriberState.SUPPRESSED


def test_a_waiting_bounce_whose_delivery_is_gone_is_settled(press: Press) -> None:
    transport = PlannedTransport()
    transport.meanwhile = lambda: take(press, dsn(to=path_of(press, press.row())))
    delivery = send_digest(press, transport)
    with press.sessions.begin() as session:
        session.delete(session.get_one(Delivery, delivery.id))
    assert settle_bounces(press.sessions, press.clock()) == 0
    with press.sessions() as session:
        assert session.execute(select(BounceEvent.settled_at)).scalar_one() is not None


# --- Times, channels, records ---------------------------------------------------------------


def test_the_reported_time_is_clamped_between_our_sending_and_now(
    press: Press, sent: Delivery
) -> None:
    press.clock.forward(hours=2)
    for number, date in enumerate(
        ("Mon, 01 Jan 1990 00:00:00 +0000", "Fri, 01 Jan 2100 00:00:00 +0000", "never")
    ):
        take(press, dsn(refused(status="5.2.2", reply=""), to=path_of(press, sent), date=date, message_id=f"<{number}@x>"))  # fmt: skip
    with press.sessions() as session:
        times = session.execute(select(BounceEvent.occurred_at).order_by(BounceEvent.id)).scalars()
        assert list(times) == [sent.created_at, press.clock(), press.clock()]


def test_an_unreadable_mail_is_reported_and_changes_nothing(press: Press, sent: Delivery) -> None:
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
    total = fetch_bounce_mailbox(press.sessions, settings, press.clock)
    assert (total.mails, total.unreadable, total.suppressed) == (3, 1, 1)
    assert dict(total.outcomes) == {"recorded": 1, "unattributed": 1}
    assert fetch_bounce_mailbox(press.sessions, settings, press.clock).mails == 0
    assert fetch_bounce_mailbox(press.sessions, press.settings, press.clock).mails == 0


@pytest.mark.parametrize("lmtp", [False, True])
def test_a_listener_records_only_mails_to_our_return_paths(
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


def test_bounces_are_counted_and_exported(press: Press, sent: Delivery) -> None:
    take(press, dsn(to=path_of(press, sent)))
    with press.sessions() as session:
        hour_ago = press.clock() - timedelta(hours=1)
        assert count_verdicts(session, hour_ago) == {V.ADDRESS: 1}
        assert count_verdicts(session, press.clock() + timedelta(hours=1)) == {}
        exported = export_subscriber(session, subscriber_of(press))
    assert [event["code"] for event in exported["bounce_events"]] == ["5.1.1"]
