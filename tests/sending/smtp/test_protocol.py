"""The talk with a relay, reply by reply: whose each reply is, and what it does to which message."""

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


class Talk:
    """A dialogue with its queue; `hear` gives the relay's lines and returns what was said to them."""

    def __init__(self, count: int, *, is_pipelined: bool = True, is_early: bool = True) -> None:
        self.waiting = deque(envelope(number) for number in range(1, count + 1))
        self.is_early = is_early
        self.dialogue = SmtpClientProtocol(self.next, is_pipelined=is_pipelined, takes_utf8=False)
        self.outcomes: dict[int, SendOutcome] = {}

    def next(self, is_early: bool) -> Envelope | None:
        if not self.waiting or (is_early and not self.is_early):
            return None
        return self.waiting.popleft()

    def begin(self, *, is_checked: bool = False) -> str:
        self.dialogue.begin(is_checked=is_checked)
        return self.take()

    def hear(self, *lines: str) -> str:
        self.dialogue.hear("".join(f"{line}\r\n" for line in lines).encode())
        return self.take()

    def lose(self) -> None:
        self.dialogue.lose("gone")
        self.take()

    def take(self) -> str:
        for one, outcome in self.dialogue.landed:
            assert one.number not in self.outcomes, "a message landed twice"
            self.outcomes[one.number] = outcome
        said, self.dialogue.said, self.dialogue.landed = self.dialogue.said, [], []
        return b"".join(said).decode()

    def states(self) -> dict[int, DeliveryState]:
        return {number: decide_now(one).state for number, one in self.outcomes.items()}


def envelope(number: int) -> Envelope:
    payload = f"Subject: {number}\r\n\r\nbody {number}\r\n".encode()
    return Envelope(number, "digest@paperboy.example", f"r{number}@example.org", payload)


def commands(number: int) -> str:
    return f"MAIL FROM:<digest@paperboy.example>\r\nRCPT TO:<r{number}@example.org>\r\nDATA\r\n"


def body(number: int) -> str:
    return f"Subject: {number}\r\n\r\nbody {number}\r\n.\r\n"


def test_commands_go_out_together_and_the_body_with_the_next_ones() -> None:
    talk = Talk(2)
    assert talk.begin() == commands(1)
    assert talk.hear(*GROUP) == body(1) + commands(2)
    assert talk.hear(TAKEN, *GROUP) == body(2)
    assert talk.hear(TAKEN) == ""
    assert talk.states() == {1: "sent", 2: "sent"}
    assert talk.dialogue.awaited is None


def test_without_pipelining_each_word_waits_for_its_answer() -> None:
    talk = Talk(2, is_pipelined=False)
    said = [talk.begin(), *(talk.hear(line) for line in (*GROUP, TAKEN))]
    assert said == [
        "MAIL FROM:<digest@paperboy.example>\r\n",
        "RCPT TO:<r1@example.org>\r\n",
        "DATA\r\n",
        body(1),
        "MAIL FROM:<digest@paperboy.example>\r\n",
    ]


def test_a_relay_that_answers_in_pieces_is_understood() -> None:
    talk = Talk(1)
    talk.begin()
    for letter in "250-2.1.0 first\r\n250 2.1.0 second\r\n250 ok\r\n354 go\r\n250-a\r\n250 b\r\n":
        talk.dialogue.hear(letter.encode())
    talk.take()
    assert talk.outcomes == {1: SendOutcome(Phase.REPLIED, 250, "a b")}


@pytest.mark.parametrize(
    "answers", [("451 4.7.1 later", "503 no", "503 no"), ("451 4.7.1 later",) * 3]
)
def test_a_refused_sender_is_told_by_its_own_reply(answers: tuple[str, ...]) -> None:
    talk = Talk(2)
    talk.begin()
    assert talk.hear(*answers) == "RSET\r\n"
    assert talk.outcomes == {1: SendOutcome(Phase.MAIL, 451, "4.7.1 later")}
    assert talk.hear("250 ok") == commands(2)


def test_a_refused_recipient_is_told_by_its_own_reply_and_not_by_datas() -> None:
    talk = Talk(2)
    talk.begin()
    assert talk.hear("250 ok", "550 5.1.1 nobody", "554 5.5.1 no valid recipients") == "RSET\r\n"
    assert talk.outcomes == {1: SendOutcome(Phase.RCPT, 550, "5.1.1 nobody")}


def test_a_354_after_a_refusal_gets_no_body_and_ends_the_connection() -> None:
    talk = Talk(2)
    talk.begin()
    assert talk.hear("250 ok", "550 5.1.1 nobody", "354 go on") == ""
    assert talk.outcomes == {1: SendOutcome(Phase.RCPT, 550, "5.1.1 nobody")}
    assert talk.dialogue.is_over
    assert len(talk.waiting) == 1


