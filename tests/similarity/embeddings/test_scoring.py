"""Scoring papers against many like queries at once gives the pairs of the rule, and no others."""

from array import array
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from service.similarity.domain.vectors import (
    FACTOR_LIMIT,
    LIKE_QUERY_LIMIT,
    SPARSE_DIMENSIONS,
    SPARSE_LIMIT,
    LikeQueryView,
    PaperVectors,
    Sparse,
    is_like,
    score_paper,
)
from service.similarity.embeddings.scoring import like_sets

MODELS = {"small": 4, "large": 7, "words": 0}
KEYS = st.sampled_from([0, 1, 2, 17, SPARSE_DIMENSIONS - 1])


def sparse(most: int) -> st.SearchStrategy[Sparse]:
    weights = st.dictionaries(KEYS, st.integers(1, most), max_size=5)
    return weights.map(lambda by_key: tuple(sorted(by_key.items())))


def dense(model: str) -> st.SearchStrategy[bytes]:
    length = MODELS[model]
    vector = st.lists(st.integers(-127, 127), min_size=length, max_size=length)
    return st.one_of(st.just(b""), vector.map(lambda values: array("b", values).tobytes()))


@st.composite
def papers(draw: st.DrawFn) -> PaperVectors:
    model = draw(st.sampled_from([*MODELS]))
    if draw(st.integers(0, 9)) == 0:
        return PaperVectors(0, "", b"", ())
    return PaperVectors(0, model, draw(dense(model)), draw(sparse(SPARSE_LIMIT)))


@st.composite
def like_queries(draw: st.DrawFn) -> LikeQueryView:
    model = draw(st.sampled_from([*MODELS]))
    factors = st.one_of(st.integers(0, 9), st.just(FACTOR_LIMIT))
    made = LikeQueryView(
        "t",
        model,
        0,
        draw(dense(model)),
        draw(sparse(LIKE_QUERY_LIMIT)),
        draw(factors),
        draw(factors),
        0,
    )
    # Near the score of some paper, where a rounding error would have an effect.
    near = score_paper(made, draw(papers())) + draw(st.integers(-1, 1))
    return replace(made, threshold=near)


@settings(max_examples=300)
@given(st.lists(like_queries(), max_size=12), st.lists(papers(), max_size=20))
def test_sets_equal_the_rule_on_every_pair(
    some: list[LikeQueryView], day: list[PaperVectors]
) -> None:
    expected = [
        sum(is_like(like_query, paper) << i for i, paper in enumerate(day)) for like_query in some
    ]
    assert like_sets(some, day) == expected


def test_more_papers_and_like_queries_than_fit_one_block() -> None:
    day = [PaperVectors(i, "words", b"", ((i % 5, 100),)) for i in range(30)]
    some = [LikeQueryView("t", "words", 0, b"", ((i % 5, 1),), 0, 1, 100) for i in range(10)]
    expected = [sum((i % 5 == n % 5) << i for i in range(30)) for n in range(10)]
    assert like_sets(some, day, like_queries_at_once=3, papers_at_once=8) == expected


def test_no_like_queries_and_no_papers() -> None:
    assert like_sets([], [PaperVectors(1, "m", b"", ())]) == []
    assert like_sets([LikeQueryView("t", "m", 0, b"", (), 1, 1, 0)], []) == [0]
