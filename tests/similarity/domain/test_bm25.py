"""BM25 weights of words: titles, lengths and rarity."""

from itertools import count, pairwise

from service.similarity.domain.bm25 import (
    Corpus,
    ShippedCorpus,
    lexeme_key,
    pack_like_query,
    pack_paper,
    rarity,
    weigh_paper,
    weigh_text,
)
from service.similarity.domain.lexeme_frequencies import SHIPPED_COUNTS
from service.similarity.domain.vectors import (
    LIKE_QUERY_LEXEMES,
    LIKE_QUERY_LIMIT,
    SPARSE_DIMENSIONS,
    SPARSE_LIMIT,
)

# -- words ---------------------------------------------------------------------------------------


def lexemes(**counts: int) -> dict[str, tuple[int, ...]]:
    return {lexeme: tuple(range(1, count + 1)) for lexeme, count in counts.items()}


def test_a_word_of_the_title_weighs_as_much_as_two_of_the_abstract() -> None:
    filler = lexemes(rest=100)
    once = weigh_paper(lexemes(graph=1), filler)["graph"]
    assert once == weigh_paper({}, filler | lexemes(graph=2))["graph"]
    assert once > weigh_paper({}, filler | lexemes(graph=1, other=1))["graph"]


def test_each_repetition_of_a_word_adds_less_up_to_the_limit() -> None:
    weights = [weigh_paper({}, lexemes(graph=n, rest=150 - n))["graph"] for n in (1, 2, 4, 60, 149)]
    gains = [after - before for before, after in pairwise(weights)]
    assert weights == sorted(weights)
    assert gains[0] > gains[1]
    assert weights[-1] <= SPARSE_LIMIT


def test_a_word_weighs_less_in_a_long_paper_but_at_least_one() -> None:
    short = weigh_paper({}, lexemes(graph=1, rest=40))["graph"]
    long = weigh_paper({}, lexemes(graph=1, rest=250))["graph"]
    endless = weigh_paper({}, lexemes(graph=1, **{f"w{n}": 250 for n in range(4000)}))["graph"]
    assert short > long > endless >= 1


def test_lexemes_without_positions_count_once() -> None:
    """A tsvector can be stripped of its positions; the lexemes remain."""
    assert weigh_paper({}, {"graph": ()}) == weigh_paper({}, lexemes(graph=1))
    assert weigh_paper({"graph": ()}, {}) == weigh_paper(lexemes(graph=1), {})


def test_rare_words_weigh_more_and_common_ones_never_below_zero() -> None:
    corpus = Corpus(1000, {"model": 900, "splat": 3, "everywhere": 5000})
    weights = weigh_text(lexemes(model=1, splat=1, unseen=1, everywhere=1), corpus)
    assert weights["unseen"] > weights["splat"] > weights["model"] > weights["everywhere"] > 0


def test_a_repeated_word_weighs_a_little_more() -> None:
    corpus = Corpus(1000, {})
    weights = weigh_text(lexemes(once=1, twice=2), corpus)
    assert weights["once"] < weights["twice"] < 2 * weights["once"]


def test_shipped_counts_have_the_common_lexemes() -> None:
    shipped = ShippedCorpus()
    assert rarity(shipped, "model") < rarity(shipped, "reason") < rarity(shipped, "zxqv")
    assert all(0 < count <= shipped.paper_count for count in SHIPPED_COUNTS.values())
    assert all(0 <= key < SPARSE_DIMENSIONS for key in SHIPPED_COUNTS)


def test_a_like_query_has_its_heaviest_lexemes_in_order_of_their_keys() -> None:
    weights = {f"w{n}": float(n + 1) for n in range(100)}
    packed = pack_like_query(weights)
    assert len(packed) == LIKE_QUERY_LEXEMES
    assert [key for key, _ in packed] == sorted(lexeme_key(f"w{n}") for n in range(36, 100))
    assert max(weight for _, weight in packed) == LIKE_QUERY_LIMIT
    assert pack_like_query({}) == ()


def test_lexemes_that_share_a_key_share_a_weight() -> None:
    met: dict[int, str] = {}
    first = next(word for n in count() if met.setdefault(lexeme_key(word := f"w{n}"), word) != word)
    key = lexeme_key(first)
    assert pack_paper({first: 200, met[key]: 100}) == ((key, SPARSE_LIMIT),)


def test_weights_that_round_to_zero_are_left_out() -> None:
    assert len(pack_like_query({"heavy": 10_000.0, "light": 0.1})) == 1