def test_a_refusal_in_the_next_group_is_not_held_against_the_message_before() -> None:
    talk = Talk(3)
    talk.begin()
    talk.hear(*GROUP)
    talk.hear(TAKEN, "250 ok", "550 5.1.1 nobody", "554 no")
    assert talk.states() == {1: "sent", 2: "failed"}
    assert talk.hear("250 ok") == commands(3)


def test_a_refused_body_leaves_the_next_message_alone() -> None:
    talk = Talk(2)
    talk.begin()
    talk.hear(*GROUP)
    assert talk.hear("554 5.6.0 refused", *GROUP) == body(2)
    assert talk.hear(TAKEN) == ""
    assert talk.states() == {1: "failed", 2: "sent"}


@pytest.mark.parametrize(
    ("heard", "states"),
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
def test_a_connection_that_ends_leaves_doubt_only_about_the_body_that_was_said(
    heard: tuple[str, ...], states: dict[int, str]
) -> None:
    talk = Talk(2)
    talk.begin()
    talk.hear(*GROUP)
    talk.hear(*heard)
    talk.lose()
    assert talk.states() == states


def test_the_next_message_of_a_lost_group_was_not_even_opened() -> None:
    talk = Talk(2)
    talk.begin()
    talk.hear(*GROUP)
    talk.lose()
    assert (talk.outcomes[2].phase, talk.outcomes[2].code) == (Phase.MAIL, 0)


def test_a_connection_that_rested_must_answer_before_it_is_given_a_message() -> None:
    talk = Talk(1)
    assert talk.begin(is_checked=True) == "RSET\r\n"
    assert talk.dialogue.awaited is Awaited.RESET
    assert len(talk.waiting) == 1
    assert talk.hear("250 ok") == commands(1)


def test_what_nobody_asked_for_ends_the_talk() -> None:
    talk = Talk(0)
    talk.begin()
    talk.hear("421 4.3.2 idle too long")
    assert talk.dialogue.is_over


def test_what_no_database_takes_is_taken_out_of_a_reply() -> None:
    talk = Talk(1)
    talk.begin()
    talk.dialogue.hear(b"250 ok\r\n550-5.1.1 no\x00body\r\n550 \x1b[31mhere\xff\r\n503\r\n")
    talk.take()
    assert talk.outcomes[1].text == "5.1.1 no body [31mhere\ufffd"


def test_a_reply_without_an_end_is_none() -> None:
    talk = Talk(1)
    talk.begin()
    talk.dialogue.hear(b"250-more\r\n" * 10_000)
    talk.take()
    assert talk.dialogue.is_over
    assert talk.states() == {1: "queued"}


@pytest.mark.parametrize("address", ["a b@example.org", "a\r\nDATA@example.org", "<a>@example.org"])
def test_an_address_that_would_leave_its_command_lands_unsaid(address: str) -> None:
    talk = Talk(2)
    talk.waiting[0] = Envelope(1, "digest@paperboy.example", address, b"x\r\n")
    assert talk.begin() == commands(2)
    assert talk.states() == {1: "failed"}


REPLIES = st.sampled_from(
    ["250 ok", "354 go", "451 later", "421 closing", "550 no", "554 no", "rubbish", "250-more"]
)


@given(st.lists(REPLIES, max_size=30), st.booleans(), st.booleans())
def test_whatever_a_relay_says_every_message_lands_once_and_bodies_follow_their_354(
    replies: list[str], is_pipelined: bool, is_early: bool
) -> None:
    talk = Talk(4, is_pipelined=is_pipelined, is_early=is_early)
    said = talk.begin()
    for reply in replies:
        said += talk.hear(reply)
    talk.lose()
    opened = said.count("MAIL FROM")
    assert len(talk.outcomes) == opened
    assert len(talk.waiting) == 4 - opened
    assert said.count("\r\n.\r\n") <= replies.count("354 go")
    for number, state in talk.states().items():
        was_said = body(number) in said
        assert was_said or state in {"queued", "failed"}
        assert state != "sent" or was_said


@given(st.binary(max_size=80))
def test_whatever_is_sent_comes_out_with_whole_lines_and_one_end(payload: bytes) -> None:
    wire = wire_form(Envelope(1, "a@b.example", "c@d.example", payload)) + b".\r\n"
    assert wire.endswith(b"\r\n.\r\n") or wire == b".\r\n"
    assert wire.count(b"\r\n.\r\n") <= 1
    assert wire.replace(b"\r\n", b"").count(b"\r") == wire.replace(b"\r\n", b"").count(b"\n") == 0
