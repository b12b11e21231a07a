"""Calibration of like queries: scale, threshold and feedback, to the exact number."""

from array import array
from collections.abc import Sequence

import pytest

from service.similarity.domain.bm25 import Corpus, lexeme_key, pack_paper
from service.similarity.domain.calibration import (
    LEAST_POOL,
    LEAST_THRESHOLD,
    SHIPPED_THRESHOLD,
    Origin,
    ReferenceScores,
    ScoreScale,
    Target,
    Tuning,
    admit,
    build_like_query,
    choose_feedback,
    expand,
    find_tuning,
    join_examples,
    join_vectors,
    pick_threshold,
    reweigh,
    scale_of_pool,
    scale_of_shipped,
    shipped_threshold,
)
from service.similarity.domain.common_directions import without_common
from service.similarity.domain.vectors import (
    FACTOR_LIMIT,
    LIKE_QUERY_LIMIT,
    MINILM,
    WORDLLAMA,
    LikeQueryView,
    PaperVectors,
    dot_dense,
    dot_sparse,
    is_like,
    quantize,
    score_paper,
)


def signed(*values: int) -> bytes:
    return array("b", values).tobytes()


def like_query(threshold: int, *, model: str = "m", dense: bytes = signed(3, -4)) -> LikeQueryView:
    return LikeQueryView("t", model, 1, dense, ((5, 10), (7, 2)), 100, 7, threshold)


def paper(*, model: str = "m", dense: bytes = signed(2, -1)) -> PaperVectors:
    return PaperVectors(1, model, dense, ((5, 3), (6, 200), (7, 1)))


# -- like queries --------------------------------------------------------------------------------


def pool(dense: Sequence[float], sparse: Sequence[float]) -> ReferenceScores:
    return ReferenceScores(range(1, len(dense) + 1), dense, sparse)


ORDINARY = pool([float(n % 100) for n in range(2000)], [float(n % 7) for n in range(2000)])


def score_one(scale: ScoreScale, dense: float, sparse: float) -> float:
    return scale.score(pool([dense], [sparse]))[0]


ORIGIN = Origin("t", "m", 2)


def test_a_scale_weights_words_above_the_vector_by_their_share() -> None:
    scale = scale_of_pool(ORDINARY, has_dense=True)
    one_dense = scale.dense_factor * 28.866
    one_sparse = scale.sparse_factor * 2.0
    assert one_sparse / one_dense == pytest.approx(1.5, rel=1e-3)
    assert scale.middle == pytest.approx(score_one(scale, 49.5, 3.0), rel=1e-3)


def test_without_a_vector_the_words_alone_count() -> None:
    scale = scale_of_pool(ORDINARY, has_dense=False)
    assert scale.dense_factor == 0
    assert scale.sparse_factor * 2.0 == pytest.approx(scale.deviation, rel=1e-3)


def test_a_word_that_no_paper_has_gets_a_high_factor() -> None:
    scale = scale_of_pool(pool([float(n % 100) for n in range(2000)], [0.0] * 2000), has_dense=True)
    assert score_one(scale, 49.5, 1000.0) > scale.middle + 100 * scale.deviation
    assert scale.sparse_factor <= FACTOR_LIMIT


def test_the_threshold_is_a_share_of_the_mean_of_the_ten_best() -> None:
    best = pool([*ORDINARY.dense, *[3000.0] * 10], [*ORDINARY.sparse, *[60.0] * 10])
    scale = scale_of_pool(best, has_dense=True)
    above = score_one(scale, 3000.0, 60.0) - scale.middle
    assert (pick_threshold(best, scale) - scale.middle) / above == pytest.approx(0.54, abs=0.001)


def test_the_threshold_is_at_least_three_standard_deviations() -> None:
    scale = scale_of_pool(ORDINARY, has_dense=True)
    line = pick_threshold(ORDINARY, scale)
    assert line == pytest.approx(scale.middle + LEAST_THRESHOLD * scale.deviation, abs=1)
    assert max(scale.score(ORDINARY)) < line


