"""The rate limit of a provider, and its circuit breaker."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sending.domain.provider_limits import (
    BURST,
    FULL_RATE,
    LOOKS_BACK,
    OPENS_AT,
    PROBE_AGAIN,
    PROBE_LOST,
    PROBE_MINUTES,
    RECOVERY_EVERY,
    RECOVERY_STEP,
    SLOWEST_RATE,
    SLOWING_EVERY,
    START_RATE,
    BreakerState,
    ProviderLimitView,
    is_trouble,
    next_at,
    next_limit,
    take,
)
from service.sending.domain.smtp_replies import ReplyKind

K = ReplyKind
NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
FRESH = ProviderLimitView("gmail", NOW)
SECOND = timedelta(seconds=1)


def apply(
    limit_state: ProviderLimitView, *kinds: ReplyKind, at: datetime = NOW
) -> ProviderLimitView:
    return next_limit(limit_state, [(kind, f"{kind} it says") for kind in kinds], at)


def opened(at: datetime = NOW) -> ProviderLimitView:
    return apply(FRESH, *[K.POLICY] * OPENS_AT, at=at)


def test_the_first_throttling_reply_sets_a_rate_and_further_ones_halve_it() -> None:
    limit_state = apply(FRESH, K.THROTTLED)
    assert limit_state.rate == START_RATE
    assert limit_state.last_reply == "throttled it says"
    # Messages already in flight complain of the previous rate.
    at = NOW + SLOWING_EVERY - SECOND
    assert apply(limit_state, *[K.THROTTLED] * 30, at=at).rate == START_RATE
    for times in range(1, 20):
        limit_state = apply(limit_state, K.THROTTLED, at=NOW + SLOWING_EVERY * times)
        assert limit_state.rate == max(START_RATE / 2**times, SLOWEST_RATE)


def test_a_rate_recovers_in_steps_with_accepted_mail_and_not_by_waiting() -> None:
    limit_state, at = apply(FRESH, K.THROTTLED), NOW
    for step in range(1, 6):
        at += RECOVERY_EVERY
        limit_state = apply(limit_state, *[K.ACCEPTED] * 40, at=at)
        assert limit_state.rate == START_RATE + RECOVERY_STEP * step
    assert limit_state.rate is not None
    assert (
        apply(limit_state, K.ACCEPTED, at=at + timedelta(hours=9)).rate
        == limit_state.rate + RECOVERY_STEP
    )


def test_a_recovered_rate_is_no_limit_and_the_row_is_healthy() -> None:
    limit_state, at = apply(FRESH, K.THROTTLED), NOW
    while limit_state.rate is not None:
        at += RECOVERY_EVERY
        limit_state = apply(limit_state, K.ACCEPTED, at=at)
    assert at - NOW == RECOVERY_EVERY * int((FULL_RATE - START_RATE) / RECOVERY_STEP)
    assert limit_state.is_healthy
    assert not apply(limit_state, K.POLICY).is_healthy


@given(
    st.lists(
        st.tuples(st.sampled_from(ReplyKind), st.integers(0, 7200), st.integers(0, 50)), max_size=60
    )
)
def test_for_any_replies_the_rate_stays_within_its_bounds(
    replies: list[tuple[ReplyKind, int, int]],
) -> None:
    limit_state, at = FRESH, NOW
    for kind, seconds, wanted in replies:
        at += timedelta(seconds=seconds)
        count, limit_state = take(limit_state, wanted, at)
        assert 0 <= count <= wanted
        limit_state = apply(limit_state, kind, at=at)
        assert limit_state.rate is None or SLOWEST_RATE <= limit_state.rate < FULL_RATE
        assert len(limit_state.recent) <= LOOKS_BACK
        assert (
            limit_state.is_open
            == (limit_state.probe_at is not None)
            == (limit_state.open_count > 0)
        )
        assert limit_state.is_open == (limit_state.opened_at is not None)
        assert next_at(limit_state, at) >= at
        assert next_limit(limit_state, [], at) == limit_state


@given(st.floats(SLOWEST_RATE, FULL_RATE), st.lists(st.integers(0, 300), min_size=1, max_size=80))
def test_no_more_is_sent_than_the_rate_allows(rate: float, gaps: list[int]) -> None:
    limit_state, at, taken = replace(FRESH, rate=rate), NOW, 0
    for gap in gaps:
        at += timedelta(seconds=gap)
        count, limit_state = take(limit_state, 10_000, at)
        taken += count
    seconds = (at - NOW + BURST) / SECOND
    assert taken <= rate * seconds + 1


def test_a_slow_provider_still_gets_one_message_at_a_time() -> None:
    limit_state = replace(FRESH, rate=SLOWEST_RATE)
    count, limit_state = take(limit_state, 5, NOW)
    assert count == 1
    assert take(limit_state, 5, NOW + timedelta(seconds=59))[0] == 0
    assert next_at(limit_state, NOW) == NOW + timedelta(minutes=1)
    assert take(limit_state, 5, NOW + timedelta(minutes=1))[0] == 1


@given(st.floats(SLOWEST_RATE, FULL_RATE), st.integers(0, 50), st.integers(0, 30))
def test_the_next_message_goes_at_the_announced_time(rate: float, before: int, gap: int) -> None:
    _, limit_state = take(replace(FRESH, rate=rate), before, NOW)
    now = NOW + timedelta(seconds=gap)
    at = next_at(limit_state, now)
    # A time has the precision of a microsecond.
    assert take(limit_state, 1, at + timedelta(microseconds=2))[0] == 1
    if at > now:
        assert take(limit_state, 1, at - timedelta(milliseconds=1))[0] == 0


def test_without_a_limit_everything_is_sent_and_nothing_of_nothing() -> None:
    assert take(FRESH, 7, NOW) == (7, FRESH)
    assert take(opened(), 0, NOW + timedelta(days=1))[0] == 0
    assert next_at(FRESH, NOW) == NOW


def test_the_breaker_opens_at_enough_policy_refusals_among_the_last_replies() -> None:
    limit_state = apply(FRESH, *[K.POLICY] * (OPENS_AT - 1))
    assert not limit_state.is_open
    mixed = apply(FRESH, *[K.POLICY, K.ACCEPTED, K.ACCEPTED] * 20)
    assert not mixed.is_open, "a third of refusals is some readers' trouble"
    limit_state = apply(limit_state, K.POLICY)
    assert limit_state.breaker is BreakerState.OPEN
    assert limit_state.opened_at == NOW
    assert limit_state.probe_at == NOW + timedelta(minutes=PROBE_MINUTES[0])
    assert limit_state.last_reply == "policy it says"


@pytest.mark.parametrize("kind", [K.GREYLISTED, K.FULL, K.PUT_OFF, K.REFUSED, K.RELAY])
def test_a_reply_about_one_address_or_the_relay_changes_nothing(kind: ReplyKind) -> None:
    assert apply(FRESH, *[kind] * 50) == FRESH
    assert not is_trouble(kind)


def test_an_open_breaker_allows_nothing_until_one_probe() -> None:
    limit_state = opened()
    assert take(limit_state, 100, NOW + timedelta(minutes=29))[0] == 0
    at = NOW + timedelta(minutes=30)
    assert next_at(limit_state, NOW) == at
    count, limit_state = take(limit_state, 100, at)
    assert (count, limit_state.breaker) == (1, BreakerState.PROBING)
    assert take(limit_state, 100, at + SECOND)[0] == 0


def test_replies_to_earlier_messages_are_ignored_while_open() -> None:
    limit_state = opened()
    for kind in (K.ACCEPTED, K.POLICY, K.THROTTLED):
        assert apply(limit_state, kind) == limit_state


def probing(at: datetime) -> ProviderLimitView:
    return take(opened(), 1, at)[1]


def test_an_accepted_probe_closes_the_breaker_and_starts_slowly() -> None:
    at = NOW + timedelta(minutes=30)
    limit_state = apply(probing(at), K.ACCEPTED, at=at)
    assert not limit_state.is_open
    assert limit_state.rate == START_RATE
    assert limit_state.recent.count("p") == 0


def test_a_refused_probe_opens_the_breaker_again_for_longer() -> None:
    limit_state, at, waits = opened(), NOW, []
    for _ in range(len(PROBE_MINUTES) + 1):
        at = next_at(limit_state, at)
        _, limit_state = take(limit_state, 1, at)
        limit_state = apply(limit_state, K.POLICY, at=at)
        assert limit_state.probe_at is not None
        waits.append((limit_state.probe_at - at) / timedelta(minutes=1))
    assert waits == [*PROBE_MINUTES[1:], PROBE_MINUTES[-1], PROBE_MINUTES[-1]]
    assert limit_state.opened_at == NOW, "the alert says since when"


def test_a_probe_with_another_error_is_repeated_soon() -> None:
    at = NOW + timedelta(minutes=30)
    limit_state = apply(probing(at), K.GREYLISTED, at=at)
    assert limit_state.breaker is BreakerState.OPEN
    assert next_at(limit_state, at) == at + PROBE_AGAIN


def test_a_probe_whose_worker_died_is_replaced() -> None:
    at = NOW + timedelta(minutes=30)
    limit_state = probing(at)
    assert take(limit_state, 9, at + PROBE_LOST - SECOND)[0] == 0
    assert take(limit_state, 9, at + PROBE_LOST)[0] == 1


def test_replies_are_applied_in_their_order() -> None:
    replies: Iterable[tuple[ReplyKind, str]] = ((K.POLICY, "x" * 900) for _ in range(9))
    limit_state = next_limit(FRESH, replies, NOW)
    assert limit_state.is_open
    assert len(limit_state.last_reply) == 300
    assert is_trouble(K.THROTTLED)
    assert is_trouble(K.POLICY)


def test_an_address_is_not_stored_with_the_limit() -> None:
    text = "4.7.0 <anne@example.org>: slower, anne@example.org (to=<b@x.example>)"
    limit_state = next_limit(FRESH, [(K.THROTTLED, text)], NOW)
    assert limit_state.last_reply == "4.7.0 <<address>>: slower, <address> (to=<<address>>)"
