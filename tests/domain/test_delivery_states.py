"""The life of a delivery, and what a relay's words mean for it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.delivery import (
    DEAD_ADDRESS_CODES,
    NEXT_STATES,
    RETRY_MINUTES,
    Phase,
    SendOutcome,
    SkipReason,
    balance_closes,
    classify_outcome,
    enhanced_code,
    may_follow,
    retry_delay,
    skip_reason,
)
from service.domain.types import DeliveryState, SubscriberState, SuppressionReason

S = DeliveryState
NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
OUTCOMES = st.builds(
    SendOutcome,
    phase=st.sampled_from(Phase),
    code=st.just(0) | st.integers(100, 700),
    text=st.sampled_from(["", "OK", "5.1.1 no such user", "5.7.1 refused", "4.7.1 later", "x\ny"]),
)


@given(OUTCOMES, st.integers(1, 40))
def test_what_a_try_comes_to_may_follow_flight(outcome: SendOutcome, attempt: int) -> None:
    decision = classify_outcome(outcome, attempt)
    assert may_follow(S.IN_FLIGHT, decision.state)
    assert (decision.retry_after is not None) == (decision.state is S.QUEUED)


@given(OUTCOMES, st.integers(1, 40))
def test_a_message_whose_data_was_not_answered_is_never_sent_again(
    outcome: SendOutcome, attempt: int
) -> None:
    decision = classify_outcome(outcome, attempt)
    if outcome.phase in {Phase.DATA, Phase.REPLIED} and not outcome.code:
        assert decision.state is S.IN_DOUBT
    else:
        assert decision.state in {S.SENT, S.QUEUED, S.FAILED, S.IN_DOUBT}


@given(OUTCOMES, st.integers(1, 40))
def test_only_a_good_reply_to_the_whole_message_counts_as_sent(
    outcome: SendOutcome, attempt: int
) -> None:
    is_sent = classify_outcome(outcome, attempt).state is S.SENT
    assert is_sent == (outcome.phase is Phase.REPLIED and 200 <= outcome.code < 300)


@given(OUTCOMES, st.integers(1, 40))
def test_only_words_about_the_address_suppress_it(outcome: SendOutcome, attempt: int) -> None:
    decision = classify_outcome(outcome, attempt)
    if decision.suppress is not None:
        assert decision.suppress is SuppressionReason.HARD_BOUNCE
        assert decision.state is S.FAILED
        assert enhanced_code(outcome.text) in DEAD_ADDRESS_CODES


@pytest.mark.parametrize(
    ("outcome", "state", "is_suppressed"),
    [
        (SendOutcome(Phase.REPLIED, 250, "2.0.0 OK"), S.SENT, False),
        (SendOutcome(Phase.CONNECT, 0, "refused"), S.QUEUED, False),
        (SendOutcome(Phase.CONNECT, 554, "go away"), S.QUEUED, False),
        (SendOutcome(Phase.MAIL, 421, "closing"), S.QUEUED, False),
        (SendOutcome(Phase.RCPT, 0, "lost"), S.QUEUED, False),
        (SendOutcome(Phase.RCPT, 451, "4.7.1 greylisted"), S.QUEUED, False),
        (SendOutcome(Phase.RCPT, 550, "5.1.1 no such user"), S.FAILED, True),
        (SendOutcome(Phase.RCPT, 550, "no such user"), S.FAILED, False),
        (SendOutcome(Phase.RCPT, 554, "5.7.1 listed"), S.FAILED, False),
        (SendOutcome(Phase.DATA, 0, ""), S.IN_DOUBT, False),
        (SendOutcome(Phase.REPLIED, 0, ""), S.IN_DOUBT, False),
        (SendOutcome(Phase.REPLIED, 452, "4.2.2 full"), S.QUEUED, False),
        (SendOutcome(Phase.REPLIED, 552, "5.2.2 full"), S.FAILED, False),
    ],
)
def test_a_reply_means(outcome: SendOutcome, state: DeliveryState, is_suppressed: bool) -> None:
    decision = classify_outcome(outcome, 1)
    assert decision.state is state
    assert (decision.suppress is not None) is is_suppressed
    assert decision.detail or not outcome.text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("5.1.1 no such user", "5.1.1"),
        ("<reader@example.org>: 4.2.2 full", "4.2.2"),
        ("#5.1.10 unknown", "5.1.10"),
        ("blocked. See 5.7.1.", "5.7.1"),
        ("client 5.1.1.9 is listed", ""),
        ("client 10.5.1.1 is listed", ""),
        ("client 195.1.1.1 is listed, 5.7.1 says policy", "5.7.1"),
        ("version 15.1.1", ""),
        ("no code", ""),
    ],
)
def test_an_enhanced_code_is_not_a_piece_of_an_address(text: str, code: str) -> None:
    assert enhanced_code(text) == code


def test_a_retry_waits_longer_each_time_and_never_less() -> None:
    waits = [retry_delay(attempt) for attempt in range(1, 10)]
    assert waits[: len(RETRY_MINUTES)] == [timedelta(minutes=m) for m in RETRY_MINUTES]
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(minutes=RETRY_MINUTES[-1])


def test_every_state_has_its_followers_and_no_row_is_stuck() -> None:
    assert NEXT_STATES.keys() == set(DeliveryState)
    for state in DeliveryState:
        reached, edge = {state}, {state}
        while edge := {following for one in edge for following in NEXT_STATES[one]} - reached:
            reached |= edge
        assert any(one.is_final for one in reached), state
        if not state.is_final:
            assert NEXT_STATES[state]


def test_what_left_the_house_never_goes_out_again_by_itself() -> None:
    assert not may_follow(S.SENT, S.QUEUED)
    for state in (S.SENT, S.FAILED, S.SKIPPED, S.CARRIED, S.BOUNCED, S.COMPLAINED):
        assert NEXT_STATES[state].isdisjoint({S.QUEUED, S.CLAIMED, S.IN_FLIGHT})


# Every move that claiming, sending, sweeping and resolving make.
@pytest.mark.parametrize(
    ("state", "following"),
    [
        (S.QUEUED, S.CLAIMED),
        (S.QUEUED, S.SKIPPED),
        (S.CLAIMED, S.SKIPPED),
        (S.CLAIMED, S.FAILED),
        (S.CLAIMED, S.QUEUED),
        (S.CLAIMED, S.IN_FLIGHT),
        (S.IN_FLIGHT, S.IN_DOUBT),
        (S.IN_DOUBT, S.SENT),
        (S.IN_DOUBT, S.CARRIED),
        (S.IN_DOUBT, S.QUEUED),
    ],
)
def test_every_step_of_sending_is_foreseen(state: DeliveryState, following: DeliveryState) -> None:
    assert may_follow(state, following)


LATER = NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("state", "is_suppressed", "until", "needs_active", "reason"),
    [
        (None, True, NOW, True, SkipReason.ERASED),
        (SubscriberState.ACTIVE, True, NOW, True, SkipReason.SUPPRESSED),
        (SubscriberState.SUPPRESSED, False, LATER, False, SkipReason.SUPPRESSED),
        (SubscriberState.PAUSED, False, LATER, True, SkipReason.PAUSED),
        (SubscriberState.UNSUBSCRIBED, False, NOW, True, SkipReason.UNSUBSCRIBED),
        (SubscriberState.PENDING, False, LATER, True, SkipReason.UNSUBSCRIBED),
        (SubscriberState.PENDING, False, LATER, False, None),
        (SubscriberState.UNSUBSCRIBED, False, LATER, False, None),
        (SubscriberState.ACTIVE, False, LATER, True, None),
        (SubscriberState.ACTIVE, False, NOW, True, SkipReason.LATE),
        (SubscriberState.PAUSED, False, NOW, False, SkipReason.LATE),
    ],
)
def test_the_first_reason_not_to_send_is_the_one_told(
    state: SubscriberState | None,
    is_suppressed: bool,
    until: datetime,
    needs_active: bool,
    reason: SkipReason | None,
) -> None:
    found = skip_reason(
        state, is_suppressed=is_suppressed, send_not_after=until, now=NOW, needs_active=needs_active
    )
    assert found is reason


def test_a_balance_closes_only_over_counted_candidates() -> None:
    assert balance_closes(3, {S.SENT: 2, S.SKIPPED: 1})
    assert balance_closes(0, {})
    assert not balance_closes(3, {S.SENT: 2})
    assert not balance_closes(None, {})


def test_an_outcome_without_a_code_tells_its_words() -> None:
    assert SendOutcome(Phase.CONNECT, 0, "refused").reply == "refused"
    assert SendOutcome(Phase.RCPT, 550, "no").reply == "550 no"