def test_a_small_pool_gives_no_scale() -> None:
    assert not pool([0.0] * (LEAST_POOL - 1), [0.0] * (LEAST_POOL - 1)).is_large_enough
    assert pool([0.0] * LEAST_POOL, [0.0] * LEAST_POOL).is_large_enough


def test_feedback_comes_from_papers_far_above_the_mean_best_first() -> None:
    dense = [*ORDINARY.dense, 900.0, 1000.0, 800.0]
    papers = pool(dense, [*ORDINARY.sparse, 9.0, 9.0, 9.0])
    chosen = choose_feedback(papers, scale_of_pool(papers, has_dense=True))
    assert chosen == [2002, 2001, 2003]
    assert choose_feedback(ORDINARY, scale_of_pool(ORDINARY, has_dense=True)) == []


def test_feedback_uses_ten_papers_with_ties_by_id() -> None:
    papers = pool([*ORDINARY.dense, *[900.0] * 12], [*ORDINARY.sparse, *[9.0] * 12])
    chosen = choose_feedback(papers, scale_of_pool(papers, has_dense=True))
    assert chosen == list(range(2001, 2011))


AHEAD = signed(*[90] * 32, *[0] * 32)


ASIDE = signed(*[0] * 32, *[90] * 32)


def feedback(*lexemes: str, dense: bytes = ASIDE) -> Target:
    return Target(dense, dict.fromkeys(lexemes, 2.0))


def test_feedback_adds_lexemes_of_two_papers_and_shifts_the_vector() -> None:
    target = Target(AHEAD, {"splat": 3.0})
    wider = expand(target, [feedback("splat", "gaussian"), feedback("gaussian"), feedback("odd")])
    assert set(wider.weights) == {"splat", "gaussian"}
    assert wider.weights["splat"] == 1.0
    assert wider.weights["gaussian"] == pytest.approx(0.5)
    turned = array("b", wider.dense)
    assert turned[0] == pytest.approx(2 * turned[-1], abs=1)
    assert turned[-1] > 0


def test_feedback_raises_the_weight_of_a_lexeme_of_the_clause() -> None:
    wider = expand(Target(b"", {"splat": 3.0}), [feedback("splat")] * 3)
    assert wider.weights == {"splat": pytest.approx(1.5)}
    assert wider.dense == b""


def test_two_papers_are_too_few_for_feedback() -> None:
    target = Target(AHEAD, {"splat": 3.0})
    assert expand(target, [feedback("gaussian")] * 2) is target


def test_papers_without_vectors_do_not_shift_the_vector() -> None:
    target = Target(AHEAD, {})
    wider = expand(target, [feedback("gaussian", dense=b"")] * 3)
    assert wider.dense == target.dense
    assert list(wider.weights) == ["gaussian"]


def test_papers_without_common_lexemes_add_none() -> None:
    wider = expand(Target(AHEAD, {}), [feedback(name, dense=signed(*[0] * 64)) for name in "abc"])
    assert not wider.weights
    assert wider.dense == quantize(array("b", AHEAD))


def test_feedback_adds_words_and_vector_by_their_own_shares() -> None:
    target = Target(AHEAD, {"splat": 3.0})
    wider = expand(target, [feedback("gaussian")] * 3, (0.25, 0.0))
    assert wider.dense == AHEAD
    assert wider.weights == {"splat": 1.0, "gaussian": pytest.approx(0.25)}


CORPUS = Corpus(10_000, {"inform": 1000, "theori": 2000, "aspect": 100, "entropi": 90})


def test_a_word_that_the_nearest_papers_do_not_use_loses_weight() -> None:
    weights = dict.fromkeys(("inform", "entropi", "aspect"), 2.0)
    nearest = {"inform": 95, "entropi": 60, "aspect": 1}
    reweighed = reweigh(weights, nearest, 100, CORPUS)
    assert reweighed["aspect"] == pytest.approx(2.0 * 0.1**0.5)
    assert reweighed["aspect"] < reweighed["inform"] < reweighed["entropi"] < 2.0


