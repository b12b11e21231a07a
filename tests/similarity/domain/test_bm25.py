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
    PROBE_LIMIT,
    SPARSE_DIMENSIONS,
    SPARSE_LIMIT,
)

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
    packed = pack_like_query(weights)
    assert len(packed) == LIKE_QUERY_LEXEMES
    assert [key for key, _ in packed] == sorted(lexeme_key(f"w{n}") for n in range(36, 100))
    assert max(weight for _, weight in packed) == PROBE_LIMIT
    assert pack_like_query({}) == ()


def test_lexemes_that_share_a_key_share_a_weight() -> None:
    met: dict[int, str] = {}
    one = next(word for n in count() if met.setdefault(lexeme_key(word := f"w{n}"), word) != word)
    key = lexeme_key(one)
    assert pack_paper({one: 200, met[key]: 100}) == ((key, SPARSE_LIMIT),)


def test_what_rounds_to_nothing_is_left_out() -> None:
    assert len(pack_like_query({"heavy": 10_000.0, "light": 0.1})) == 1
