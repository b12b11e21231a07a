"""Bitsets of papers, and phrases found with them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from service.topics.domain.matching.bitsets import PhraseIndex, list_bits, phrase_offsets, to_bits

POSITIONS = st.frozensets(st.one_of(st.integers(0, 130), st.integers(0, 30_000)))


@given(POSITIONS)
def test_the_bits_of_a_set_are_its_positions_in_order(positions: frozenset[int]) -> None:
    bits = to_bits(positions)
    assert bits == sum(1 << position for position in positions)
    assert list_bits(bits) == sorted(positions)


LEXEME_POSITIONS = st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True).map(
    lambda positions: tuple(sorted(positions))
)
# Several lexemes may share a position, for example the last one that Postgres counts.
DOCUMENTS = st.lists(
    st.dictionaries(st.sampled_from("abc"), LEXEME_POSITIONS, max_size=3), max_size=6
)


@settings(deadline=None)
@given(DOCUMENTS, st.dictionaries(st.sampled_from("abcd"), LEXEME_POSITIONS, max_size=3))
def test_a_phrase_is_found_where_all_lexemes_have_their_distances(
    documents: list[dict[str, tuple[int, ...]]], phrase: dict[str, tuple[int, ...]]
) -> None:
    places = phrase_offsets(phrase)
    papers = {
        number
        for number, document in enumerate(documents)
        if places
        and any(
            all(base + distance in document.get(lexeme, ()) for lexeme, distance in places)
            for base in range(-20, 40)
        )
    }
    found = PhraseIndex(documents).find_phrase(places)
    assert {number for number in range(len(documents)) if found >> number & 1} == papers


def test_a_distance_never_reaches_into_another_paper() -> None:
    index = PhraseIndex([{"a": (16_383,), "b": (1,)}, {"b": (1, 16_383), "a": (1,)}])
    far = 16_382
    assert index.find_phrase((("b", 0), ("a", far))) == 0b01
    assert index.find_phrase((("a", 0), ("b", far))) == 0b10
    assert index.find_phrase((("a", 0), ("b", far - 1))) == 0
