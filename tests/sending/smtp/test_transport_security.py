"""Security of the transport: encryption, passwords, and addresses outside ASCII."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.newsletter.decisions import decide_now
from support.smtp.scripted_smtp import ScriptedSmtp, make_certificate, server_context

from service.deliveries.domain.states import DeliveryState, Phase, SendOutcome
from service.messages.mime.mime import Envelope
from service.platform.settings.relays import SmtpRelay
from service.sending.smtp.transport import SmtpTransport

MESSAGE = b"Subject: papers\r\n\r\nthe end\r\n"
Q, F = DeliveryState.QUEUED, DeliveryState.FAILED


Make = Callable[..., SmtpTransport]


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


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_relay(certificate: Path) -> Iterator[ScriptedSmtp]:
    relay = ScriptedSmtp(server_context(certificate))
    yield relay
    relay.stop()


@pytest.mark.parametrize("starttls", ["required", "auto"])
def test_starttls_encrypts_the_message(
    tls_relay: ScriptedSmtp,
    make_transport: Make,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    starttls: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert make_transport(at(tls_relay, starttls=starttls)).send([envelope()])[1].code == 250
    assert [mail.is_tls for mail in tls_relay.taken] == [True]


@pytest.mark.parametrize("starttls", ["required", "auto"])
def test_a_relay_with_an_untrusted_certificate_gets_no_mail(
    tls_relay: ScriptedSmtp, make_transport: Make, starttls: str
) -> None:
    outcome = make_transport(at(tls_relay, starttls=starttls)).send([envelope()])[1]
    assert (outcome.phase, state_of(outcome)) == (Phase.CONNECT, Q)
    assert "ertificate" in outcome.text
    assert tls_relay.count("MAIL") == 0


def test_required_starttls_is_never_downgraded_where_it_is_not_offered(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    outcome = make_transport(at(relay, starttls="required")).send([envelope()])[1]
    assert (outcome.phase, state_of(outcome)) == (Phase.CONNECT, Q)
    assert relay.count("MAIL") == 0


@pytest.mark.parametrize("starttls", ["required", "auto"])
def test_starttls_that_is_offered_and_then_refused_is_never_downgraded(
    tls_relay: ScriptedSmtp, make_transport: Make, starttls: str
) -> None:
    tls_relay.answers["STARTTLS"] = "454 4.7.0 not available"
    outcome = make_transport(at(tls_relay, starttls=starttls)).send([envelope()])[1]
    assert (outcome.phase, outcome.code) == (Phase.CONNECT, 454)
    assert tls_relay.count("MAIL") == 0


def test_a_relay_without_starttls_gets_plain_text_only_where_that_is_allowed(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    assert make_transport(at(relay, starttls="auto")).send([envelope()])[1].code == 250


@pytest.fixture
def guarded_relay() -> Iterator[ScriptedSmtp]:
    relay = ScriptedSmtp(extensions=("8BITMIME", "AUTH PLAIN"))
    yield relay
    relay.stop()


def test_a_user_name_signs_in_before_the_first_message(
    guarded_relay: ScriptedSmtp, make_transport: Make
) -> None:
    signed_in = at(guarded_relay, username="paperboy", password="right")
    assert make_transport(signed_in).send(envelopes(2))[2].code == 250
    assert guarded_relay.verbs.index("AUTH") < guarded_relay.verbs.index("MAIL")
    assert guarded_relay.count("AUTH") == 1


def test_a_wrong_password_fails_no_mail_and_reveals_no_secret(
    guarded_relay: ScriptedSmtp, make_transport: Make
) -> None:
    guarded_relay.answers["AUTH"] = "535 5.7.8 wrong password"
    wrong = at(guarded_relay, username="paperboy", password="a-wrong-password")
    outcome = make_transport(wrong).send([envelope()])[1]
    # Phase CONNECT: the mail is sent once the operator has corrected the password.
    assert (outcome.phase, outcome.code, state_of(outcome)) == (Phase.CONNECT, 535, Q)
    assert "a-wrong-password" not in outcome.text
    assert guarded_relay.count("MAIL") == 0


def test_an_address_outside_ascii_fails_alone_at_a_relay_without_smtputf8(
    relay: ScriptedSmtp, make_transport: Make
) -> None:
    outcomes = make_transport(at(relay)).send([envelope(1, "jörg@example.org"), envelope(2)])
    assert (outcomes[1].phase, outcomes[1].code) == (Phase.RCPT, 553)
    assert state_of(outcomes[1]) is F
    assert outcomes[2].code == 250
    assert relay.connection_count == 1


def test_an_address_outside_ascii_goes_to_a_relay_with_smtputf8(make_transport: Make) -> None:
    relay = ScriptedSmtp(extensions=("8BITMIME", "SMTPUTF8"))
    try:
        window = [envelope(1, "jörg@example.org"), envelope(2, "käthe@example.org")]
        outcomes = make_transport(at(relay)).send(window)
    finally:
        relay.stop()
    assert {outcome.code for outcome in outcomes.values()} == {250}
    assert [mail.recipient for mail in relay.taken] == ["jörg@example.org", "käthe@example.org"]
    assert "MAIL FROM:<digest@paperboy.example> SMTPUTF8" in relay.lines
