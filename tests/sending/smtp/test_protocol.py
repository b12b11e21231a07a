"""The client side of SMTP, reply by reply: which message a reply belongs to, and what it changes."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.newsletter.decisions import decide_now

from service.deliveries.domain.states import DeliveryState, Phase, SendOutcome
from service.messages.mime.mime import Envelope
from service.sending.smtp.protocol import Awaited, SmtpClientProtocol, wire_form

GROUP = ("250 2.1.0 ok", "250 2.1.5 ok", "354 go on")
TAKEN = "250 2.0.0 taken"


class Client:
    """A protocol with its queue; `feed` takes the relay's lines and returns the bytes sent then."""

    def __init__(self, count: int, *, is_pipelined: bool = True, is_early: bool = True) -> None:
        self.waiting = deque(envelope(number) for number in range(1, count + 1))
        self.is_early = is_early
        self.protocol = SmtpClientProtocol(self.next, is_pipelined=is_pipelined, takes_utf8=False)
        self.outcomes: dict[int, SendOutcome] = {}

    def next(self, is_early: bool) -> Envelope | None:
        if not self.waiting or (is_early and not self.is_early):
            return None
        return self.waiting.popleft()

    def start(self, *, is_checked: bool = False) -> str:
        self.protocol.start(is_checked=is_checked)
        return self.take()

    def feed(self, *lines: str) -> str:
        self.protocol.feed("".join(f"{line}\r\n" for line in lines).encode())
        return self.take()

    def abort(self) -> None:
        self.protocol.abort("gone")
        self.take()

    def take(self) -> str:
        for message, outcome in self.protocol.landed:
            assert message.number not in self.outcomes, "a message has two outcomes"
            self.outcomes[message.number] = outcome
        sent, self.protocol.outgoing, self.protocol.landed = self.protocol.outgoing, [], []
        return b"".join(sent).decode()

    def states(self) -> dict[int, DeliveryState]:
        return {number: decide_now(outcome).state for number, outcome in self.outcomes.items()}


def envelope(number: int) -> Envelope:
    payload = f"Subject: {number}\r\n\r\nbody {number}\r\n".encode()
    return Envelope(number, "digest@paperboy.example", f"r{number}@example.org", payload)


def commands(number: int) -> str:
    return f"MAIL FROM:<digest@paperboy.example>\r\nRCPT TO:<r{number}@example.org>\r\nDATA\r\n"


def body(number: int) -> str:
    return f"Subject: {number}\r\n\r\nbody {number}\r\n.\r\n"


def test_commands_go_out_together_and_the_body_with_the_next_ones() -> None:
    client = Client(2)
    assert client.start() == commands(1)
    assert client.feed(*GROUP) == body(1) + commands(2)
    assert client.feed(TAKEN, *GROUP) == body(2)
    assert client.feed(TAKEN) == ""
    assert client.states() == {1: "sent", 2: "sent"}
    assert client.protocol.awaited is None


def test_without_pipelining_each_command_waits_for_its_reply() -> None:
    client = Client(2, is_pipelined=False)
    sent = [client.start(), *(client.feed(line) for line in (*GROUP, TAKEN))]
    assert sent == [
        "MAIL FROM:<digest@paperboy.example>\r\n",
        "RCPT TO:<r1@example.org>\r\n",
        "DATA\r\n",
        body(1),
        "MAIL FROM:<digest@paperboy.example>\r\n",
    ]


def test_a_reply_in_pieces_is_put_together() -> None:
    client = Client(1)
    client.start()
    for letter in "250-2.1.0 first\r\n250 2.1.0 second\r\n250 ok\r\n354 go\r\n250-a\r\n250 b\r\n":
        client.protocol.feed(letter.encode())
    client.take()
    assert client.outcomes == {1: SendOutcome(Phase.REPLIED, 250, "a b")}


@pytest.mark.parametrize(
    "replies", [("451 4.7.1 later", "503 no", "503 no"), ("451 4.7.1 later",) * 3]
)
def test_a_refused_sender_is_reported_with_its_own_reply(replies: tuple[str, ...]) -> None:
    client = Client(2)
    client.start()
    assert client.feed(*replies) == "RSET\r\n"
    assert client.outcomes == {1: SendOutcome(Phase.MAIL, 451, "4.7.1 later")}
    assert client.feed("250 ok") == commands(2)


def test_a_refused_recipient_is_reported_with_its_own_reply_and_not_that_of_data() -> None:
    client = Client(2)
    client.start()
    assert client.feed("250 ok", "550 5.1.1 nobody", "554 5.5.1 no valid recipients") == "RSET\r\n"
    assert client.outcomes == {1: SendOutcome(Phase.RCPT, 550, "5.1.1 nobody")}


def test_a_354_after_a_refusal_gets_no_body_and_ends_the_connection() -> None:
    client = Client(2)
    client.start()
    assert client.feed("250 ok", "550 5.1.1 nobody", "354 go on") == ""
    assert client.outcomes == {1: SendOutcome(Phase.RCPT, 550, "5.1.1 nobody")}
    assert client.protocol.is_over
    assert len(client.waiting) == 1


