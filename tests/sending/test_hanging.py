"""Sending while messages hang: a run goes on, ends without them, and the process records them later."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, text
from support.newsletter.press import OUR_LOCKS, Press
from support.smtp.holding import Hold, first
from support.smtp.scripted_smtp import ScriptedSmtp
from support.smtp.smtp_sink import wait_until

from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.models import Delivery
from service.editions.domain.states import EditionState
from service.platform.settings.relays import SmtpRelay
from service.sending.deliver import deliver, deliver_for, resolve, sweep
from service.sending.pause_switch import pause_sending, resume_sending
from service.sending.report import DeliverReport
from service.sending.send_loop import run_sender
from service.sending.sender import Sender, SendRequest
from service.sending.smtp.limits import SmtpLimits
from service.sending.smtp.transport import SmtpTransport

Make = Callable[..., SmtpTransport]
A_MINUTE = timedelta(minutes=1)


def publish(press: Press, count: int) -> int:
    press.add_subscribers(*(f"reader{n:03}@example.org" for n in range(count)))
    press.add_papers(1)
    return press.publish()


@pytest.fixture
def make_sender(press: Press, relay: ScriptedSmtp, make_transport: Make) -> Callable[..., Sender]:
    """Return a sender with one connection, a window of two, and little patience."""

    def make(*relays: ScriptedSmtp, most_hanging: int = 100) -> Sender:
        limits = SmtpLimits(hanging_seconds=0.2, most_hanging=most_hanging)
        places = [SmtpRelay("127.0.0.1", one.port, starttls="off") for one in relays or (relay,)]
        transport = make_transport(*places, connections=1, limits=limits)
        return press.sender(transport, send_window=2)

    return make


def run_once(sender: Sender) -> DeliverReport:
    """Run as a worker does, without the thread that reads late replies afterwards."""
    return run_sender(SendRequest(sender, leaves_hanging=True), lambda _: None)


def recipients(relay: ScriptedSmtp) -> list[str]:
    return sorted(mail.recipient for mail in relay.taken)


def everyone(count: int) -> list[str]:
    return [f"reader{n:03}@example.org" for n in range(count)]


def await_reply(sender: Sender) -> None:
    """Wait until the relay's replies have arrived; they are not recorded yet."""
    wait_until(lambda: bool(sender.on_wire.landed) or run_transport(sender))


def run_transport(sender: Sender) -> bool:
    sender.on_wire.landed |= sender.transport.run_until(0.05)
    return not sender.transport.hanging


@pytest.mark.parametrize("verb", ["MAIL", "DATA", "DOT"])
def test_more_hanging_messages_than_the_window_stop_no_other_and_the_next_run_records_them(
    press: Press, relay: ScriptedSmtp, make_sender: Callable[..., Sender], verb: str
) -> None:
    edition_id = publish(press, 12)
    relay.answers[verb] = hold = first(5)
    sender = make_sender()
    with hold:
        assert run_once(sender) == DeliverReport(sent=7)
        assert press.states(edition_id) == {"sent": 7, "in_flight": 5}
        assert sweep(press.sessions, press.clock()) == (0, 0)
        # A run that finds nothing due leaves them alone as well.
        assert run_once(sender) == DeliverReport()
        assert press.balance(edition_id).closes
        assert press.edition(edition_id).state is EditionState.FROZEN
    await_reply(sender)
    while press.states(edition_id)["in_flight"]:
        run_once(sender)
    assert press.states(edition_id) == {"sent": 12}
    assert recipients(relay) == everyone(12)
    sweep(press.sessions, press.clock())
    assert press.edition(edition_id).state is EditionState.CLOSED
    assert count_locks(press) == 0


def count_locks(press: Press) -> int:
    with press.sessions() as session:
        return int(session.execute(text("SELECT count(*)" + OUR_LOCKS)).scalar_one())


def test_a_late_reply_is_recorded_without_another_run(
    press: Press, relay: ScriptedSmtp, make_sender: Callable[..., Sender]
) -> None:
    edition_id = publish(press, 3)
    relay.answers["DOT"] = hold = first(1)
    with hold:
        assert deliver_for(make_sender(), A_MINUTE).sent == 2
        assert press.states(edition_id) == {"sent": 2, "in_flight": 1}
    wait_until(lambda: press.states(edition_id) == {"sent": 3})
    wait_until(lambda: press.edition(edition_id).state is EditionState.CLOSED)


def test_a_command_waits_for_messages_that_hang_and_says_how_many(
    press: Press, relay: ScriptedSmtp, make_sender: Callable[..., Sender]
) -> None:
    edition_id = publish(press, 5)
    relay.answers["DOT"] = hold = first(2)
    noted: list[tuple[int, dict[str, int]]] = []

    def note(count: int) -> None:
        noted.append((count, dict(press.states(edition_id))))
        hold.released.set()

    with hold:
        assert deliver(make_sender(), on_hanging=note) == DeliverReport(sent=5)
    assert noted == [(2, {"sent": 3, "in_flight": 2})]


def test_a_pause_leaves_hanging_messages_to_their_outcome(
    press: Press, relay: ScriptedSmtp, make_sender: Callable[..., Sender]
) -> None:
    edition_id = publish(press, 4)
    relay.answers["DOT"] = hold = first(1)
    sender = make_sender()
    with hold:
        run_once(sender)
        pause_sending(press.sessions, "operator", press.clock())
        assert run_once(sender) == DeliverReport()
        assert sweep(press.sessions, press.clock()) == (0, 0)
        assert press.states(edition_id) == {"sent": 3, "in_flight": 1}
    await_reply(sender)
    assert run_once(sender) == DeliverReport(sent=1)
    resume_sending(press.sessions, "operator", press.clock())
    assert press.states(edition_id) == {"sent": 4}


