"""The rule of likeness, the weights of words, and how a probe draws its line."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.similarity.domain.bm25 import (
    Corpus,
    ShippedCorpus,
    lexeme_key,
    pack_paper,
    pack_probe,
    rarity,
    weigh_paper,
    weigh_text,
)
from service.similarity.domain.calibration import (
    LEAST_LINE,
    LEAST_POOL,
    SHIPPED_LINE,
    Aim,
    Feedback,
    Gauge,
    Origin,
    Pool,
    admit,
    build_probe,
    choose_feedback,
    draw_line,
    draw_shipped_line,
    expand,
    gauge_pool,
    gauge_shipped,
)
from service.similarity.domain.lexeme_frequencies import SHIPPED_COUNTS
from service.similarity.domain.vectors import (
    DENSE_LIMIT,
    FACTOR_LIMIT,
    PROBE_LEXEMES,
    PROBE_LIMIT,
    SPARSE_DIMENSIONS,
    SPARSE_LIMIT,
    PaperMeaning,
    Probe,
    dot_dense,
    dot_sparse,
    is_like,
    like_key,
    quantize,
    score_paper,
)


def signed(*values: int) -> bytes:
    return array("b", values).tobytes()


def probe(threshold: int, *, model: str = "m", dense: bytes = signed(3, -4)) -> Probe:
    return Probe("t", model, 1, dense, ((5, 10), (7, 2)), 100, 7, threshold)


def paper(*, model: str = "m", dense: bytes = signed(2, -1)) -> PaperMeaning:
    return PaperMeaning(1, model, dense, ((5, 3), (6, 200), (7, 1)))


# -- the rule ------------------------------------------------------------------------------------


def test_a_score_is_both_products_times_their_factors() -> None:
    assert score_paper(probe(0), paper()) == 100 * (6 + 4) + 7 * (30 + 2)


def test_a_paper_is_like_a_probe_from_its_threshold_on() -> None:
    own = score_paper(probe(0), paper())
    assert is_like(probe(own), paper())
    assert not is_like(probe(own + 1), paper())


def test_a_paper_of_another_model_or_not_learned_yet_is_like_nothing() -> None:
    assert not is_like(probe(-(10**9)), paper(model="other"))
    assert not is_like(probe(-(10**9)), PaperMeaning(1, "", b"", ()))


def test_a_missing_vector_counts_nothing() -> None:
    assert dot_dense(b"", signed(1, 2)) == dot_dense(signed(1, 2), b"") == 0
    assert score_paper(probe(0), paper(dense=b"")) == 7 * 32


def test_the_largest_scores_stay_exact_in_floating_point() -> None:
    """What makes Postgres and memory agree: 24 bits for products, 53 for scores."""
    heaviest = tuple((key, PROBE_LIMIT) for key in range(PROBE_LEXEMES))
    fullest = tuple((key, SPARSE_LIMIT) for key in range(PROBE_LEXEMES))
    assert dot_sparse(heaviest, fullest) < 2**24
    assert 1024 * DENSE_LIMIT**2 < 2**24
    assert FACTOR_LIMIT * 2**24 * 2 <= 2**53


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_a_quantized_vector_keeps_its_direction(values: list[float]) -> None:
    quantized = array("b", quantize(values))
    assert all(abs(value) <= DENSE_LIMIT for value in quantized)
    assert all(a * b >= 0 for a, b in zip(quantized, values, strict=False))


def test_nothing_has_no_direction() -> None:
    assert quantize([]) == quantize([0.0, 0.0]) == b""


def test_only_the_direction_is_kept() -> None:
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
    assert like_key(text) == key


# -- words ---------------------------------------------------------------------------------------


def said(**counts: int) -> dict[str, tuple[int, ...]]:
    return {lexeme: tuple(range(1, count + 1)) for lexeme, count in counts.items()}


def test_a_word_of_the_title_weighs_as_much_as_two_of_the_abstract() -> None:
    filler = said(rest=100)
    once = weigh_paper(said(graph=1), filler)["graph"]
    assert once == weigh_paper({}, filler | said(graph=2))["graph"]
    assert once > weigh_paper({}, filler | said(graph=1, other=1))["graph"]


def test_repeating_a_word_adds_ever_less_and_never_passes_the_limit() -> None:
    weights = [weigh_paper({}, said(graph=n, rest=150 - n))["graph"] for n in (1, 2, 4, 60, 149)]
    gains = [after - before for before, after in pairwise(weights)]
    assert weights == sorted(weights)
    assert gains[0] > gains[1]
    assert weights[-1] <= SPARSE_LIMIT


def test_a_word_weighs_less_in_a_long_paper_but_always_something() -> None:
    short = weigh_paper({}, said(graph=1, rest=40))["graph"]
    long = weigh_paper({}, said(graph=1, rest=250))["graph"]
    endless = weigh_paper({}, said(graph=1, **{f"w{n}": 250 for n in range(4000)}))["graph"]
    assert short > long > endless >= 1


def test_lexemes_without_positions_count_once() -> None:
    """A vector can be stripped of its positions; the words are there all the same."""
    assert weigh_paper({}, {"graph": ()}) == weigh_paper({}, said(graph=1))
    assert weigh_paper({"graph": ()}, {}) == weigh_paper(said(graph=1), {})


def test_rare_words_matter_more_and_common_ones_never_less_than_nothing() -> None:
    corpus = Corpus(1000, {"model": 900, "splat": 3, "everywhere": 5000})
    weights = weigh_text(said(model=1, splat=1, unseen=1, everywhere=1), corpus)
    assert weights["unseen"] > weights["splat"] > weights["model"] > weights["everywhere"] > 0


def test_a_repeated_word_matters_a_little_more() -> None:
    corpus = Corpus(1000, {})
    weights = weigh_text(said(once=1, twice=2), corpus)
    assert weights["once"] < weights["twice"] < 2 * weights["once"]


def test_shipped_counts_know_what_is_common() -> None:
    shipped = ShippedCorpus()
    assert rarity(shipped, "model") < rarity(shipped, "reason") < rarity(shipped, "zxqv")
    assert all(0 < count <= shipped.paper_count for count in SHIPPED_COUNTS.values())
    assert all(0 <= key < SPARSE_DIMENSIONS for key in SHIPPED_COUNTS)


def test_a_probe_keeps_its_heaviest_lexemes_in_the_order_of_their_keys() -> None:
    weights = {f"w{n}": float(n + 1) for n in range(100)}
    packed = pack_probe(weights)
    assert len(packed) == PROBE_LEXEMES
    assert [key for key, _ in packed] == sorted(lexeme_key(f"w{n}") for n in range(36, 100))
    assert max(weight for _, weight in packed) == PROBE_LIMIT
    assert pack_probe({}) == ()


def test_lexemes_that_share_a_key_share_a_weight() -> None:
    met: dict[int, str] = {}
    one = next(word for n in count() if met.setdefault(lexeme_key(word := f"w{n}"), word) != word)
    key = lexeme_key(one)
    assert pack_paper({one: 200, met[key]: 100}) == ((key, SPARSE_LIMIT),)


def test_what_rounds_to_nothing_is_left_out() -> None:
    assert len(pack_probe({"heavy": 10_000.0, "light": 0.1})) == 1


# -- probes --------------------------------------------------------------------------------------


def pool(dense: Sequence[float], sparse: Sequence[float]) -> Pool:
    return Pool(range(1, len(dense) + 1), dense, sparse)


ORDINARY = pool([float(n % 100) for n in range(2000)], [float(n % 7) for n in range(2000)])


def score_one(gauge: Gauge, dense: float, sparse: float) -> float:
    return gauge.score(pool([dense], [sparse]))[0]


ORIGIN = Origin("t", "m", 2)


def test_a_gauge_puts_words_above_the_vector_by_their_share() -> None:
    gauge = gauge_pool(ORDINARY, has_dense=True)
    one_dense = gauge.dense_factor * 28.866
    one_sparse = gauge.sparse_factor * 2.0
    assert one_sparse / one_dense == pytest.approx(1.5, rel=1e-3)
    assert gauge.middle == pytest.approx(score_one(gauge, 49.5, 3.0), rel=1e-3)


def test_without_a_vector_the_words_alone_count() -> None:
    gauge = gauge_pool(ORDINARY, has_dense=False)
    assert gauge.dense_factor == 0
    assert gauge.sparse_factor * 2.0 == pytest.approx(gauge.deviation, rel=1e-3)


def test_a_word_that_no_paper_has_makes_the_first_stand_out() -> None:
    gauge = gauge_pool(pool([float(n % 100) for n in range(2000)], [0.0] * 2000), has_dense=True)
    assert score_one(gauge, 49.5, 1000.0) > gauge.middle + 100 * gauge.deviation
    assert gauge.sparse_factor <= FACTOR_LIMIT


def test_the_line_is_a_share_of_what_the_ten_best_reach() -> None:
    best = pool([*ORDINARY.dense, *[3000.0] * 10], [*ORDINARY.sparse, *[60.0] * 10])
    gauge = gauge_pool(best, has_dense=True)
    above = score_one(gauge, 3000.0, 60.0) - gauge.middle
    assert (draw_line(best, gauge) - gauge.middle) / above == pytest.approx(0.54, abs=0.001)


def test_the_line_is_never_among_ordinary_papers() -> None:
    gauge = gauge_pool(ORDINARY, has_dense=True)
    line = draw_line(ORDINARY, gauge)
    assert line == pytest.approx(gauge.middle + LEAST_LINE * gauge.deviation, abs=1)
    assert max(gauge.score(ORDINARY)) < line


def test_a_small_pool_tells_nothing() -> None:
    assert not pool([0.0] * (LEAST_POOL - 1), [0.0] * (LEAST_POOL - 1)).is_telling
    assert pool([0.0] * LEAST_POOL, [0.0] * LEAST_POOL).is_telling


def test_feedback_comes_from_those_who_stand_out_best_first() -> None:
    dense = [*ORDINARY.dense, 900.0, 1000.0, 800.0]
    papers = pool(dense, [*ORDINARY.sparse, 9.0, 9.0, 9.0])
    chosen = choose_feedback(papers, gauge_pool(papers, has_dense=True))
    assert chosen == [2002, 2001, 2003]
    assert choose_feedback(ORDINARY, gauge_pool(ORDINARY, has_dense=True)) == []


def test_feedback_is_ten_papers_and_equal_ones_go_by_id() -> None:
    papers = pool([*ORDINARY.dense, *[900.0] * 12], [*ORDINARY.sparse, *[9.0] * 12])
    chosen = choose_feedback(papers, gauge_pool(papers, has_dense=True))
    assert chosen == list(range(2001, 2011))


AHEAD = signed(*[90] * 32, *[0] * 32)
ASIDE = signed(*[0] * 32, *[90] * 32)


def feedback(*lexemes: str, dense: bytes = ASIDE) -> Feedback:
    return Feedback(dense, dict.fromkeys(lexemes, 2.0))


def test_feedback_adds_what_two_papers_say_and_turns_the_vector_toward_them() -> None:
    aim = Aim(AHEAD, {"splat": 3.0})
    wider = expand(aim, [feedback("splat", "gaussian"), feedback("gaussian"), feedback("odd")])
    assert set(wider.weights) == {"splat", "gaussian"}
    assert wider.weights["splat"] == 1.0
    assert wider.weights["gaussian"] == pytest.approx(0.5)
    turned = array("b", wider.dense)
    assert turned[0] == pytest.approx(2 * turned[-1], abs=1)
    assert turned[-1] > 0


def test_a_lexeme_that_was_asked_for_gains_by_feedback() -> None:
    wider = expand(Aim(b"", {"splat": 3.0}), [feedback("splat")] * 3)
    assert wider.weights == {"splat": pytest.approx(1.5)}
    assert wider.dense == b""


def test_two_papers_are_too_few_to_speak_for_a_clause() -> None:
    aim = Aim(AHEAD, {"splat": 3.0})
    assert expand(aim, [feedback("gaussian")] * 2) is aim


def test_papers_without_vectors_leave_the_direction_as_it_was() -> None:
    aim = Aim(AHEAD, {})
    wider = expand(aim, [feedback("gaussian", dense=b"")] * 3)
    assert wider.dense == aim.dense
    assert list(wider.weights) == ["gaussian"]


def test_papers_that_agree_in_nothing_add_nothing() -> None:
    wider = expand(Aim(AHEAD, {}), [feedback(name, dense=signed(*[0] * 64)) for name in "abc"])
    assert not wider.weights
    assert wider.dense == quantize(array("b", AHEAD))


def test_shipped_numbers_draw_the_line_where_there_are_no_papers() -> None:
    aim = Aim(signed(*[8] * 256), {"zxqv": 3.0})
    gauge = gauge_shipped(aim)
    line = draw_shipped_line(gauge)
    assert (line - gauge.middle) / gauge.deviation == pytest.approx(SHIPPED_LINE, abs=0.001)
    said_once = dot_sparse(aim.sparse, pack_paper({"zxqv": 128}))
    assert score_one(gauge, 43_700, said_once) > line > score_one(gauge, 43_700, 0)


def test_shipped_numbers_serve_without_a_model() -> None:
    gauge = gauge_shipped(Aim(b"", {"splat": 3.0}))
    assert gauge.dense_factor == 0
    assert gauge.sparse_factor > 0


def test_a_probe_carries_its_origin_and_the_gauge() -> None:
    gauge = gauge_pool(ORDINARY, has_dense=True)
    aim = Aim(signed(1, 2), {"splat": 1.0})
    made = build_probe(ORIGIN, aim, gauge, 17)
    assert (made.text, made.model, made.generation, made.threshold) == ("t", "m", 2, 17)
    assert (made.dense_factor, made.sparse_factor) == (gauge.dense_factor, gauge.sparse_factor)
    assert made.sparse == ((lexeme_key("splat"), PROBE_LIMIT),)


def test_a_probe_that_looks_for_nothing_finds_nothing() -> None:
    made = build_probe(ORIGIN, Aim(b"", {}), gauge_shipped(Aim(b"", {})), -5)
    assert not is_like(made, paper())


def test_the_paper_that_was_named_is_always_like_its_probe() -> None:
    own = score_paper(probe(0), paper())
    assert admit(probe(own + 50), paper()).threshold == own
    assert admit(probe(own - 50), paper()).threshold == own - 50
