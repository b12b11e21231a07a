"""Tests of what may stand in a text of a mail or a page."""

from unicodedata import category

from hypothesis import given
from hypothesis import strategies as st

from service.presentation.sanitize import clean

PIECES = ["text", " ", "\n", "\r\n", "\r", "\x85", "\u2028", "\t", "\0", "\u202e", "\ufdd0", "\xa0", "日本"]  # fmt: skip


@given(st.one_of(st.lists(st.sampled_from(PIECES)).map("".join), st.text()))
def test_a_clean_text_has_one_kind_of_line_end_and_no_controls(text: str) -> None:
    cleaned = clean(text)
    assert not {each for each in cleaned if category(each) == "Cc"} - {"\n", "\t"}
    assert not set(cleaned) & set("\r\x85\u2028\u2029\u202e\ufdd0")
    assert clean(cleaned) == cleaned
    if text.isprintable():
        assert cleaned == text


def test_lines_stay_lines() -> None:
    assert clean("one\ntwo\n") == "one\ntwo\n"
    assert clean("one\r\ntwo\rthree\u2028four\x85") == "one\ntwo\nthree\nfour\n"