def test_an_error_treats_hanging_messages_like_all_on_the_wire(
    press: Press, relay: ScriptedSmtp, make_sender: Callable[..., Sender]
) -> None:
    edition_id = publish(press, 4)
    relay.answers["DOT"] = hold = first(1)

    def interrupt(_count: int) -> None:
        raise KeyboardInterrupt

    with hold, pytest.raises(KeyboardInterrupt):
        deliver(make_sender(), on_hanging=interrupt)
    assert press.states(edition_id) == {"sent": 3, "in_doubt": 1}


def cut_lock(press: Press) -> None:
    """End the connection that holds the sender's lock, as a network does."""
    with press.sessions() as session:
        session.execute(text("SELECT pg_terminate_backend(pid)" + OUR_LOCKS))
    wait_until(lambda: count_locks(press) == 0)


def test_a_process_that_lost_its_lock_takes_it_again_and_settles_the_doubt(
    press: Press, relay: ScriptedSmtp, make_sender: Callable[..., Sender]
) -> None:
    edition_id = publish(press, 3)
    relay.answers["DOT"] = hold = first(2)
    sender = make_sender()
    with hold:
        run_once(sender)
        cut_lock(press)
        run_once(sender)
        assert sweep(press.sessions, press.clock()) == (0, 0)
        cut_lock(press)
        assert sweep(press.sessions, press.clock()) == (0, 2)
    await_reply(sender)
    while press.states(edition_id)["in_doubt"]:
        run_once(sender)
    assert press.states(edition_id) == {"sent": 3}


def test_a_message_that_is_to_be_sent_again_waits_for_the_outcome_of_its_first_copy(
    press: Press, relay: ScriptedSmtp, make_sender: Callable[..., Sender]
) -> None:
    edition_id = publish(press, 2)
    relay.answers["DOT"] = hold = first(1)
    sender = make_sender()
    with hold:
        run_once(sender)
        cut_lock(press)
        sweep(press.sessions, press.clock())
        assert resolve(press.sessions, edition_id, "resend", press.clock()) == 1
        run_once(sender)
        assert press.states(edition_id) == {"sent": 1, "claimed": 1}
    await_reply(sender)
    # The outcome of the first copy says nothing of the second, which the operator asked for.
    run_once(sender)
    assert press.states(edition_id) == {"sent": 1, "claimed": 1}
    assert sweep(press.sessions, press.clock()) == (1, 0)
    assert run_once(sender).sent == 1
    assert len(relay.taken) == 3


@pytest.mark.settings(alert_to="operator@example.org")
def test_one_too_many_pauses_the_relay_and_the_operator_gets_one_alert(
    press: Press, relay: ScriptedSmtp, make_sender: Callable[..., Sender]
) -> None:
    edition_id = publish(press, 9)
    relay.answers["DOT"] = hold = Hold(lambda number: number < 3)
    sender = make_sender(most_hanging=2)

    def alerts() -> list[Delivery]:
        chosen = select(Delivery).where(Delivery.kind == DeliveryKind.OPERATOR_ALERT)
        with press.sessions() as session:
            return list(session.scalars(chosen))

    with hold:
        run_once(sender)
        states = press.states(edition_id)
        # What was behind them on the wire waits two minutes, and nothing else is claimed.
        assert states["in_flight"] == 3
        assert states["queued"] == 6
        run_once(sender)
        (alert,) = alerts()
        assert alert.state is DeliveryState.QUEUED
        assert alert.occasion.startswith(f"hanging 127.0.0.1:{relay.port} ")
        assert "3 messages" in str(alert.alert)
        assert len(relay.taken) == 3
    await_reply(sender)
    press.clock.forward(minutes=10)
    while press.states(edition_id) != {"sent": 9}:
        run_once(sender)
    assert [row.state for row in alerts()] == [DeliveryState.SENT]
    assert sorted({mail.recipient for mail in relay.taken} - {"operator@example.org"}) == everyone(
        9
    )


def test_a_worker_that_ends_sends_what_is_on_the_wire_and_nothing_else(
    press: Press, relay: ScriptedSmtp, make_sender: Callable[..., Sender]
) -> None:
    edition_id = publish(press, 20)
    sender = make_sender()
    deliver_for(sender, A_MINUTE, partial(has_taken, relay, 4))
    states = press.states(edition_id)
    assert states["sent"] == len(relay.taken) < 10
    assert states == {"sent": len(relay.taken), "queued": 20 - len(relay.taken)}


def has_taken(relay: ScriptedSmtp, count: int) -> bool:
    return len(relay.taken) >= count


def test_the_whole_window_is_free_again_once_its_messages_hang(
    press: Press, relay: ScriptedSmtp, make_sender: Callable[..., Sender]
) -> None:
    """What one dead process may leave in doubt: its window, and what hangs."""
    edition_id = publish(press, 8)
    relay.answers["DOT"] = hold = Hold(lambda number: number != 4)
    sender = make_sender()
    seen: list[Any] = []
    with hold:
        report = run_sender(
            SendRequest(sender, leaves_hanging=True),
            lambda _: seen.append(press.states(edition_id)),
        )
        assert report.sent == 1
        assert press.states(edition_id) == {"sent": 1, "in_flight": 7}
        assert len(relay.taken) == 8
    wait_until(partial(run_transport, sender))
