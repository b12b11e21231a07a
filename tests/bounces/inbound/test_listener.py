"""The listener accepts mails to our signed return paths and refuses all others at RCPT."""

import smtplib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from support.mail.bounce_mails import dsn

from service.bounces.inbound.listener import BounceListener
from service.bounces.inbound.mime_parts import MOST_BYTES

OURS = "bounce+1-signed@bounces.paperboy.example"


@dataclass
class Taken:
    """Stores the messages that it gets; with `fails` it raises instead."""

    messages: list[tuple[bytes, tuple[str, ...]]] = field(default_factory=list)
    fails: bool = False

    def __call__(self, raw: bytes, receivers: tuple[str, ...]) -> None:
        if self.fails:
            raise OSError("the database is away")
        self.messages.append((raw, receivers))


@pytest.fixture
def taken() -> Taken:
    return Taken()


def make(taken: Taken, *, lmtp: bool = False) -> BounceListener:
    is_ours: Callable[[str], bool] = lambda address: address.lower() == OURS  # noqa: E731
    return BounceListener(is_ours, taken, lmtp=lmtp)


def test_a_bounce_to_our_return_path_is_accepted_whole(taken: Taken) -> None:
    with make(taken).start() as listener, smtplib.SMTP("127.0.0.1", listener.port) as client:
        client.sendmail("", [OURS], dsn())
    ((raw, receivers),) = taken.messages
    assert receivers == (OURS,)
    assert raw.replace(b"\r\n", b"\n").strip() == dsn().strip()


def test_a_forged_return_path_is_refused_at_rcpt(taken: Taken) -> None:
    with make(taken).start() as listener, smtplib.SMTP("127.0.0.1", listener.port) as client:
        client.ehlo()
        client.mail("<>")
        code, text = client.rcpt("bounce+1-forged@bounces.paperboy.example")
        assert (code, text) == (550, b"5.1.1 no such address")
        assert client.rcpt("postmaster@elsewhere.example")[0] == 550
        assert client.docmd("DATA")[0] == 503
    assert taken.messages == []


def test_a_bounce_that_cannot_be_recorded_stays_with_its_server(taken: Taken) -> None:
    taken.fails = True
    with (
        make(taken).start() as listener,
        smtplib.SMTP("127.0.0.1", listener.port) as client,
        pytest.raises(smtplib.SMTPDataError) as caught,
    ):
        client.sendmail("", [OURS], dsn())
    assert caught.value.smtp_code == 451


def test_a_message_that_is_too_large_is_refused(taken: Taken) -> None:
    with make(taken).start() as listener, smtplib.SMTP("127.0.0.1", listener.port) as client:
        client.ehlo()
        assert client.docmd("MAIL", f"FROM:<> SIZE={MOST_BYTES + 1}")[0] == 552


def test_the_number_of_receivers_is_limited(taken: Taken) -> None:
    with make(taken).start() as listener, smtplib.SMTP("127.0.0.1", listener.port) as client:
        client.ehlo()
        client.mail("<>")
        answers = [client.rcpt(OURS)[0] for _ in range(101)]
    assert answers == [250] * 100 + [452]


def test_it_speaks_lmtp_to_the_operators_own_server(taken: Taken) -> None:
    with make(taken, lmtp=True).start() as listener:
        client = smtplib.LMTP("127.0.0.1", listener.port)
        client.sendmail("", [OURS], dsn())
        client.quit()
    assert len(taken.messages) == 1


def test_a_port_that_is_taken_fails_at_once_and_stopping_twice_is_harmless(taken: Taken) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy, pytest.raises(OSError, match="in use"):
        make(taken).start(port=busy.getsockname()[1])
    listener = make(taken)
    with pytest.raises(RuntimeError, match="not running"):
        _ = listener.port
    listener.start("::1" if socket.has_ipv6 else "127.0.0.1")
    assert listener.port > 0
    listener.stop()
    listener.stop()
