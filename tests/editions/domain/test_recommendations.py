"""Suggestions: similar to saved papers, not to dismissed ones, and none rather than weak ones."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.editions.domain.recommendations import (
    FEWEST_KEPT,
    MOST_SUGGESTIONS,
    PROFILE_TERMS,
    THRESHOLD,
    Candidates,
    Rarity,
    Vector,
    count_terms,
    make_profile,
    suggest,
)


def unit(**weights: float) -> Vector:
    length = math.sqrt(sum(weight**2 for weight in weights.values()))
    return {term: weight / length for term, weight in weights.items()}


TERMS = st.sampled_from([*"abcdefgh"])
VECTORS: st.SearchStrategy[Vector] = st.dictionaries(
    TERMS, st.integers(1, 9), min_size=1, max_size=6
).map(lambda weights: unit(**weights))
CANDIDATES = st.dictionaries(st.integers(1, 50), VECTORS, max_size=20)


@given(
    st.lists(VECTORS, max_size=5),
    st.lists(VECTORS, max_size=3),
    CANDIDATES,
    st.frozensets(st.integers(1, 50)),
    st.randoms(),
)
def test_suggestions_are_few_near_allowed_and_the_same_in_any_order(
    kept: list[Vector],
    dismissed: list[Vector],
    vectors: dict[int, Vector],
    barred: frozenset[int],
    random: Random,
) -> None:
    found = suggest(kept, dismissed, Candidates(vectors), barred)
    assert len(found) <= MOST_SUGGESTIONS
    assert not barred.intersection(found)
    assert len(kept) >= FEWEST_KEPT or not found
    profile = make_profile(kept, dismissed)
    for i in found:
        score = sum(weight * profile.get(term, 0.0) for term, weight in vectors[i].items())
        assert score >= THRESHOLD - 1e-8
    shuffled = [*vectors.items()]
    for each in (kept, dismissed, shuffled):
        random.shuffle(each)
    assert suggest(kept, dismissed, Candidates(dict(shuffled)), barred) == found


def test_the_nearest_comes_first_and_ties_go_to_the_higher_id() -> None:
    kept = [unit(cat=1), unit(cat=1, dog=1)]
    vectors = {
        1: unit(cat=1, fish=1),
        2: unit(cat=1),
        3: unit(cat=1, fish=1),
        4: unit(fish=1),
        5: unit(cat=1, dog=1),
        6: unit(cat=1, fish=20),
    }
    assert suggest(kept, [], Candidates(vectors), limit=9) == (5, 2, 3, 1)
    assert suggest(kept, [], Candidates(vectors)) == (5, 2, 3)
    assert suggest(kept, [], Candidates(vectors), {5}, limit=1) == (2,)


def test_papers_like_a_dismissed_one_are_not_suggested() -> None:
    kept = [unit(cat=1), unit(cat=1, dog=1)]
    vectors = {1: unit(cat=1, survey=3), 2: unit(cat=1, robot=3)}
    assert suggest(kept, [], Candidates(vectors)) == (2, 1)
    assert suggest(kept, [unit(survey=1)], Candidates(vectors)) == (2,)


@pytest.mark.parametrize("kept", [[], [unit(cat=1)], [{}, {}]])
def test_too_few_saved_papers_suggest_nothing(kept: list[Vector]) -> None:
    assert suggest(kept, [], Candidates({1: unit(cat=1)})) == ()


def test_a_title_counts_twice_and_repeated_words_count_less_and_less() -> None:
    terms = count_terms({"cat": (1,)}, {"cat": (3, 9), "dog": (4,), "fish": ()})
    assert terms == {"cat": 1 + math.log(4), "dog": 1, "fish": 1}


def test_a_word_of_every_paper_has_no_weight() -> None:
    rarity = Rarity([{"we": 1, "cat": 1}, {"we": 1}, {"we": 1}])
    weighed = rarity.weigh({"we": 1, "cat": 1, "dog": 1})
    assert "we" not in weighed
    assert weighed["dog"] > weighed["cat"] > 0
    assert math.isclose(sum(weight**2 for weight in weighed.values()), 1)
    assert rarity.weigh({"we": 1}) == {}


def test_only_the_heaviest_terms_make_a_profile() -> None:
    many = {f"t{n:03d}": 1.0 + n for n in range(PROFILE_TERMS + 5)}
    assert sorted(make_profile([many], [])) == [f"t{n:03d}" for n in range(5, PROFILE_TERMS + 5)]
