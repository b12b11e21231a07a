"""What a subscriber saved and dismissed changes the order under a topic, and nothing else."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.editions.domain.learned_order import learn_factors, place_factors
from service.editions.domain.recommendations import Candidates, Vector

WORDS = "abcdef"
VECTORS = st.dictionaries(st.sampled_from(WORDS), st.floats(0.1, 1), max_size=4)
SIGNALS = st.lists(VECTORS, max_size=6)
PAPERS = Candidates({1: {"a": 1.0}, 2: {"b": 1.0}, 3: {"c": 0.6, "a": 0.8}})


def test_papers_like_the_saved_come_first_and_like_the_dismissed_last() -> None:
    factors = learn_factors([{"a": 1.0}, {"a": 1.0}], [{"b": 1.0}], PAPERS)
    assert factors[1] >= factors[3] > 1000 > factors[2]


@pytest.mark.parametrize(("saved", "dismissed"), [([], []), ([{"a": 1.0}], []), ([], [{"a": 1.0}])])
def test_one_signal_changes_nothing(saved: Sequence[Vector], dismissed: Sequence[Vector]) -> None:
    assert learn_factors(saved, dismissed, PAPERS) == {}
    assert place_factors({}, [1, 2, 3]) is None


@given(SIGNALS, SIGNALS)
def test_factors_are_bounded_whatever_was_saved(
    saved: list[Vector], dismissed: list[Vector]
) -> None:
    factors = learn_factors(saved, dismissed, PAPERS)
    assert all(500 <= factor <= 2000 for factor in factors.values())
    if len(saved) + len(dismissed) >= 2:
        assert factors.keys() == {1, 2, 3}
        # In the other order of saving, the same.
        assert learn_factors(saved[::-1], dismissed[::-1], PAPERS) == factors


@given(SIGNALS)
def test_saved_and_dismissed_papers_are_opposites(vectors: list[Vector]) -> None:
    liked, disliked = learn_factors(vectors, [], PAPERS), learn_factors([], vectors, PAPERS)
    for i, factor in liked.items():
        assert abs(factor * disliked[i] - 1_000_000) <= 2_000


def test_a_paper_that_may_not_be_suggested_keeps_its_place() -> None:
    assert place_factors({1: 2000}, [5, 1]) == [1000, 2000]
