"""Sending: which subscribers get a mail, which must not, and how rows change."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update
from support.newsletter.press import ACCEPTED, LATER, InterruptedRenderer, PlannedTransport, Press
from support.smtp.smtp_sink import SmtpSink

from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.deliveries import insert_mail
from service.deliveries.store.models import Delivery
from service.editions.domain.states import EditionState
from service.messages.mime.mime import Envelope
from service.platform.settings.settings import Settings
from service.sending.deliver import deliver, sweep
from service.sending.domain.retries import RETRY_MINUTES
from service.sending.domain.smtp_replies import ReplyKind
from service.sending.report import DeliverReport
from service.subscribers.lifecycle import erase, pause, suppress_address, unsubscribe
from service.subscribers.store.models import Subscriber

ANNE, BERT, CLEO = "anne@example.org", "bert@example.org", "cleo@example.org"


def test_each_subscriber_gets_one_digest_over_real_smtp(press: Press, smtp_sink: SmtpSink) -> None:
    press.add_subscribers(ANNE, BERT, CLEO)
    press.add_papers(1, 2, 3)
    edition_id = press.publish()
    sender = press.sender()
    assert deliver(sender, edition_id) == DeliverReport(sent=3)
    assert deliver(sender, edition_id) == DeliverReport()
    sender.transport.close()
    assert sorted(smtp_sink.recipients()) == [ANNE, BERT, CLEO]
    row = press.rows()[0]
    assert (row.last_reply, row.attempt, row.lease_owner) == ("250 2.0.0 OK", 1, None)
    assert [
        mail.message["Message-ID"] for mail in smtp_sink.messages if ANNE in mail.envelope.rcpt_tos
    ] == [press.message_id(row)]
    assert press.balance(edition_id).closes
    assert press.edition(edition_id).state is EditionState.CLOSED


def test_the_report_grows_after_each_window(press: Press) -> None:
    press.add_subscribers(*(f"reader{n}@example.org" for n in range(7)))
    press.add_papers(1)
    press.publish()
    totals: list[int] = []
    transport = PlannedTransport()
    report = deliver(press.sender(transport, send_window=3), None, lambda r: totals.append(r.total))
    assert (report, totals) == (DeliverReport(sent=7), [3, 6, 7])
    assert len(set(transport.recipients)) == 7


def test_a_digest_waits_for_its_subscribers_hour(press: Press) -> None:
    press.add_subscribers(ANNE, hour=7)
    press.add_papers(1)
    edition_id = press.publish()
    with press.sessions.begin() as session:
        session.execute(update(Delivery).values(due_at=press.clock() + timedelta(hours=2)))
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).total == 0
    assert press.edition(edition_id).state is EditionState.FROZEN
    press.clock.forward(hours=2)
    assert deliver(press.sender(transport)).sent == 1


def test_only_the_requested_edition_is_sent(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_subscribers(BERT, cadence=Cadence.WEEKDAYS)
    press.add_papers(1)
    daily = press.publish()
    weekdays = press.publish(cadence=Cadence.WEEKDAYS)
    transport = PlannedTransport()
    assert deliver(press.sender(transport), weekdays).sent == 1
    assert transport.recipients == [BERT]
    assert press.states(daily) == {"queued": 1}


def unsubscribe_subscriber(press: Press, subscriber_id: int) -> None:
    with press.sessions.begin() as session:
        unsubscribe(session, subscriber_id, "/unsubscribe", press.clock())


def pause_subscriber(press: Press, subscriber_id: int) -> None:
    with press.sessions.begin() as session:
        pause(session.get_one(Subscriber, subscriber_id), None, press.clock())


def suppress_subscriber(press: Press, _subscriber_id: int) -> None:
    with press.sessions.begin() as session:
        suppress_address(session, ANNE, press.settings.secret_key, "asked", press.clock())


def suppress_hash_alone(press: Press, subscriber_id: int) -> None:
    suppress_subscriber(press, subscriber_id)
    press.change(subscriber_id, state=SubscriberState.ACTIVE)


def erase_subscriber(press: Press, subscriber_id: int) -> None:
    with press.sessions.begin() as session:
        subscriber = session.get_one(Subscriber, subscriber_id)
        erase(session, subscriber, press.settings.secret_key, press.clock())


def oversleep(press: Press, _subscriber_id: int) -> None:
    press.clock.forward(hours=press.settings.send_not_after_hours)


Change = Callable[[Press, int], None]

CHANGES: list[tuple[Change, str]] = [
    (unsubscribe_subscriber, "unsubscribed"),
    (pause_subscriber, "paused"),
    (suppress_subscriber, "suppressed"),
    (suppress_hash_alone, "suppressed"),
    (erase_subscriber, "erased"),
    (oversleep, "late"),
]


@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_a_subscriber_who_left_after_the_freeze_is_skipped_with_the_reason(
    press: Press, change: Change, reason: str
) -> None:
    anne, _bert = press.add_subscribers(ANNE, BERT)
    press.add_papers(1)
    edition_id = press.publish()
    change(press, anne)
    transport = PlannedTransport()
    report = deliver(press.sender(transport))
    if reason == "late":
        assert (report.skipped, transport.recipients) == (2, [])
    else:
        assert (report, transport.recipients) == (DeliverReport(sent=1, skipped=1), [BERT])
    assert press.states(edition_id)[f"skipped: {reason}"] == report.skipped
    assert press.balance(edition_id).closes
    assert press.edition(edition_id).state is EditionState.CLOSED


@pytest.mark.parametrize(("change", "reason"), CHANGES)
def test_a_subscriber_who_leaves_between_claim_and_flight_gets_no_mail(
    press: Press, change: Change, reason: str
) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1)
    edition_id = press.publish()
    transport = PlannedTransport()

    def leave() -> None:
        assert press.states(edition_id) == {"claimed": 1}
        change(press, anne)

    sender = replace(press.sender(transport), renderer=InterruptedRenderer(leave))
    assert deliver(sender) == DeliverReport(skipped=1)
    assert transport.sent == []
    assert press.states(edition_id) == {f"skipped: {reason}": 1}


def test_a_message_that_cannot_be_built_fails_alone(press: Press) -> None:
    press.add_subscribers(ANNE, BERT, CLEO)
    press.add_papers(1)
    edition_id = press.publish()
    with press.sessions.begin() as session:
        # An address that no form accepts and that is invalid in a header.
        session.execute(
            update(Subscriber).where(Subscriber.email == BERT).values(email="b..rt@example.org")
        )
    transport = PlannedTransport()
    assert deliver(press.sender(transport)) == DeliverReport(sent=2, failed=1)
    assert transport.recipients == [ANNE, CLEO]
    failed = press.rows()[1]
    assert failed.state is DeliveryState.FAILED
    assert failed.reason.startswith("render: the To address")
    assert "b..rt" not in failed.reason
    assert press.states(edition_id) == {"sent": 2, "failed": 1}
    assert press.balance(edition_id).closes


def test_a_row_reclaimed_while_it_was_built_is_not_failed_by_its_old_owner(press: Press) -> None:
    press.add_subscribers("an..ne@example.org")
    press.add_papers(1)
    edition_id = press.publish()

    def lose_the_row() -> None:
        with press.sessions.begin() as session:
            session.execute(update(Delivery).values(state=DeliveryState.SKIPPED, reason="late"))

    sender = replace(press.sender(PlannedTransport()), renderer=InterruptedRenderer(lose_the_row))
    assert deliver(sender) == DeliverReport()
    assert press.states(edition_id) == {"skipped: late": 1}


def test_a_worker_that_slept_past_its_lease_sends_nothing(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    edition_id = press.publish()
    slow, quick = PlannedTransport(), PlannedTransport()

    def sleep() -> None:
        press.clock.forward(seconds=press.settings.lease_seconds + 1)
        assert sweep(press.sessions, press.clock()) == (1, 0)
        assert deliver(press.sender(quick)).sent == 1

    sender = replace(press.sender(slow), renderer=InterruptedRenderer(sleep))
    assert deliver(sender) == DeliverReport()
    assert (slow.sent, quick.recipients) == ([], [ANNE])
    row = press.row()
    assert (row.state, row.attempt) == (DeliveryState.SENT, 2)
    assert press.states(edition_id) == {"sent": 1}


def test_a_row_whose_lease_ended_while_it_was_built_is_not_sent_even_without_a_sweep(
    press: Press,
) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    edition_id = press.publish()
    transport = PlannedTransport()

    def sleep() -> None:
        press.clock.forward(seconds=press.settings.lease_seconds + 1)

    assert deliver(replace(press.sender(transport), renderer=InterruptedRenderer(sleep))).total == 0
    assert (transport.sent, press.states(edition_id)) == ([], {"claimed": 1})
    assert sweep(press.sessions, press.clock()) == (1, 0)
    assert deliver(press.sender(transport)).sent == 1


def test_a_row_is_committed_as_in_flight_before_anything_is_sent(press: Press) -> None:
    press.add_subscribers(ANNE, BERT)
    press.add_papers(1)
    edition_id = press.publish()
    seen: list[dict[str, int]] = []
    transport = PlannedTransport(meanwhile=lambda: seen.append(dict(press.states(edition_id))))
    deliver(press.sender(transport))
    assert seen == [{"in_flight": 2}]
    assert press.rows()[0].message_id
    assert press.history(press.rows()[0].id) == [(1, DeliveryState.SENT)]


def test_two_senders_at_once_share_the_rows(press: Press) -> None:
    press.add_subscribers(*(f"reader{n:02}@example.org" for n in range(20)))
    press.add_papers(1)
    edition_id = press.publish()
    second = PlannedTransport()
    reports: list[DeliverReport] = []

    def send_at_once() -> None:
        if not reports:
            reports.append(DeliverReport())
            reports.append(deliver(press.sender(second, send_window=4)))

    first = PlannedTransport(meanwhile=send_at_once)
    report = deliver(press.sender(first, send_window=4))
    assert report.sent + reports[1].sent == 20
    assert len({*first.recipients, *second.recipients}) == 20
    assert (len(first.sent), len(second.sent)) == (4, 16)
    assert press.states(edition_id) == {"sent": 20}


def test_an_edition_closes_with_its_last_row_and_not_before(press: Press) -> None:
    press.add_subscribers(ANNE, BERT)
    press.add_papers(1)
    edition_id = press.publish()
    plan = {ANNE: ACCEPTED, BERT: LATER}
    transport = PlannedTransport(lambda e: plan[e.recipient])
    deliver(press.sender(transport))
    assert press.edition(edition_id).state is EditionState.FROZEN
    assert press.balance(edition_id).closes
    plan[BERT] = ACCEPTED
    press.clock.forward(minutes=RETRY_MINUTES[ReplyKind.GREYLISTED][0] * 1.2)
    deliver(press.sender(transport))
    edition = press.edition(edition_id)
    assert (edition.state, edition.closed_at) == (EditionState.CLOSED, press.clock())


def queue_mail(press: Press, kind: DeliveryKind, subscriber_id: int) -> None:
    with press.sessions.begin() as session:
        until = press.clock() + timedelta(hours=24)
        assert insert_mail(session, kind, subscriber_id, "1", press.clock(), until)
        assert insert_mail(session, kind, subscriber_id, "1", press.clock(), until) is None


@pytest.mark.parametrize(
    ("state", "report"),
    [
        (SubscriberState.PENDING, DeliverReport(sent=1)),
        # Who left may have signed up again.
        (SubscriberState.UNSUBSCRIBED, DeliverReport(sent=1)),
        (SubscriberState.PAUSED, DeliverReport(skipped=1)),
        (SubscriberState.ACTIVE, DeliverReport(skipped=1)),
        (SubscriberState.SUPPRESSED, DeliverReport(skipped=1)),
    ],
)
def test_a_confirmation_goes_only_to_subscribers_who_wait_for_it(
    press: Press, state: SubscriberState, report: DeliverReport
) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.change(anne, state=state)
    queue_mail(press, DeliveryKind.CONFIRMATION, anne)
    assert deliver(press.sender(PlannedTransport())) == report


@pytest.mark.parametrize("kind", [DeliveryKind.WELCOME, DeliveryKind.PERSONAL_LINK])
def test_other_mails_go_to_active_subscribers_once(press: Press, kind: DeliveryKind) -> None:
    anne, bert = press.add_subscribers(ANNE, BERT)
    for subscriber_id in (anne, bert):
        queue_mail(press, kind, subscriber_id)
    press.change(bert, state=SubscriberState.UNSUBSCRIBED)
    transport = PlannedTransport()
    assert deliver(press.sender(transport)) == DeliverReport(sent=1, skipped=1)
    assert deliver(press.sender(transport)).total == 0
    assert transport.recipients == [ANNE]


def test_a_sender_name_outside_ascii_still_sends(
    press: Press, smtp_sink: SmtpSink, settings: Settings
) -> None:
    press.settings = settings.model_copy(
        update={"mail_from": "Bücher <post@münchen.example>", "bounce_domain": ""}
    )
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    sender = press.sender()
    assert deliver(sender).sent == 1
    sender.transport.close()
    assert [mail.envelope.mail_from for mail in smtp_sink.messages] == [
        "post@xn--mnchen-3ya.example"
    ]


def test_an_envelope_carries_the_bare_address_of_a_plain_sender(
    press: Press, settings: Settings
) -> None:
    press.settings = settings.model_copy(
        update={"mail_from": "post@paperboy.example", "bounce_domain": ""}
    )
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (sent,) = transport.sent
    assert isinstance(sent, Envelope)
    assert (sent.sender, sent.number) == ("post@paperboy.example", press.row().id)


def test_a_workers_next_run_continues_from_its_place_and_ends_with_rows_behind_it(
    press: Press,
) -> None:
    subscribers = [f"reader{n}@example.org" for n in range(4)]
    press.add_subscribers(*subscribers)
    press.add_papers(1)
    edition_id = press.publish()
    transport = PlannedTransport()
    place = press.rows()[1]
    places = {edition_id: (place.due_at, place.id)}
    assert deliver(replace(press.sender(transport), places=places)).sent == 4
    assert transport.recipients == [*subscribers[2:], *subscribers[:2]]
    assert places == {}
