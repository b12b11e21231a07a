"""The state machine of a delivery, enhanced codes and skip reasons."""

from datetime import UTC, datetime, timedelta

import pytest

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import (
    NEXT_STATES,
    DeliveryState,
    Phase,
    SendOutcome,
    SkipReason,
    balance_closes,
    enhanced_code,
    may_follow,
    skip_reason,
)

S = DeliveryState
NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)


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
def test_an_enhanced_code_is_not_part_of_an_ip_address(text: str, code: str) -> None:
    assert enhanced_code(text) == code


def test_every_state_has_its_transitions_and_no_row_is_stuck() -> None:
    assert NEXT_STATES.keys() == set(DeliveryState)
    for state in DeliveryState:
        reached, edge = {state}, {state}
        while edge := {after for before in edge for after in NEXT_STATES[before]} - reached:
            reached |= edge
        assert any(end.is_final for end in reached), state
        if not state.is_final:
            assert NEXT_STATES[state]


def test_a_sent_message_is_never_sent_again_automatically() -> None:
    assert not may_follow(S.SENT, S.QUEUED)
    for state in (S.SENT, S.FAILED, S.SKIPPED, S.CARRIED, S.BOUNCED, S.COMPLAINED):
        assert NEXT_STATES[state].isdisjoint({S.QUEUED, S.CLAIMED, S.IN_FLIGHT})


# Every transition made by claiming, sending, sweeping and resolving.
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
def test_every_transition_of_sending_is_allowed(
    state: DeliveryState, following: DeliveryState
) -> None:
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
def test_the_first_reason_not_to_send_is_returned(
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
    assert balance_closes(3, [2, 1])
    assert balance_closes(0, [])
    assert not balance_closes(3, [2])
    assert not balance_closes(None, [])


def test_an_outcome_without_a_code_has_its_text_as_reply() -> None:
    assert SendOutcome(Phase.CONNECT, 0, "refused").reply == "refused"
    assert SendOutcome(Phase.RCPT, 550, "no").reply == "550 no"
