"""Sending under provider limits: slowed down, paused, probed, and no row is left behind."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from support.newsletter.press import ACCEPTED, NOBODY, PlannedTransport, Press, dump_tables
from support.newsletter.stored import count_lanes
from support.smtp.smtp_sink import wait_until
from support.web.papers import FRIDAY

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryKind, DeliveryState, Phase, SendOutcome
from service.deliveries.store.models import Delivery
from service.messages.mime.mime import Envelope
from service.sending.deliver import deliver, sweep
from service.sending.domain.provider_limits import (
    BURST,
    LOOKS_BACK,
    OPENS_AT,
    PROBE_MINUTES,
    START_RATE,
    BreakerState,
    ProviderLimitView,
)
from service.sending.domain.providers import provider_of
from service.sending.report import DeliverReport
from service.sending.smtp.relay_pool import RelayError
from service.sending.store.provider_limits import find_limits
from service.subscribers.lifecycle import erase, unsubscribe
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_subscriber

TOO_FAST = SendOutcome(Phase.RCPT, 421, "4.7.28 unusual rate of mail from you to <{}>")
NO_POLICY = SendOutcome(Phase.REPLIED, 550, "5.7.26 unauthenticated mail is not accepted")
PROBE = timedelta(minutes=PROBE_MINUTES[0])
AT_ONCE = int(START_RATE * (BURST / timedelta(seconds=1)))


pytestmark = pytest.mark.settings(alert_to="operator@paperboy.example")


def of(provider: str, count: int) -> list[str]:
    return [f"reader{number}@{provider}" for number in range(count)]


def begin(press: Press, *emails: str) -> int:
    press.add_subscribers(*emails)
    press.add_papers(1)
    return press.publish()


def answering(
    gmail: SendOutcome, others: SendOutcome = ACCEPTED
) -> Callable[[Envelope], SendOutcome]:
    return lambda e: gmail if provider_of(e.recipient) == "gmail" else others


def pace_of(press: Press, provider: str = "gmail") -> ProviderLimitView | None:
    with press.sessions() as session:
        return find_limits(session).get(provider)


def limited(press: Press) -> dict[str, int]:
    with press.sessions() as session:
        return count_lanes(session)


def alerts(press: Press) -> list[str]:
    with press.sessions() as session:
        rows = session.execute(
            select(Delivery.alert)
            .where(Delivery.kind == DeliveryKind.OPERATOR_ALERT)
            .order_by(Delivery.id)
        ).scalars()
        return [row["subject"] for row in rows if row]


def digests(transport: PlannedTransport) -> Counter[str]:
    return Counter(provider_of(message.recipient) for message in transport.sent)


def open_breaker(press: Press, count: int = 30) -> tuple[int, PlannedTransport]:
    """Send an edition to `count` subscribers at Gmail, which refuses us, and two elsewhere."""
    edition_id = begin(press, *of("gmail.com", count), *of("uni.example", 2))
    transport = PlannedTransport(answering(NO_POLICY))
    deliver(press.sender(transport, send_window=LOOKS_BACK))
    return edition_id, transport


def test_without_throttling_replies_there_is_no_limit(press: Press) -> None:
    begin(press, *of("gmail.com", 3), "nobody@uni.example")
    plan = answering(ACCEPTED, NOBODY)
    assert deliver(press.sender(PlannedTransport(plan))) == DeliverReport(sent=3, failed=1)
    assert pace_of(press) is None


def test_a_throttling_provider_gets_a_limit_and_the_others_do_not(press: Press) -> None:
    edition_id = begin(press, *of("gmail.com", 60), *of("uni.example", 5))
    transport = PlannedTransport(answering(TOO_FAST))
    deliver(press.sender(transport, send_window=10))
    limit_state = pace_of(press)
    assert limit_state is not None
    assert limit_state.rate == START_RATE
    # Rows in flight or claimed before the limit existed, and the burst that it allows.
    sent = digests(transport)
    assert sent["uni.example"] == 5
    assert 10 <= sent["gmail"] <= 20 + AT_ONCE
    waiting = limited(press)["gmail"]
    assert waiting == 60 - sent["gmail"]
    assert press.states(edition_id) == {"queued": 60, "sent": 5}
    # No more is sent at the same moment, by any sender.
    assert deliver(press.sender(transport)).total == 0
    # Then five waiting rows per second; refused rows wait for their own back-off.
    transport.plan = answering(ACCEPTED)
    press.clock.forward(seconds=10)
    assert deliver(press.sender(transport)) == DeliverReport(sent=min(AT_ONCE, waiting))


def test_waiting_rows_are_sent_at_the_limit_which_ends_when_it_recovered(press: Press) -> None:
    edition_id = begin(press, *of("gmail.com", 60))
    transport = PlannedTransport(answering(TOO_FAST))
    deliver(press.sender(transport, send_window=10))
    transport.plan = answering(ACCEPTED)
    for _ in range(60):
        press.clock.forward(minutes=1)
        deliver(press.sender(transport))
    assert press.states(edition_id) == {"sent": 60}
    assert limited(press) == {}
    # A rate that has recovered fully is no limit any more, and its row is deleted.
    with press.sessions.begin() as session:
        session.execute(text("UPDATE paces SET rate = 19.8, recent = 'a'"))
    press.add_subscribers("late@gmail.com")
    press.add_papers(2, on=FRIDAY + timedelta(days=1))
    press.publish(FRIDAY + timedelta(days=1))
    press.clock.forward(minutes=1)
    deliver(press.sender(transport))
    deliver(press.sender(transport))
    assert pace_of(press) is None
    assert max(Counter(message.number for message in transport.sent).values()) <= 2


def test_the_breaker_opens_and_no_row_fails_and_nobody_is_suppressed(press: Press) -> None:
    edition_id, transport = open_breaker(press)
    limit_state = pace_of(press)
    assert limit_state is not None
    assert (limit_state.breaker, limit_state.opened_at) == (BreakerState.OPEN, press.clock())
    assert press.states(edition_id) == {"queued": 30, "sent": 2}
    sent = digests(transport)
    assert sent["uni.example"] == 2
    assert OPENS_AT <= sent["gmail"] <= 2 * LOOKS_BACK
    assert limited(press) == {"gmail": 30 - sent["gmail"]}
    assert press.balance(edition_id).closes
    with press.sessions() as session:
        states = set(session.execute(select(Subscriber.state)).scalars())
    assert states == {SubscriberState.ACTIVE}
    assert alerts(press) == ["gmail refuses our mail"]


def test_one_probe_is_sent_after_half_an_hour_and_its_refusal_keeps_the_rest_waiting(
    press: Press,
) -> None:
    edition_id, transport = open_breaker(press)
    for minutes in PROBE_MINUTES:
        before = len(transport.sent)
        press.clock.forward(minutes=minutes, seconds=1)
        deliver(press.sender(transport))
        assert len(transport.sent) == before + 1, "one probe and not one more"
        assert deliver(press.sender(transport)).total == 0
    assert press.states(edition_id) == {"queued": 30, "sent": 2}
    assert alerts(press) == ["gmail refuses our mail"], "one alert for many probes"


def test_an_accepted_probe_releases_the_rest_slowly_and_alerts_the_operator(press: Press) -> None:
    edition_id, transport = open_breaker(press)
    transport.plan = answering(ACCEPTED)
    press.clock.forward(minutes=PROBE_MINUTES[0], seconds=1)
    deliver(press.sender(transport))
    limit_state = pace_of(press)
    assert limit_state is not None
    assert (limit_state.breaker, limit_state.rate) == (BreakerState.CLOSED, START_RATE)
    for _ in range(12):
        press.clock.forward(minutes=15)
        deliver(press.sender(transport))
    assert press.states(edition_id) == {"sent": 32}
    copies = Counter(mail.recipient for mail in transport.sent if "reader" in mail.recipient)
    assert len(copies) == 32
    # At most two tries: refused before the breaker opened, and accepted afterwards.
    assert max(copies.values()) <= 2
    assert alerts(press) == ["gmail refuses our mail", "gmail takes our mail again"]


def test_a_probe_whose_worker_died_is_repeated(press: Press) -> None:
    edition_id, transport = open_breaker(press)
    press.clock.forward(minutes=PROBE_MINUTES[0], seconds=1)
    dying = PlannedTransport(answering(ACCEPTED))

    def die() -> None:
        raise KeyboardInterrupt

    dying.meanwhile = die
    with pytest.raises(KeyboardInterrupt):
        deliver(press.sender(dying))
    # Over TCP the server learns a moment later that the sender's connection is gone.
    wait_until(lambda: sweep(press.sessions, press.clock()) == (0, 1))
    assert press.states(edition_id)["in_doubt"] == 1
    transport.plan = answering(ACCEPTED)
    assert deliver(press.sender(transport)).total == 0
    press.clock.forward(minutes=16)
    assert deliver(press.sender(transport)).sent >= 1


def test_a_row_that_waits_too_long_is_late_and_its_papers_come_in_the_next_edition(
    press: Press,
) -> None:
    edition_id, transport = open_breaker(press)
    (paper_id,) = set(press.rows(edition_id)[0].paper_ids)
    press.clock.forward(hours=press.settings.send_not_after_hours, seconds=1)
    before = len(transport.sent)
    deliver(press.sender(transport))
    assert press.states(edition_id) == {"skipped: late": 30, "sent": 2}
    assert len(transport.sent) == before
    assert press.balance(edition_id).closes
    press.add_papers(2, on=FRIDAY + timedelta(days=1))
    following = press.publish(FRIDAY + timedelta(days=1))
    brought = [row for row in press.rows(following) if paper_id in row.paper_ids]
    assert len(brought) == 30


def test_a_subscriber_who_leaves_while_waiting_is_not_mailed(press: Press) -> None:
    edition_id, transport = open_breaker(press)
    with press.sessions.begin() as session:
        for subscriber in session.execute(select(Subscriber)).scalars().all():
            if provider_of(subscriber.email) == "gmail":
                unsubscribe(session, subscriber.id, "test", press.clock())
    before = len(transport.sent)
    transport.plan = answering(ACCEPTED)
    for _ in range(4):
        press.clock.forward(minutes=40)
        deliver(press.sender(transport))
    assert len(transport.sent) == before
    assert press.states(edition_id)["sent"] == 2


def test_deleting_the_limit_releases_its_rows_at_once(press: Press) -> None:
    edition_id, transport = open_breaker(press)
    waiting = limited(press)["gmail"]
    with press.sessions.begin() as session:
        session.execute(text("DELETE FROM paces"))
    transport.plan = answering(ACCEPTED)
    assert sweep(press.sessions, press.clock()) == (waiting, 0)
    assert deliver(press.sender(transport)) == DeliverReport(sent=waiting)
    assert press.states(edition_id)["sent"] == 2 + waiting


def test_a_limit_keeps_no_address_of_an_erased_subscriber(press: Press) -> None:
    (subscriber_id,) = press.add_subscribers("anne@gmail.com")
    press.add_papers(1)
    press.publish()
    reply = SendOutcome(Phase.RCPT, 421, "4.7.0 slower, anne@gmail.com")
    deliver(press.sender(PlannedTransport(lambda _: reply)))
    with press.sessions.begin() as session:
        subscriber = get_subscriber(session, subscriber_id)
        assert subscriber is not None
        erase(session, subscriber, press.settings.secret_key, press.clock())
        session.execute(text("UPDATE deliveries SET last_reply = ''"))
        session.execute(text("DELETE FROM delivery_events"))
    assert pace_of(press) is not None
    assert "anne" not in str(dump_tables(press.sessions))


def test_two_workers_share_a_limit(press: Press) -> None:
    begin(press, *of("gmail.com", 90))
    transport = PlannedTransport(answering(TOO_FAST))
    deliver(press.sender(transport, send_window=10))
    transport.plan = answering(ACCEPTED)
    press.clock.forward(seconds=30)
    first, second = (press.sender(transport, send_window=8) for _ in range(2))
    assert deliver(first).sent + deliver(second).sent == AT_ONCE


def test_a_relay_error_alerts_once_a_day_and_counts_no_deferral(press: Press) -> None:
    edition_id = begin(press, "anne@uni.example")
    away = SendOutcome(Phase.CONNECT, 535, "5.7.8 wrong password")
    transport = PlannedTransport(lambda _: away)
    for _ in range(3):
        transport.troubles = [RelayError("relay.example:587", "535 5.7.8 wrong password")]
        assert deliver(press.sender(transport)).sent == 0
        press.clock.forward(minutes=5)
    assert alerts(press) == ["The relay relay.example:587 takes no mail"]
    (row,) = press.rows(edition_id)
    assert (row.state, row.deferral_count, row.attempt) == (DeliveryState.QUEUED, 0, 3)


def test_while_all_relays_rest_nothing_is_claimed(press: Press) -> None:
    edition_id = begin(press, "anne@uni.example")
    transport = PlannedTransport(is_unavailable=True)
    assert deliver(press.sender(transport)).total == 0
    assert (press.row(edition_id).attempt, transport.sent) == (0, [])
    transport.is_unavailable = False
    assert deliver(press.sender(transport)).sent == 1