def test_a_word_of_the_nearest_papers_alone_keeps_its_weight() -> None:
    corpus = Corpus(10_000, {"splat": 100})
    assert reweigh({"splat": 3.0}, {"splat": 100}, 100, corpus)["splat"] == pytest.approx(
        3.0, abs=0.01
    )


def test_vectors_are_joined_to_one_of_the_same_length() -> None:
    assert join_vectors([AHEAD, b"", AHEAD]) == quantize(array("b", AHEAD))
    joined = array("b", join_vectors([AHEAD, ASIDE]))
    assert joined[0] == joined[-1] == 64
    assert join_vectors([]) == b""


def test_examples_add_their_words_and_vectors() -> None:
    examples = [
        Target(quantize([3, 0]), {"a": 1.0, "b": 2.0}),
        Target(quantize([0, 3]), {"b": 1.5}),
    ]
    joined = join_examples(examples, "m")
    assert joined == Target(quantize([1, 1]), {"a": 1.0, "b": 3.5})
    assert join_examples([Target(b"", {"a": 1.0})], "m").dense == b""


@pytest.mark.parametrize(("model", "size"), [(MINILM, 384), (WORDLLAMA, 256)])
def test_what_all_papers_have_in_common_is_damped(model: str, size: int) -> None:
    nothing, odd = [0.0] * size, [float(n % 7 - 3) for n in range(size)]
    common = [-value for value in without_common(nothing, model)]
    both = [a + b for a, b in zip(odd, common, strict=True)]
    left = zip(without_common(both, model), without_common(odd, model), strict=True)
    kept = sum((a - b) * c for (a, b), c in zip(left, common, strict=True))
    assert 0 < kept < sum(value * value for value in common)
    example = Target(quantize(odd), {})
    assert dot_dense(join_examples([example], model).dense, quantize(common)) < 0
    assert without_common([], model) == []
    assert without_common(odd, "m") == odd


def test_an_unknown_model_is_tuned_like_the_first() -> None:
    assert find_tuning("words") == Tuning()
    assert find_tuning(MINILM).words < Tuning().words
    assert find_tuning(MINILM).is_sentence_model


def test_shipped_numbers_give_the_threshold_without_papers() -> None:
    target = Target(signed(*[8] * 256), {"zxqv": 3.0})
    scale = scale_of_shipped(target)
    line = shipped_threshold(scale)
    assert (line - scale.middle) / scale.deviation == pytest.approx(SHIPPED_THRESHOLD, abs=0.001)
    said_once = dot_sparse(target.sparse, pack_paper({"zxqv": 128}))
    assert score_one(scale, 43_700, said_once) > line > score_one(scale, 43_700, 0)


def test_shipped_numbers_work_without_a_model() -> None:
    scale = scale_of_shipped(Target(b"", {"splat": 3.0}))
    assert scale.dense_factor == 0
    assert scale.sparse_factor > 0


def test_a_like_query_has_its_origin_and_the_scale() -> None:
    scale = scale_of_pool(ORDINARY, has_dense=True)
    target = Target(signed(1, 2), {"splat": 1.0})
    made = build_like_query(ORIGIN, target, scale, 17)
    assert (made.text, made.model, made.generation, made.threshold) == ("t", "m", 2, 17)
    assert (made.dense_factor, made.sparse_factor) == (scale.dense_factor, scale.sparse_factor)
    assert made.sparse == ((lexeme_key("splat"), LIKE_QUERY_LIMIT),)


def test_a_like_query_with_an_empty_target_finds_nothing() -> None:
    made = build_like_query(ORIGIN, Target(b"", {}), scale_of_shipped(Target(b"", {})), -5)
    assert not is_like(made, paper())


def test_the_named_paper_always_satisfies_its_like_query() -> None:
    own = score_paper(like_query(0), paper())
    assert admit(like_query(own + 50), paper()).threshold == own
    assert admit(like_query(own - 50), paper()).threshold == own - 50
