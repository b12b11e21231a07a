"""Several relays: shared by weight, passed over while they fail, and never trusted with less TLS."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.newsletter.decisions import decide_now
from support.smtp.scripted_smtp import DROP, Answer, ScriptedSmtp, make_certificate, server_context
from support.smtp.smtp_sink import free_port

from service.deliveries.domain.states import DeliveryState, Phase, SendOutcome
from service.messages.mime.mime import Envelope
from service.platform.settings.relays import SmtpRelay
from service.sending.smtp.limits import SmtpLimits
from service.sending.smtp.relay_pool import RelayError
from service.sending.smtp.transport import SmtpTransport

Make = Callable[..., SmtpTransport]
MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
def second() -> Iterator[ScriptedSmtp]:
    with running() as relay:
        yield relay


@contextmanager
def running(**options: Any) -> Iterator[ScriptedSmtp]:
    relay = ScriptedSmtp(**options)
    yield relay
    relay.stop()


def at(relay: ScriptedSmtp, **changes: Any) -> SmtpRelay:
    return replace(SmtpRelay("127.0.0.1", relay.port, starttls="off"), **changes)


def dead() -> SmtpRelay:
    return SmtpRelay("127.0.0.1", free_port(), starttls="off")


def send(transport: SmtpTransport, *numbers: int) -> dict[int, SendOutcome]:
    return transport.send(
        [Envelope(n, "digest@paperboy.example", f"r{n}@example.org", MESSAGE) for n in numbers]
    )


def taken(*relays: ScriptedSmtp) -> list[int]:
    return [len(relay.taken) for relay in relays]


def test_connections_are_shared_by_weight(
    relay: ScriptedSmtp, second: ScriptedSmtp, make_transport: Make
) -> None:
    transport = make_transport(at(relay, weight=3), at(second), connections=8)

    def answer_slowly(_: int) -> None:
        time.sleep(0.1)

    # Slow enough that eight messages want eight connections.
    for one in (relay, second):
        one.answers["MAIL"] = answer_slowly
    outcomes = send(transport, *range(8))
    assert {one.code for one in outcomes.values()} == {250}
    assert [relay.connection_count, second.connection_count] == [6, 2]
    assert transport.pop_relay_errors() == []


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        ("GREETING", DROP),
        ("GREETING", "421 4.3.2 not now"),
        ("GREETING", "554 5.7.1 no service for you"),
        ("EHLO", "421 4.3.2 not now"),
    ],
)
def test_a_relay_that_fails_is_passed_over_and_costs_no_mail(
    relay: ScriptedSmtp, second: ScriptedSmtp, make_transport: Make, verb: str, answer: Answer
) -> None:
    relay.answers[verb] = answer
    transport = make_transport(at(relay, weight=9), at(second))
    for number in range(5):
        assert send(transport, number)[number].code == 250
    assert taken(relay, second) == [0, 5]
    assert relay.connection_count == 1, "it rests"
    assert not transport.is_unavailable


def test_a_relay_that_came_back_gets_its_share_again(
    relay: ScriptedSmtp, second: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers["GREETING"] = lambda n: DROP if n == 0 else None
    limits = SmtpLimits(rest_seconds=(0.2,))
    transport = make_transport(at(relay, weight=9), at(second), limits=limits)
    send(transport, 1)
    second.drop_all()
    time.sleep(0.3)
    send(transport, 2)
    assert taken(relay, second) == [1, 1]


def test_where_all_relays_fail_the_mail_is_for_later_and_nothing_need_be_begun(
    make_transport: Make,
) -> None:
    transport = make_transport(dead(), dead(), limits=SmtpLimits(rest_seconds=(0.3,)))
    outcome = send(transport, 1)[1]
    assert outcome.phase is Phase.CONNECT
    decision = decide_now(outcome)
    assert (decision.state, decision.is_deferral) == (DeliveryState.QUEUED, False)
    assert transport.is_unavailable
    assert send(transport, 2)[2].text.startswith("RelaysResting")
    time.sleep(0.35)
    assert not transport.is_unavailable


@pytest.mark.parametrize("reply", ["450 4.7.1 too much mail of you", "550 5.7.1 unknown sender"])
def test_a_relay_that_refuses_us_at_mail_rests_and_the_other_takes_over(
    relay: ScriptedSmtp, second: ScriptedSmtp, make_transport: Make, reply: str
) -> None:
    relay.answers["MAIL"] = reply
    transport = make_transport(at(relay, weight=9), at(second))
    first = send(transport, 1)[1]
    assert decide_now(first).state is DeliveryState.QUEUED
    assert {one.code for one in send(transport, 2, 3).values()} == {250}
    assert taken(relay, second) == [0, 2]


def test_a_refusal_of_one_message_says_nothing_of_the_relay(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    relay.answers |= {
        "MAIL": lambda n: "552 5.3.4 too big" if n == 0 else None,
        "RCPT": lambda n: "550 5.7.1 no" if n == 0 else None,
    }
    transport = make_transport(at(relay))
    assert [send(transport, n)[n].code for n in (1, 2, 3)] == [552, 550, 250]
    assert transport.pop_relay_errors() == []
    assert not transport.is_unavailable


def test_a_login_that_is_refused_is_told_once_and_the_password_never(
    second: ScriptedSmtp, make_transport: Make
) -> None:
    with running(extensions=("AUTH PLAIN LOGIN",)) as relay:
        relay.answers["AUTH"] = "535 5.7.8 wrong password"
        transport = make_transport(
            at(relay, username="u", password="secret-word", weight=9), at(second)
        )
        for number in range(4):
            assert send(transport, number)[number].code == 250
        name = f"127.0.0.1:{relay.port}"
    (trouble,) = transport.pop_relay_errors()
    assert trouble.relay == name
    assert "535" in trouble.reason or "wrong password" in trouble.reason
    assert "secret-word" not in trouble.reason
    assert transport.pop_relay_errors() == []


def test_a_relay_that_does_not_answer_for_long_is_told_once(make_transport: Make) -> None:
    relay = dead()
    transport = make_transport(relay, limits=SmtpLimits(rest_seconds=(0.0,) * 3))
    told: list[RelayError] = []
    for number in range(6):
        send(transport, number)
        told += transport.pop_relay_errors()
    assert [one.relay for one in told] == [relay.name]


def test_a_relay_that_offered_tls_once_gets_nothing_without_it(
    tmp_path: Path, make_transport: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: trusting(certificate))
    with running(context=server_context(certificate)) as relay:
        transport = make_transport(at(relay, starttls="auto"))
        assert send(transport, 1)[1].code == 250
        assert relay.taken[0].is_tls
        relay.answers["MAIL"] = lambda n: DROP if n == 1 else None
        # From here on somebody in between leaves STARTTLS out of the answer.
        relay.context = None
        outcome = send(transport, 2)[2]
        assert outcome.phase is Phase.CONNECT
        assert relay.connection_count == 2
        assert len(relay.taken) == 1


def trusting(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificate)
    return context
