"""Several relays: shared by weight, skipped while they fail, and never downgraded from TLS."""

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

    # Slow enough that eight messages need eight connections.
    for server in (relay, second):
        server.answers["MAIL"] = answer_slowly
    outcomes = send(transport, *range(8))
    assert {outcome.code for outcome in outcomes.values()} == {250}
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
def test_a_failing_relay_is_skipped_and_no_mail_is_lost(
    relay: ScriptedSmtp, second: ScriptedSmtp, make_transport: Make, verb: str, answer: Answer
) -> None:
    relay.answers[verb] = answer
    transport = make_transport(at(relay, weight=9), at(second))
    for number in range(5):
        assert send(transport, number)[number].code == 250
    assert taken(relay, second) == [0, 5]
    assert relay.connection_count == 1, "it rests"
    assert not transport.is_unavailable


def test_a_recovered_relay_gets_its_share_again(
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


def test_if_all_relays_fail_the_mail_waits_and_the_transport_is_unavailable(
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
def test_a_relay_that_refuses_mail_from_rests_and_another_takes_over(
    relay: ScriptedSmtp, second: ScriptedSmtp, make_transport: Make, reply: str
) -> None:
    relay.answers["MAIL"] = reply
    transport = make_transport(at(relay, weight=9), at(second))
    first = send(transport, 1)[1]
    assert decide_now(first).state is DeliveryState.QUEUED
    assert {outcome.code for outcome in send(transport, 2, 3).values()} == {250}
    assert taken(relay, second) == [0, 2]


def test_a_refusal_of_one_message_does_not_rest_the_relay(
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


def test_a_refused_login_is_reported_once_without_the_password(
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


def test_a_relay_that_is_silent_for_long_is_reported_once(make_transport: Make) -> None:
    relay = dead()
    transport = make_transport(relay, limits=SmtpLimits(rest_seconds=(0.0,) * 3))
    errors: list[RelayError] = []
    for number in range(6):
        send(transport, number)
        errors += transport.pop_relay_errors()
    assert [error.relay for error in errors] == [relay.name]


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
        # From here on a man in the middle removes STARTTLS from the reply.
        relay.context = None
        outcome = send(transport, 2)[2]
        assert outcome.phase is Phase.CONNECT
        assert relay.connection_count == 2
        assert len(relay.taken) == 1


def trusting(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificate)
    return context
