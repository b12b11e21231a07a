"""Author keys overlap exactly where `author_matches` matches."""

from hypothesis import given
from hypothesis import strategies as st

from service.papers.domain.author_keys import author_index_keys, author_query_keys


def overlaps(query: str, name: str) -> bool:
    return not author_query_keys(query).isdisjoint(author_index_keys(name))


@given(st.lists(st.sampled_from(["a", "anna", "b", "bert", "c"]), min_size=2, max_size=6))
def test_leaving_out_or_shortening_middle_names_still_finds(words: list[str]) -> None:
    for at in range(1, len(words) - 1):
        without = " ".join(words[:at] + words[at + 1 :])
        shortened = " ".join([*words[:at], words[at][0], *words[at + 1 :]])
        assert overlaps(without, " ".join(words))
        assert overlaps(" ".join(words), without)
        assert overlaps(shortened, " ".join(words))


def test_a_very_long_name_has_few_keys_and_still_matches_itself() -> None:
    name = " ".join(f"name{number}" for number in range(40))
    assert len(author_index_keys(name)) < 170
    assert overlaps(name, name)
