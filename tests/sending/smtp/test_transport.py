"""The transport's outcome for each message, for every behaviour of the relay in every phase."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.newsletter.decisions import decide_now
from support.smtp.scripted_smtp import DROP, HANG, ScriptedSmtp
from support.smtp.smtp_sink import free_port, wait_until

from service.deliveries.domain.states import DeliveryState, Phase, SendOutcome
from service.messages.mime.mime import Envelope
from service.platform.settings.relays import SmtpRelay
from service.sending.smtp.limits import SmtpLimits
from service.sending.smtp.rate_limit import SendRate
from service.sending.smtp.transport import SmtpTransport

MESSAGE = b"Subject: papers\r\n\r\n.a line that starts with a dot\r\nthe end\r\n"


@pytest.fixture
def second_relay() -> Iterator[ScriptedSmtp]:
    relay = ScriptedSmtp()
    yield relay
    relay.stop()


Make = Callable[..., SmtpTransport]


# Timeouts that a test can wait for.
HURRIED = SmtpLimits(command_seconds=0.2, data_seconds=0.2, final_dot_seconds=0.2)


def at(relay: ScriptedSmtp, **changes: Any) -> SmtpRelay:
    return replace(SmtpRelay("127.0.0.1", relay.port, starttls="off"), **changes)


def envelopes(count: int) -> list[Envelope]:
    return [envelope(number) for number in range(1, count + 1)]


def envelope(
    number: int = 1, recipient: str = "", sender: str = "digest@paperboy.example"
) -> Envelope:
    return Envelope(number, sender, recipient or f"reader{number}@example.org", MESSAGE)


def state_of(outcome: SendOutcome) -> DeliveryState:
    return decide_now(outcome).state


def test_an_accepted_message_arrives_byte_for_byte(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    outcomes = make_transport(at(relay)).send([envelope()])
    assert outcomes == {1: SendOutcome(Phase.REPLIED, 250, "2.0.0 taken")}
    assert [mail.content for mail in relay.taken] == [MESSAGE]
    assert "MAIL FROM:<digest@paperboy.example>" in relay.lines
    assert "RCPT TO:<reader1@example.org>" in relay.lines


def test_a_message_without_a_last_line_end_still_ends(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    outcomes = make_transport(at(relay)).send(
        [replace(envelope(), payload=b"Subject: x\r\n\r\nend")]
    )
    assert outcomes[1].code == 250
    assert relay.taken[0].content == b"Subject: x\r\n\r\nend\r\n"


def test_nothing_to_send_opens_no_connection(relay: ScriptedSmtp, make_transport: Make) -> None:
    assert make_transport(at(relay)).send([]) == {}
    assert relay.connection_count == 0


Q, F, D = DeliveryState.QUEUED, DeliveryState.FAILED, DeliveryState.IN_DOUBT


@pytest.mark.parametrize(
    ("verb", "reply", "expected"),
    [
        ("GREETING", "421 4.3.2 too busy", (Phase.CONNECT, 421, Q)),
        ("GREETING", "554 5.7.1 go away", (Phase.CONNECT, 554, Q)),
        ("GREETING", DROP, (Phase.CONNECT, 0, Q)),
        ("GREETING", HANG, (Phase.CONNECT, 0, Q)),
        ("MAIL", "451 4.7.1 greylisted", (Phase.MAIL, 451, Q)),
        ("MAIL", "550 5.7.1 who are you", (Phase.MAIL, 550, Q)),
        ("MAIL", "552 5.3.4 too big", (Phase.MAIL, 552, F)),
        ("MAIL", DROP, (Phase.MAIL, 0, Q)),
        ("MAIL", HANG, (Phase.MAIL, 0, Q)),
        ("MAIL", "421 4.3.2 closing", (Phase.MAIL, 421, Q)),
        ("MAIL", "what was that?", (Phase.MAIL, -1, Q)),
        ("RCPT", "450 4.2.1 later", (Phase.RCPT, 450, Q)),
        ("RCPT", "550 5.1.1 no such mailbox", (Phase.RCPT, 550, F)),
        ("RCPT", DROP, (Phase.RCPT, 0, Q)),
        ("RCPT", HANG, (Phase.RCPT, 0, Q)),
        ("DATA", "451 4.3.0 later", (Phase.RCPT, 451, Q)),
        ("DATA", "554 5.5.1 no valid recipients", (Phase.RCPT, 554, F)),
        ("DATA", DROP, (Phase.RCPT, 0, Q)),
        ("DATA", HANG, (Phase.RCPT, 0, Q)),
        ("DATA", "250 this is not how it goes", (Phase.RCPT, 250, Q)),
        ("DOT", "452 4.3.1 disk full", (Phase.REPLIED, 452, Q)),
        ("DOT", "421 4.3.2 closing", (Phase.REPLIED, 421, Q)),
        ("DOT", "554 5.6.0 refused", (Phase.REPLIED, 554, F)),
        ("DOT", "251 2.1.5 forwarded", (Phase.REPLIED, 251, DeliveryState.SENT)),
        ("DOT", DROP, (Phase.DATA, 0, D)),
        ("DOT", HANG, (Phase.DATA, 0, D)),
        ("DOT", "is this a reply?", (Phase.DATA, 0, D)),
        ("DOT", "354 go on", (Phase.DATA, 0, D)),
    ],
)
def test_every_phase_and_reply_has_its_outcome(
    relay: ScriptedSmtp,
    make_transport: Make,
    verb: str,
    reply: str,
    expected: tuple[Phase, int, DeliveryState],
) -> None:
    relay.answers[verb] = reply
    outcome = make_transport(at(relay), limits=HURRIED).send([envelope()])[1]
    assert (outcome.phase, outcome.code, state_of(outcome)) == expected
    assert outcome.text
    assert "\n" not in outcome.text
    # One try, one message: nothing was sent a second time.
    assert len(relay.taken) == (1 if verb == "DOT" else 0)
    assert relay.connection_count == 1


def test_a_slow_relay_is_awaited(relay: ScriptedSmtp, make_transport: Make) -> None:
    def think(_: int) -> None:
        time.sleep(0.3)

    relay.answers["DOT"] = think
    assert make_transport(at(relay)).send([envelope()])[1].code == 250


def test_one_bad_envelope_does_not_affect_others_of_its_window(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    window = [envelope(1), envelope(2, sender="digest@münchen.example"), envelope(3)]
    window.append(envelope(4, recipient="a\x01b@example.org"))
    outcomes = make_transport(at(relay), connections=2, limits=HURRIED).send(window)
    assert [state_of(outcomes[n]) for n in (1, 2, 3, 4)] == ["sent", "failed", "sent", "failed"]
    assert sorted(mail.recipient for mail in relay.taken) == [
        "reader1@example.org",
        "reader3@example.org",
    ]


def test_a_connection_is_reused(relay: ScriptedSmtp, make_transport: Make) -> None:
    transport = make_transport(at(relay))
    transport.send(envelopes(3))
    transport.send([envelope(4)])
    assert (relay.connection_count, len(relay.taken)) == (1, 4)


def test_no_more_connections_than_allowed(relay: ScriptedSmtp, make_transport: Make) -> None:
    outcomes = make_transport(at(relay), connections=3).send(envelopes(12))
    assert len(outcomes) == len(relay.taken) == 12
    assert relay.connection_count == 3


def test_a_refused_recipient_does_not_end_the_connection(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers["RCPT"] = lambda n: "550 5.1.1 nobody" if n == 0 else None
    outcomes = make_transport(at(relay)).send(envelopes(2))
    assert [outcomes[n].code for n in (1, 2)] == [550, 250]
    assert (relay.connection_count, relay.count("RSET")) == (1, 1)


def test_a_connection_that_cannot_be_reset_is_closed(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers |= {"RCPT": lambda n: "550 5.1.1 nobody" if n == 0 else None, "RSET": DROP}
    outcomes = make_transport(at(relay)).send(envelopes(2))
    assert [outcomes[n].code for n in (1, 2)] == [550, 250]
    assert relay.connection_count == 2


def test_a_421_in_the_middle_ends_the_connection_and_not_the_window(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers["RCPT"] = lambda n: "421 4.7.0 enough" if n == 1 else None
    outcomes = make_transport(at(relay)).send(envelopes(3))
    assert [outcomes[n].code for n in (1, 2, 3)] == [250, 421, 250]
    assert state_of(outcomes[2]) is Q
    assert (relay.connection_count, relay.count("RSET")) == (2, 0)


@pytest.mark.parametrize("reply", [DROP, "421 4.4.2 idle too long"])
def test_a_stale_connection_is_replaced_before_any_byte_of_the_message(
    relay: ScriptedSmtp, make_transport: Make, reply: str
) -> None:
    relay.answers["MAIL"] = lambda n: reply if n == 1 else None
    transport = make_transport(at(relay))
    transport.send([envelope(1)])
    outcome = transport.send([envelope(2)])[2]
    assert outcome.code == 250
    recipients = [mail.recipient for mail in relay.taken]
    assert recipients == ["reader1@example.org", "reader2@example.org"]
    assert relay.connection_count == 2


def test_a_relay_that_restarted_meanwhile_loses_no_mail(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    transport = make_transport(at(relay), connections=4)
    transport.send(envelopes(4))
    relay.drop_all()
    outcomes = transport.send(envelopes(4))
    assert {outcome.code for outcome in outcomes.values()} == {250}
    assert len(relay.taken) == 8


def test_a_stale_connection_is_replaced_once_and_not_for_ever(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers["MAIL"] = lambda n: DROP if n else None
    transport = make_transport(at(relay))
    transport.send([envelope(1)])
    outcome = transport.send([envelope(2)])[2]
    assert (outcome.phase, outcome.code) == (Phase.MAIL, 0)
    assert (relay.count("MAIL"), relay.connection_count) == (3, 2)


@pytest.mark.parametrize(("verb", "state"), [("RCPT", Q), ("DATA", Q), ("DOT", D)])
def test_a_reused_connection_that_breaks_later_is_not_retried(
    relay: ScriptedSmtp, make_transport: Make, verb: str, state: DeliveryState
) -> None:
    relay.answers[verb] = lambda n: DROP if n == 1 else None
    transport = make_transport(at(relay))
    transport.send([envelope(1)])
    outcome = transport.send([envelope(2)])[2]
    assert state_of(outcome) is state
    assert (relay.count("MAIL"), relay.connection_count) == (2, 1)


def test_a_worn_connection_is_replaced(relay: ScriptedSmtp, make_transport: Make) -> None:
    make_transport(at(relay), limits=SmtpLimits(messages_per_connection=2)).send(envelopes(5))
    assert (relay.connection_count, len(relay.taken)) == (3, 5)


def test_a_connection_idle_for_long_is_not_reused(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    transport = make_transport(at(relay), limits=SmtpLimits(idle_seconds=0.0))
    transport.send([envelope(1)])
    transport.send([envelope(2)])
    assert (relay.connection_count, relay.count("MAIL")) == (2, 2)


@pytest.mark.parametrize("reply", ["451 4.3.0 not now", DROP])
def test_the_next_relay_takes_over_if_the_first_accepts_no_connection(
    relay: ScriptedSmtp, second_relay: ScriptedSmtp, make_transport: Make, reply: str
) -> None:
    relay.answers["GREETING"] = reply
    outcomes = make_transport(at(relay), at(second_relay)).send(envelopes(2))
    assert {outcome.code for outcome in outcomes.values()} == {250}
    assert (len(relay.taken), len(second_relay.taken)) == (0, 2)


def test_the_first_relay_is_preferred(
    relay: ScriptedSmtp, second_relay: ScriptedSmtp, make_transport: Make
) -> None:
    make_transport(at(relay), at(second_relay)).send(envelopes(2))
    assert (len(relay.taken), second_relay.connection_count) == (2, 0)


def test_the_next_relay_is_not_tried_after_the_first_replied_to_the_message(
    relay: ScriptedSmtp, second_relay: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers["DOT"] = DROP
    outcome = make_transport(at(relay), at(second_relay)).send([envelope()])[1]
    assert state_of(outcome) is D
    assert second_relay.connection_count == 0


def test_without_any_relay_the_mail_waits(make_transport: Make) -> None:
    dead = [SmtpRelay("127.0.0.1", free_port(), starttls="off") for _ in range(2)]
    outcome = make_transport(*dead).send([envelope()])[1]
    assert (outcome.phase, outcome.code, state_of(outcome)) == (Phase.CONNECT, 0, Q)
    assert "SMTPConnectError" in outcome.text


def test_the_rate_is_kept_whatever_the_number_of_connections(
    relay: ScriptedSmtp, make_transport: Make, redis_url: str
) -> None:
    transport = make_transport(at(relay), connections=5, rate=SendRate(redis_url, 20))
    began = time.monotonic()
    transport.send(envelopes(5))
    transport.send(envelopes(3))
    # Eight messages have seven gaps of 50 ms, also between two windows.
    assert 0.35 <= time.monotonic() - began < 1.5


def test_without_a_rate_nobody_waits(relay: ScriptedSmtp, make_transport: Make) -> None:
    began = time.monotonic()
    make_transport(at(relay), connections=5).send(envelopes(20))
    assert time.monotonic() - began < 1.0


def test_closing_sends_quit(relay: ScriptedSmtp) -> None:
    transport = SmtpTransport([at(relay)], connections=2)
    transport.send(envelopes(4))
    transport.close()
    wait_until(lambda: relay.count("QUIT") == 2)


def test_closing_works_when_the_relay_is_gone(relay: ScriptedSmtp) -> None:
    transport = SmtpTransport([at(relay)], connections=2)
    transport.send(envelopes(4))
    relay.drop_all()
    transport.close()
    assert relay.count("QUIT") == 0


def test_a_transport_that_never_sent_can_be_closed(relay: ScriptedSmtp) -> None:
    SmtpTransport([at(relay)]).close()
    assert relay.connection_count == 0


def test_messages_behind_connections_that_cannot_be_opened_have_an_outcome() -> None:
    """More messages than connections, and no relay: no message may stay in flight for ever."""
    away = SmtpRelay("127.0.0.1", free_port(), starttls="off")
    transport = SmtpTransport([away], connections=2)
    try:
        transport.begin(envelopes(7))
        landed: dict[int, SendOutcome] = {}
        deadline = time.monotonic() + 10
        while len(landed) < 7 and time.monotonic() < deadline:
            landed |= transport.run_until(0.5, 7 - len(landed))
    finally:
        transport.close()
    assert sorted(landed) == list(range(1, 8))
    assert {outcome.phase for outcome in landed.values()} == {Phase.CONNECT}
