"""Messages that hang hold their connections and nothing else, over real SMTP."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest
from support.smtp.holding import Hold, first
from support.smtp.scripted_smtp import ScriptedSmtp
from support.smtp.smtp_sink import wait_until

from service.deliveries.domain.states import Phase, SendOutcome
from service.messages.mime.mime import Envelope
from service.platform.settings.relays import SmtpRelay
from service.sending.smtp.limits import SmtpLimits
from service.sending.smtp.transport import SmtpTransport

Make = Callable[..., SmtpTransport]

MESSAGE = b"Subject: papers\r\n\r\nthe end\r\n"
QUICK = SmtpLimits(hanging_seconds=0.2)


@pytest.fixture
def second_relay() -> Iterator[ScriptedSmtp]:
    relay = ScriptedSmtp()
    yield relay
    relay.stop()


def at(relay: ScriptedSmtp, **changes: Any) -> SmtpRelay:
    return replace(SmtpRelay("127.0.0.1", relay.port, starttls="off"), **changes)


def envelopes(count: int) -> list[Envelope]:
    sender = "digest@paperboy.example"
    return [
        Envelope(number, sender, f"reader{number}@example.org", MESSAGE)
        for number in range(1, count + 1)
    ]


def run_until_all(
    transport: SmtpTransport, is_done: Callable[[dict[int, SendOutcome]], bool]
) -> dict[int, SendOutcome]:
    """Run until the outcomes are those that the test waits for. Raises TimeoutError."""
    landed: dict[int, SendOutcome] = {}

    def run() -> bool:
        landed.update(transport.run_until(0.05))
        return is_done(landed)

    wait_until(run, 30)
    return landed


def codes(outcomes: dict[int, SendOutcome]) -> set[int]:
    return {outcome.code for outcome in outcomes.values()}


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)], ids=["plain", "pipelined"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
def test_more_hanging_messages_than_connections_hold_no_other_message(
    relay: ScriptedSmtp, make_transport: Make, verb: str, extensions: tuple[str, ...]
) -> None:
    relay.answers[verb] = hold = first(5)
    relay.extensions = extensions
    transport = make_transport(at(relay), connections=2, limits=QUICK)
    with hold:
        transport.begin(envelopes(40))
        sent = run_until_all(transport, lambda landed: len(landed) == 35)
        wait_until(lambda: len(transport.hanging) == 5)
        assert codes(sent) == {250}
        assert not set(transport.hanging) & sent.keys()
    late = run_until_all(transport, lambda landed: len(landed) == 5)
    assert codes(late) == {250}
    assert sent.keys() | late.keys() == set(range(1, 41))
    assert max(Counter(mail.recipient for mail in relay.taken).values()) == 1
    assert not transport.hanging


def test_a_message_behind_a_hanging_one_is_sent_once_by_another_connection(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers["DOT"] = hold = first(1)
    relay.extensions = ("PIPELINING",)
    transport = make_transport(at(relay), connections=1, limits=QUICK)
    with hold:
        transport.begin(envelopes(3))
        sent = run_until_all(transport, lambda landed: len(landed) == 2)
        assert relay.connection_count == 2
    assert sent.keys() == {2, 3}
    assert run_until_all(transport, bool).keys() == {1}
    # The relay had its MAIL, RCPT and DATA on the first connection as well, and said 354 to them.
    wait_until(lambda: relay.count("DATA") == 4)
    transport.run_until(0.1)
    assert sorted(mail.recipient for mail in relay.taken) == [
        f"reader{number}@example.org" for number in (1, 2, 3)
    ]


def test_a_message_that_many_overtook_hangs_at_once(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers["DOT"] = hold = first(1)
    patient = SmtpLimits(hanging_seconds=600.0)
    transport = make_transport(at(relay), connections=2, limits=patient)
    with hold:
        transport.begin(envelopes(60))
        run_until_all(transport, lambda landed: len(landed) == 59)
        run_until_all(transport, lambda _: len(transport.hanging) == 1)


def test_connections_that_hang_no_more_do_not_exceed_the_limit(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers["DOT"] = hold = first(3)
    transport = make_transport(at(relay), connections=2, limits=QUICK)
    with hold:
        transport.begin(envelopes(9))
        run_until_all(transport, lambda landed: len(landed) == 6)
        assert relay.connection_count == 4
    run_until_all(transport, lambda landed: len(landed) == 3)
    run_until_all(transport, lambda _: relay.count("QUIT") == 2)
    transport.begin(envelopes(9))
    run_until_all(transport, lambda landed: len(landed) == 9)
    assert relay.connection_count == 4


def test_the_hundred_and_first_pauses_the_relay_and_the_operator_is_told_once(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers["DOT"] = hold = Hold(lambda _: True)
    limits = SmtpLimits(hanging_seconds=0.05)
    transport = make_transport(at(relay), connections=1, limits=limits)
    with hold:
        transport.begin(envelopes(105))
        landed = run_until_all(transport, lambda landed: len(landed) == 4)
        assert {outcome.phase for outcome in landed.values()} == {Phase.CONNECT}
        assert (len(transport.hanging), relay.connection_count) == (101, 101)
        assert transport.is_unavailable
        (error,) = transport.pop_relay_errors()
        assert (error.relay, error.hanging) == (f"127.0.0.1:{relay.port}", 101)
        assert transport.pop_relay_errors() == []
    run_until_all(transport, lambda landed: len(landed) == 101)
    transport.begin(envelopes(1))
    assert codes(run_until_all(transport, bool)) == {250}


def test_a_relay_that_hangs_leaves_the_other_its_connections(
    relay: ScriptedSmtp, second_relay: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers["DOT"] = hold = Hold(lambda _: True)
    # Connections are replaced often, so that a relay that hangs has many chances to get them.
    limits = replace(QUICK, messages_per_connection=3)
    transport = make_transport(at(relay), at(second_relay), connections=4, limits=limits)
    with hold:
        transport.begin(envelopes(100))
        landed = run_until_all(
            transport, lambda landed: len(landed) + len(transport.hanging) == 100
        )
        assert codes(landed) == {250}
        # Those of the first connections, before it was known to hang.
        assert 1 <= len(transport.hanging) <= 8
        assert len(second_relay.taken) == len(landed)


def test_a_reply_that_came_between_two_runs_is_read_before_its_timeout(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers["DOT"] = hold = first(1)
    limits = SmtpLimits(hanging_seconds=0.1, final_dot_seconds=2.0)
    transport = make_transport(at(relay), limits=limits)
    began = monotonic()
    with hold:
        transport.begin(envelopes(1))
        run_until_all(transport, lambda _: len(transport.hanging) == 1)
    wait_until(lambda: monotonic() > began + 2.5)
    assert codes(transport.run_until(0.0)) == {250}


def test_giving_up_may_leave_what_hangs(relay: ScriptedSmtp, make_transport: Make) -> None:
    relay.answers["DOT"] = hold = first(1)
    transport = make_transport(at(relay), connections=1, limits=QUICK)
    with hold:
        transport.begin(envelopes(1))
        run_until_all(transport, lambda _: len(transport.hanging) == 1)
        assert transport.give_up(60.0, leaves_hanging=True) == {}
        assert list(transport.hanging) == [1]
        assert transport.give_up(0.1)[1].phase is Phase.DATA
        assert not transport.hanging
