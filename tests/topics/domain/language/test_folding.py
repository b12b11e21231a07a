"""Folding of case and Unicode: it is idempotent."""

from hypothesis import given
from hypothesis import strategies as st

from service.topics.domain.language import leaf_texts, parse_query
from service.topics.domain.language.syntax_tree import fold_words


def test_leaf_texts_are_folded_and_without_authors_and_categories() -> None:
    query = parse_query('Prompt ti:"Prompt TUNING" -(abs:x au:bengio) cat:cs.CL')
    assert leaf_texts(query) == {"prompt", "prompt tuning", "x"}


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold_words(fold_words(text)) == fold_words(text)


def test_every_single_character_folds_to_itself_the_second_time() -> None:
    single = (chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    # Most are folded already, and folding those a second time would be the same call again.
    changed = {one: folded for one in single if (folded := fold_words(one)) != one}
    assert len(changed) > 2_000
    assert [one for one, folded in changed.items() if fold_words(folded) != folded] == []
