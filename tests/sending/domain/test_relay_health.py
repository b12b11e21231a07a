"""Weighted round robin among several relays, and their back-off."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from service.sending.domain.relay_health import (
    REST_SECONDS,
    RelayHealth,
    after_failure,
    after_success,
    next_relay,
)


def turns(healths: list[RelayHealth], count: int, at: float = 0.0) -> list[int]:
    chosen = []
    for _ in range(count):
        place, healths = next_relay(healths, at)
        assert place is not None
        chosen.append(place)
    return chosen


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_each_relay_gets_exactly_its_weight_in_each_round(weights: list[int]) -> None:
    rounds = turns([RelayHealth(weight) for weight in weights], sum(weights) * 3)
    assert Counter(rounds) == {place: weight * 3 for place, weight in enumerate(weights)}


def test_a_relay_with_a_large_weight_is_not_chosen_many_times_in_a_row() -> None:
    assert turns([RelayHealth(3), RelayHealth(1)], 8) == [0, 0, 1, 0, 0, 0, 1, 0]


def test_a_relay_that_failed_rests_and_the_others_take_its_share() -> None:
    failed = after_failure(RelayHealth(3), 100.0)
    healths = [failed, RelayHealth(1), RelayHealth(1)]
    assert set(turns(healths, 10, at=100.0)) == {1, 2}
    assert 0 in turns(healths, 5, at=100.0 + REST_SECONDS[0])


def test_a_relay_that_fails_again_rests_longer_up_to_a_limit() -> None:
    health, at, rests = RelayHealth(), 0.0, []
    for _ in range(8):
        health = after_failure(health, at)
        rests.append(health.rests_until - at)
        at = health.rests_until
    assert rests == [*REST_SECONDS, *[REST_SECONDS[-1]] * 3]
    assert after_success(health) == RelayHealth(credit=health.credit)


def test_many_connections_that_fail_together_are_one_failure() -> None:
    once = after_failure(RelayHealth(), 10.0)
    assert after_failure(once, 10.5) == once


def test_if_all_rest_or_were_tried_there_is_no_relay() -> None:
    healths = [after_failure(RelayHealth(), 10.0), after_failure(RelayHealth(), 10.4)]
    assert next_relay(healths, 10.5) == (None, healths)
    assert next_relay([RelayHealth()], 0.0, avoid=frozenset({0}))[0] is None
