"""The rule of like queries, and quantized vectors."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.similarity.domain.vectors import (
    DENSE_LIMIT,
    FACTOR_LIMIT,
    LIKE_QUERY_LEXEMES,
    LIKE_QUERY_LIMIT,
    SPARSE_LIMIT,
    LikeQueryView,
    PaperVectors,
    dot_dense,
    dot_sparse,
    is_like,
    like_keys,
    quantize,
    score_paper,
)


def signed(*values: int) -> bytes:
    return array("b", values).tobytes()


def like_query(threshold: int, *, model: str = "m", dense: bytes = signed(3, -4)) -> LikeQueryView:
    return LikeQueryView("t", model, 1, dense, ((5, 10), (7, 2)), 100, 7, threshold)


def paper(*, model: str = "m", dense: bytes = signed(2, -1)) -> PaperVectors:
    return PaperVectors(1, model, dense, ((5, 3), (6, 200), (7, 1)))


# -- the rule ------------------------------------------------------------------------------------


def test_a_score_is_the_sum_of_both_products_times_their_factors() -> None:
    assert score_paper(like_query(0), paper()) == 100 * (6 + 4) + 7 * (30 + 2)


def test_a_paper_satisfies_a_like_query_from_its_threshold_on() -> None:
    own = score_paper(like_query(0), paper())
    assert is_like(like_query(own), paper())
    assert not is_like(like_query(own + 1), paper())


def test_a_paper_of_another_model_or_without_one_satisfies_no_like_query() -> None:
    assert not is_like(like_query(-(10**9)), paper(model="other"))
    assert not is_like(like_query(-(10**9)), PaperVectors(1, "", b"", ()))


def test_a_missing_vector_adds_nothing() -> None:
    assert dot_dense(b"", signed(1, 2)) == dot_dense(signed(1, 2), b"") == 0
    assert score_paper(like_query(0), paper(dense=b"")) == 7 * 32


def test_the_largest_scores_stay_exact_in_floating_point() -> None:
    """The reason why Postgres and memory agree: 24 bits for products, 53 for scores."""
    heaviest = tuple((key, LIKE_QUERY_LIMIT) for key in range(LIKE_QUERY_LEXEMES))
    fullest = tuple((key, SPARSE_LIMIT) for key in range(LIKE_QUERY_LEXEMES))
    assert dot_sparse(heaviest, fullest) < 2**24
    assert 1024 * DENSE_LIMIT**2 < 2**24
    assert FACTOR_LIMIT * 2**24 * 2 <= 2**53


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_a_quantized_vector_keeps_its_direction(values: list[float]) -> None:
    quantized = array("b", quantize(values))
    assert all(abs(value) <= DENSE_LIMIT for value in quantized)
    assert all(a * b >= 0 for a, b in zip(quantized, values, strict=False))


def test_a_zero_vector_has_no_direction() -> None:
    assert quantize([]) == quantize([0.0, 0.0]) == b""


def test_quantizing_discards_the_length() -> None:
    sixteenth = [0.25] * 16
    assert quantize(sixteenth) == quantize([x * 1000 for x in sixteenth]) == signed(*[127] * 16)
    assert quantize([0.05] * 400) == signed(*[26] * 400)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("2507.17189", "arxiv:2507.17189"),
        ("arXiv:2507.17189v3", "arxiv:2507.17189"),
        ("https://arxiv.org/abs/math/0611800", "arxiv:math/0611800"),
        ("biorxiv:10.1101/2024.01.02.5", "biorxiv:10.1101/2024.01.02.5"),
        ("DOI:10.1038/S41586-024-1", "doi:10.1038/s41586-024-1"),
        ("doi:s41586", None),
        ("cross:no", None),
        ("graph neural networks", None),
        ("diffusion: a survey", None),
        ("note:", None),
        (":x", None),
        ("2507", None),
    ],
)
def test_a_clause_names_a_paper_or_describes_one(text: str, key: str | None) -> None:
    assert like_keys(text) == ((key,) if key else ())


def test_a_clause_names_papers_with_commas_between_them_in_any_order() -> None:
    keys = ("arxiv:2507.17189", "biorxiv:10.1101/2024.01.02.5")
    assert like_keys("bioRxiv:10.1101/2024.01.02.5, 2507.17189v2,arXiv:2507.17189") == keys
    assert like_keys(",".join(keys)) == keys
    assert like_keys("2507.17189,graphs") == ()
    assert like_keys("doi:10.1038/a,b") == ("doi:10.1038/a,b",)
