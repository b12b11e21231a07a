"""The retry policy: waits, deferrals, and no mail after its latest time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.deliveries.domain.recipients import SuppressionReason
from service.deliveries.domain.states import (
    DEAD_ADDRESS_CODES,
    DeliveryState,
    Phase,
    SendOutcome,
    enhanced_code,
    may_follow,
)
from service.sending.domain.retries import (
    JITTER,
    RETRY_MINUTES,
    Tries,
    decide,
    find_wait,
    retry_delay,
)
from service.sending.domain.smtp_replies import ReplyKind

S, K = DeliveryState, ReplyKind
NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
OUTCOMES = st.builds(
    SendOutcome,
    phase=st.sampled_from(Phase),
    code=st.just(0) | st.integers(100, 700),
    text=st.sampled_from(
        [
            "", "OK", "5.1.1 no such user", "5.7.1 refused", "4.7.1 later", "4.2.2 full", "x\ny",
            "4.7.0 try again in 99999 hours", "5.3.4 too big", "4.4.2 timeout", "5.7.26 no SPF",
        ]
    ),
)  # fmt: skip
TRIES = st.builds(
    Tries,
    delivery_id=st.integers(1, 2**62),
    deferral_count=st.integers(0, 60),
    send_not_after=st.timedeltas(timedelta(0), timedelta(days=3)).map(lambda span: NOW + span),
    is_paused=st.booleans(),
)
DAY = NOW + timedelta(hours=20)


def tries(deferral_count: int = 0, *, until: datetime = DAY, is_paused: bool = False) -> Tries:
    return Tries(17, deferral_count, until, is_paused)


@given(OUTCOMES, TRIES)
def test_every_outcome_has_a_decision_allowed_after_in_flight(
    outcome: SendOutcome, past: Tries
) -> None:
    decision = decide(outcome, past, NOW)
    assert may_follow(S.IN_FLIGHT, decision.state)
    waits = decision.state is S.QUEUED and outcome.phase is not Phase.WITHDRAWN
    assert (decision.retry_after is not None) == waits
    assert decide(outcome, past, NOW) == decision


@given(OUTCOMES, TRIES)
def test_nothing_is_tried_again_after_its_time(outcome: SendOutcome, past: Tries) -> None:
    decision = decide(outcome, past, NOW)
    if decision.retry_after is not None:
        assert NOW < NOW + decision.retry_after < past.send_not_after


@given(OUTCOMES, TRIES)
def test_a_message_without_a_reply_to_its_data_is_never_sent_again(
    outcome: SendOutcome, past: Tries
) -> None:
    is_silent = outcome.phase in {Phase.DATA, Phase.REPLIED} and not outcome.code
    assert (decide(outcome, past, NOW).state is S.IN_DOUBT) == is_silent


@given(OUTCOMES, TRIES)
def test_only_a_good_reply_to_the_whole_message_counts_as_sent(
    outcome: SendOutcome, past: Tries
) -> None:
    is_sent = decide(outcome, past, NOW).state is S.SENT
    assert is_sent == (outcome.phase is Phase.REPLIED and 200 <= outcome.code < 300)


@given(OUTCOMES, TRIES)
def test_only_codes_about_the_address_suppress_it(outcome: SendOutcome, past: Tries) -> None:
    decision = decide(outcome, past, NOW)
    if decision.suppress is not None:
        assert decision.suppress is SuppressionReason.HARD_BOUNCE
        assert decision.state is S.FAILED
        assert enhanced_code(outcome.text) in DEAD_ADDRESS_CODES


@given(OUTCOMES, TRIES)
def test_a_fault_of_the_relay_never_counts_as_a_deferral(outcome: SendOutcome, past: Tries) -> None:
    if outcome.phase is Phase.CONNECT:
        decision = decide(outcome, past, NOW)
        assert not decision.is_deferral
        assert decision.state is S.QUEUED or decision.detail.startswith("late")


@pytest.mark.parametrize(
    ("outcome", "state", "is_suppressed"),
    [
        (SendOutcome(Phase.REPLIED, 250, "2.0.0 OK"), S.SENT, False),
        (SendOutcome(Phase.WITHDRAWN, 0, "withdrawn"), S.QUEUED, False),
        (SendOutcome(Phase.CONNECT, 0, "refused"), S.QUEUED, False),
        (SendOutcome(Phase.CONNECT, 554, "go away"), S.QUEUED, False),
        (SendOutcome(Phase.MAIL, 421, "closing"), S.QUEUED, False),
        (SendOutcome(Phase.RCPT, 0, "lost"), S.QUEUED, False),
        (SendOutcome(Phase.RCPT, 451, "4.7.1 greylisted"), S.QUEUED, False),
        (SendOutcome(Phase.RCPT, 550, "5.1.1 no such user"), S.FAILED, True),
        (SendOutcome(Phase.RCPT, 550, "no such user"), S.FAILED, False),
        (SendOutcome(Phase.RCPT, 554, "5.7.1 listed"), S.QUEUED, False),
        (SendOutcome(Phase.DATA, 0, ""), S.IN_DOUBT, False),
        (SendOutcome(Phase.REPLIED, 0, ""), S.IN_DOUBT, False),
        (SendOutcome(Phase.REPLIED, 452, "4.2.2 full"), S.QUEUED, False),
        (SendOutcome(Phase.REPLIED, 552, "5.2.2 full"), S.FAILED, False),
    ],
)
def test_a_reply_means(outcome: SendOutcome, state: DeliveryState, is_suppressed: bool) -> None:
    decision = decide(outcome, tries(), NOW)
    assert decision.state is state
    assert (decision.suppress is not None) is is_suppressed
    assert decision.detail or not outcome.text


@pytest.mark.parametrize("kind", list(RETRY_MINUTES))
def test_a_wait_follows_the_table_with_deterministic_jitter(kind: ReplyKind) -> None:
    minutes = RETRY_MINUTES[kind]
    for count in range(len(minutes) + 3):
        base = timedelta(minutes=minutes[min(count, len(minutes) - 1)])
        waits = [retry_delay(kind, number, count) for number in range(200)]
        assert waits == [retry_delay(kind, number, count) for number in range(200)]
        assert all(base <= wait <= base * (1 + JITTER) for wait in waits)
        # Mails deferred together spread out: only a few are in the same twentieth of the span.
        spread = [int((wait - base) / (base * JITTER) * 20) for wait in waits]
        assert max(spread.count(one) for one in set(spread)) <= 25


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4.7.1 Greylisted, try again in 300 seconds", 310),
        ("4.2.0 please retry after 90s", 100),
        ("Greylisted for 5 minutes", 310),
        ("come back in 1 hour", 3610),
        ("try again later (wait 00 minutes)", 10),
        ("delayed for 7 mins", 430),
        ("please try again in 99999 h", 4 * 3600 + 10),
        ("try again later", None),
        ("too many messages in the last 10 minutes", None),
        ("retry, see https://example.org/99 mail", None),
        ("", None),
    ],
)
def test_a_wait_that_the_reply_asks_for_is_used(text: str, seconds: int | None) -> None:
    requested = timedelta(seconds=seconds) if seconds is not None else None
    assert find_wait(text) == requested
    if requested is not None:
        wait = retry_delay(K.GREYLISTED, 17, 0, text)
        assert requested <= wait <= requested * (1 + JITTER)


def test_a_policy_refusal_is_tried_twice_more_and_then_fails() -> None:
    refusal = SendOutcome(Phase.RCPT, 550, "5.7.1 blocked")
    first, second, third = (decide(refusal, tries(count), NOW) for count in range(3))
    assert (first.state, second.state, third.state) == (S.QUEUED, S.QUEUED, S.FAILED)
    assert first.is_deferral
    assert second.is_deferral
    assert third.detail == "policy: 550 5.7.1 blocked"
    assert third.suppress is None


def test_a_policy_refusal_behind_an_open_breaker_neither_fails_nor_counts() -> None:
    refusal = SendOutcome(Phase.RCPT, 550, "5.7.1 blocked")
    decision = decide(refusal, tries(9, is_paused=True), NOW)
    assert (decision.state, decision.is_deferral) == (S.QUEUED, False)


def test_a_mail_without_time_left_fails_as_late_with_the_last_reply() -> None:
    greylisted = SendOutcome(Phase.RCPT, 451, "4.7.1 later")
    until = NOW + timedelta(minutes=15)
    decision = decide(greylisted, tries(until=until), NOW)
    assert (decision.state, decision.detail) == (S.FAILED, "late: 451 4.7.1 later")


def test_a_missing_reply_has_a_detail_of_our_own() -> None:
    assert (
        decide(SendOutcome(Phase.DATA, 0, ""), tries(), NOW).detail == "no reply after the message"
    )