def test_a_refusal_in_the_next_group_does_not_change_the_previous_message() -> None:
    client = Client(3)
    client.start()
    client.feed(*GROUP)
    client.feed(TAKEN, "250 ok", "550 5.1.1 nobody", "554 no")
    assert client.states() == {1: "sent", 2: "failed"}
    assert client.feed("250 ok") == commands(3)


def test_a_refused_body_leaves_the_next_message_alone() -> None:
    client = Client(2)
    client.start()
    client.feed(*GROUP)
    assert client.feed("554 5.6.0 refused", *GROUP) == body(2)
    assert client.feed(TAKEN) == ""
    assert client.states() == {1: "failed", 2: "sent"}


@pytest.mark.parametrize(
    ("replies", "states"),
    [
        ((), {1: "in_doubt", 2: "queued"}),
        ((TAKEN,), {1: "sent", 2: "queued"}),
        ((TAKEN, "250 ok"), {1: "sent", 2: "queued"}),
        (("250 ok", "250 ok", "250 ok", "354 go"), {1: "sent", 2: "in_doubt"}),
        (("what?",), {1: "in_doubt", 2: "queued"}),
        (("354 more",), {1: "in_doubt", 2: "queued"}),
        (("421 4.3.2 closing",), {1: "queued", 2: "queued"}),
        ((TAKEN, "421 4.3.2 closing"), {1: "sent", 2: "queued"}),
    ],
)
def test_a_lost_connection_leaves_only_the_body_that_was_sent_in_doubt(
    replies: tuple[str, ...], states: dict[int, str]
) -> None:
    client = Client(2)
    client.start()
    client.feed(*GROUP)
    client.feed(*replies)
    client.abort()
    assert client.states() == states


def test_the_next_message_of_a_lost_group_was_not_opened() -> None:
    client = Client(2)
    client.start()
    client.feed(*GROUP)
    client.abort()
    assert (client.outcomes[2].phase, client.outcomes[2].code) == (Phase.MAIL, 0)


def test_an_idle_connection_must_answer_before_it_gets_a_message() -> None:
    client = Client(1)
    assert client.start(is_checked=True) == "RSET\r\n"
    assert client.protocol.awaited is Awaited.RESET
    assert len(client.waiting) == 1
    assert client.feed("250 ok") == commands(1)


def test_an_unexpected_reply_ends_the_exchange() -> None:
    client = Client(0)
    client.start()
    client.feed("421 4.3.2 idle too long")
    assert client.protocol.is_over


def test_control_characters_are_removed_from_a_reply() -> None:
    client = Client(1)
    client.start()
    client.protocol.feed(b"250 ok\r\n550-5.1.1 no\x00body\r\n550 \x1b[31mhere\xff\r\n503\r\n")
    client.take()
    assert client.outcomes[1].text == "5.1.1 no body [31mhere\ufffd"


def test_an_endless_reply_ends_the_exchange() -> None:
    client = Client(1)
    client.start()
    client.protocol.feed(b"250-more\r\n" * 10_000)
    client.take()
    assert client.protocol.is_over
    assert client.states() == {1: "queued"}


@pytest.mark.parametrize("address", ["a b@example.org", "a\r\nDATA@example.org", "<a>@example.org"])
def test_an_address_that_would_inject_a_command_is_refused_unsent(address: str) -> None:
    client = Client(2)
    client.waiting[0] = Envelope(1, "digest@paperboy.example", address, b"x\r\n")
    assert client.start() == commands(2)
    assert client.states() == {1: "failed"}


REPLIES = st.sampled_from(
    ["250 ok", "354 go", "451 later", "421 closing", "550 no", "554 no", "rubbish", "250-more"]
)


@given(st.lists(REPLIES, max_size=30), st.booleans(), st.booleans())
def test_for_any_replies_every_message_has_one_outcome_and_bodies_follow_their_354(
    replies: list[str], is_pipelined: bool, is_early: bool
) -> None:
    client = Client(4, is_pipelined=is_pipelined, is_early=is_early)
    sent = client.start()
    for reply in replies:
        sent += client.feed(reply)
    client.abort()
    opened = sent.count("MAIL FROM")
    assert len(client.outcomes) == opened
    assert len(client.waiting) == 4 - opened
    assert sent.count("\r\n.\r\n") <= replies.count("354 go")
    for number, state in client.states().items():
        was_sent = body(number) in sent
        assert was_sent or state in {"queued", "failed"}
        assert state != "sent" or was_sent


@given(st.binary(max_size=80))
def test_whatever_is_sent_comes_out_with_whole_lines_and_one_end(payload: bytes) -> None:
    wire = wire_form(Envelope(1, "a@b.example", "c@d.example", payload)) + b".\r\n"
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    assert wire.count(b"\r\n.\r\n") <= 1
    assert wire.replace(b"\r\n", b"").count(b"\r") == wire.replace(b"\r\n", b"").count(b"\n") == 0
