"""Sets of papers as bits of one integer: taken apart and put together without loss."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.topics.domain.matching.bitsets import iterate_bits, list_bits, to_bits

POSITIONS = st.frozensets(st.one_of(st.integers(0, 130), st.integers(0, 30_000)))


@given(POSITIONS)
def test_the_bits_of_a_set_are_its_positions_in_order(positions: frozenset[int]) -> None:
    bits = to_bits(positions)
    assert bits == sum(1 << position for position in positions)
    assert list_bits(bits) == list(iterate_bits(bits)) == sorted(positions)
