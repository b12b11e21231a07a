"""Bounce scores: the same events give the same score in any order and number."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.bounces.domain.thresholds import (
    ARRIVED,
    BounceScore,
    BounceView,
    next_score,
    state_after,
)
from service.deliveries.domain.recipients import SuppressionReason
from service.deliveries.domain.states import BounceVerdict, DeliveryState

V = BounceVerdict
NOW = datetime(2026, 9, 18, 5, tzinfo=UTC)
HARD = SuppressionReason.HARD_BOUNCE


def event(key: str, verdict: V = V.FULL, weight: int = 20, days_ago: float = 0) -> BounceView:
    return BounceView(key, verdict, weight, NOW - timedelta(days=days_ago))


def full_every(days: int, count: int) -> list[BounceView]:
    return [event(f"e{number}", days_ago=days * number) for number in range(count)]


def test_no_events_suppress_no_subscriber() -> None:
    assert next_score([], NOW) == BounceScore(0.0)


def test_one_certain_hard_bounce_is_enough_however_late_it_comes() -> None:
    score = next_score([event("a", V.ADDRESS, 100, days_ago=400)], NOW)
    assert score.suppress is HARD
    assert "no such address" in score.why


def test_a_disabled_mailbox_needs_a_second_bounce() -> None:
    first, second = event("a", V.ADDRESS, 50), event("b", V.ADDRESS, 60, days_ago=1)
    assert next_score([first], NOW).suppress is None
    assert next_score([first, second], NOW).suppress is HARD


def test_a_full_mailbox_ends_a_daily_subscription_on_the_sixth_day() -> None:
    assert next_score(full_every(1, 5), NOW).suppress is None
    score = next_score(full_every(1, 6), NOW)
    assert score.suppress is HARD
    assert score.why == "mail came back on 6 days"


def test_a_full_mailbox_ends_a_weekly_subscription_in_the_ninth_week() -> None:
    assert next_score(full_every(7, 8), NOW).suppress is None
    assert next_score(full_every(7, 9), NOW).suppress is HARD


def test_old_bounces_decay() -> None:
    assert next_score(full_every(45, 40), NOW).suppress is None
    assert next_score([event("a", days_ago=30)], NOW).score == pytest.approx(10)


def test_ten_bounces_of_one_day_are_one() -> None:
    events = [event(f"e{number}", days_ago=number / 100) for number in range(10)]
    assert next_score(events, NOW).score == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("verdict", [V.POLICY, V.CONTENT, V.CONFIGURATION, *sorted(ARRIVED)])
def test_bounces_that_are_not_the_subscribers_fault_never_count(verdict: V) -> None:
    events = [event(f"e{n}", verdict, 100, days_ago=n) for n in range(50)]
    assert next_score(events, NOW) == BounceScore(0.0)


def test_one_complaint_is_final_and_named_as_such() -> None:
    events = [event("a", V.ADDRESS, 100), event("b", V.COMPLAINT, 0, days_ago=1000)]
    assert next_score(events, NOW).suppress is SuppressionReason.COMPLAINT


def test_an_event_from_a_clock_that_is_ahead_counts_as_of_now() -> None:
    assert next_score([event("a", days_ago=-0.2)], NOW).score == 20


EVENTS = st.lists(
    st.builds(
        event,
        st.integers(0, 30).map(str),
        st.sampled_from(list(V)),
        st.sampled_from([0, 20, 50, 100]),
        st.floats(-1, 300),
    ),
    max_size=20,
    unique_by=lambda one: one.key,
)


@given(EVENTS, st.data())
def test_order_and_repetition_change_nothing(events: list[BounceView], data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(events))) if events else []
    shuffled = data.draw(st.permutations([*events, *again]))
    assert next_score(shuffled, NOW) == next_score(events, NOW)


@given(EVENTS, EVENTS)
def test_more_events_never_lower_a_score(some: list[BounceView], more: list[BounceView]) -> None:
    others = [one for one in more if one.key not in {known.key for known in some}]
    before, after = next_score(some, NOW), next_score([*some, *others], NOW)
    assert after.score >= before.score
    assert after.suppress is not None or before.suppress is None


@pytest.mark.parametrize("verdict", list(V))
def test_every_verdict_has_a_delivery_state(verdict: V) -> None:
    expected = {
        V.COMPLAINT: DeliveryState.COMPLAINED,
        V.AUTO_REPLY: DeliveryState.SENT,
        V.NOT_A_BOUNCE: DeliveryState.SENT,
    }.get(verdict, DeliveryState.BOUNCED)
    assert state_after(verdict) is expected
