"""Sending: the effect of each reply of the relay on the row, the subscriber and the next try."""

from datetime import timedelta

from support.newsletter.press import (
    ACCEPTED,
    LATER,
    NOBODY,
    SILENCE,
    PlannedTransport,
    Press,
    dump_tables,
)
from support.smtp.smtp_sink import DROP, SmtpSink
from support.web.papers import FRIDAY

from service.deliveries.domain.recipients import SubscriberState, SuppressionReason
from service.deliveries.domain.states import Phase, SendOutcome
from service.sending.deliver import deliver, sweep
from service.sending.domain.retries import JITTER, RETRY_MINUTES
from service.sending.domain.smtp_replies import ReplyKind
from service.sending.report import DeliverReport
from service.subscribers.lifecycle import erase
from service.subscribers.store.subscribers import get_subscriber
from service.subscribers.store.suppressions import find_reason

ANNE, BERT = "anne@example.org", "bert@example.org"


def test_a_temporary_refusal_is_retried_after_its_wait(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    edition_id = press.publish()
    transport = PlannedTransport(lambda _: LATER)
    waits = []
    owed = RETRY_MINUTES[ReplyKind.GREYLISTED]
    for _ in range(len(owed) + 1):
        assert deliver(press.sender(transport)) == DeliverReport(retried=1)
        row = press.row()
        waits.append((row.due_at - press.clock()) / timedelta(minutes=1))
        assert deliver(press.sender(transport)).total == 0
        press.clock.now = row.due_at
    for wait, minutes in zip(waits, [*owed, owed[-1]], strict=True):
        assert minutes <= wait <= minutes * (1 + JITTER)
    assert press.row().deferral_count == len(waits)
    assert press.row().last_reply == "451 4.7.1 greylisted"
    transport.plan = lambda _: ACCEPTED
    assert deliver(press.sender(transport)) == DeliverReport(sent=1)
    assert press.states(edition_id) == {"sent": 1}
    assert {mail.payload.split(b"Message-ID: ")[1][:60] for mail in transport.sent} == {
        transport.sent[0].payload.split(b"Message-ID: ")[1][:60]
    }


def test_a_mail_refused_all_day_is_not_sent_the_next_day(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    edition_id = press.publish()
    transport = PlannedTransport(lambda _: LATER)
    deliver(press.sender(transport))
    press.clock.forward(hours=press.settings.send_not_after_hours)
    assert deliver(press.sender(transport)) == DeliverReport(skipped=1)
    assert press.states(edition_id) == {"skipped: late": 1}
    assert press.balance(edition_id).closes


def reason_for(press: Press, email: str) -> SuppressionReason | None:
    with press.sessions() as session:
        return find_reason(session, email, press.settings.secret_key)


def state_of(press: Press, subscriber_id: int) -> SubscriberState:
    with press.sessions() as session:
        subscriber = get_subscriber(session, subscriber_id)
        assert subscriber is not None
        return subscriber.state


def test_an_address_that_does_not_exist_is_suppressed(press: Press) -> None:
    anne, bert = press.add_subscribers(ANNE, BERT)
    press.add_papers(1)
    edition_id = press.publish()
    plan = {ANNE: NOBODY, BERT: ACCEPTED}
    report = deliver(press.sender(PlannedTransport(lambda e: plan[e.recipient])))
    assert report == DeliverReport(sent=1, failed=1)
    assert press.states(edition_id) == {"sent": 1, "failed": 1}
    assert press.rows()[0].reason == "550 5.1.1 no such mailbox"
    assert reason_for(press, ANNE) is SuppressionReason.HARD_BOUNCE
    assert reason_for(press, BERT) is None
    assert state_of(press, anne) is SubscriberState.SUPPRESSED
    assert state_of(press, bert) is SubscriberState.ACTIVE


def test_a_policy_refusal_is_retried_and_suppresses_nobody(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1)
    edition_id = press.publish()
    transport = PlannedTransport(lambda _: SendOutcome(Phase.REPLIED, 550, "5.7.1 policy"))
    for _ in range(2):
        assert deliver(press.sender(transport)) == DeliverReport(retried=1)
        press.clock.now = press.row().due_at
    assert deliver(press.sender(transport)) == DeliverReport(failed=1)
    assert press.row().reason == "policy: 550 5.7.1 policy"
    assert reason_for(press, ANNE) is None
    assert state_of(press, anne) is SubscriberState.ACTIVE
    assert press.states(edition_id) == {"failed": 1}


def test_a_refusal_without_a_code_fails_and_suppresses_nobody(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1)
    edition_id = press.publish()
    refusal = SendOutcome(Phase.REPLIED, 550, "no code at all")
    assert deliver(press.sender(PlannedTransport(lambda _: refusal))) == DeliverReport(failed=1)
    assert reason_for(press, ANNE) is None
    assert state_of(press, anne) is SubscriberState.ACTIVE
    assert press.states(edition_id) == {"failed": 1}


def test_a_mail_whose_next_try_is_too_late_fails_at_once_and_its_papers_come(press: Press) -> None:
    press.add_subscribers(ANNE)
    (paper_id,) = press.add_papers(1).values()
    edition_id = press.publish()
    press.clock.now = press.row().send_not_after - timedelta(minutes=10)
    transport = PlannedTransport(lambda _: LATER)
    assert deliver(press.sender(transport)) == DeliverReport(failed=1)
    assert press.row().reason == "late: 451 4.7.1 greylisted"
    assert press.balance(edition_id).closes
    press.add_papers(2, on=FRIDAY + timedelta(days=1))
    following = press.publish(FRIDAY + timedelta(days=1))
    assert paper_id in press.row(following).paper_ids


def test_without_any_relay_no_digest_is_lost(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    edition_id = press.publish()
    away = SendOutcome(Phase.CONNECT, 535, "5.7.8 wrong password")
    assert deliver(press.sender(PlannedTransport(lambda _: away))) == DeliverReport(retried=1)
    assert press.states(edition_id) == {"queued": 1}


def test_a_message_without_a_reply_after_the_final_dot_is_never_sent_again(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    edition_id = press.publish()
    transport = PlannedTransport(lambda _: SILENCE)
    assert deliver(press.sender(transport)) == DeliverReport(in_doubt=1)
    for _ in range(3):
        press.clock.forward(hours=1)
        assert sweep(press.sessions, press.clock()) == (0, 0)
        assert deliver(press.sender(transport)).total == 0
    assert len(transport.sent) == 1
    assert press.states(edition_id) == {"in_doubt": 1}
    assert press.balance(edition_id).closes


def test_a_connection_dropped_after_the_final_dot_is_never_sent_again(
    press: Press, smtp_sink: SmtpSink
) -> None:
    press.add_subscribers(ANNE, BERT)
    press.add_papers(1)
    edition_id = press.publish()
    smtp_sink.on_data = lambda address: DROP if address == ANNE else None
    sender = press.sender()
    assert deliver(sender) == DeliverReport(sent=1, in_doubt=1)
    sweep(press.sessions, press.clock.forward(hours=1))
    assert deliver(sender).total == 0
    sender.transport.close()
    assert [mail.envelope.rcpt_tos for mail in smtp_sink.seen].count([ANNE]) == 1
    assert press.states(edition_id) == {"sent": 1, "in_doubt": 1}


def test_a_reply_with_a_nul_character_is_recorded(press: Press, smtp_sink: SmtpSink) -> None:
    press.add_subscribers(ANNE, BERT)
    press.add_papers(1)
    edition_id = press.publish()
    smtp_sink.on_rcpt = lambda address: "550 5.1.1 no\x00body" if address == ANNE else None
    sender = press.sender()
    assert deliver(sender) == DeliverReport(sent=1, failed=1)
    sender.transport.close()
    assert press.states(edition_id) == {"sent": 1, "failed": 1}
    assert {row.last_reply for row in press.rows()} >= {"550 5.1.1 no body"}


def test_a_reply_about_a_subscriber_erased_meanwhile_is_not_stored(press: Press) -> None:
    (subscriber_id,) = press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()

    def forget() -> None:
        with press.sessions.begin() as session:
            subscriber = get_subscriber(session, subscriber_id)
            assert subscriber is not None
            erase(session, subscriber, press.settings.secret_key, press.clock())

    refusal = SendOutcome(Phase.RCPT, 550, f"5.1.1 <{ANNE}> is unknown")
    deliver(press.sender(PlannedTransport(lambda _: refusal, meanwhile=forget)))
    row = press.row()
    assert row.subscriber_id is None
    assert (row.state, row.reason) == ("failed", "the reader was erased")
    assert ANNE not in str(dump_tables(press.sessions))
