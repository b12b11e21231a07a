"""Normalising untrusted text to one printable line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.platform.one_line import normalise_line


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("550 5.1.1  no such user", "550 5.1.1 no such user"),
        ("a\0b", "a b"),
        ("\x1b[31mred", "[31mred"),
        ("one\r\ntwo\tthree", "one two three"),
        ("half \ud83d of a pair", "half of a pair"),
        ("Empfänger 不明 🙂", "Empfänger 不明 🙂"),
        ("\u202eturned", "turned"),
        ("", ""),
    ],
)
def test_it_keeps_words_and_drops_control_characters(text: str, plain: str) -> None:
    assert normalise_line(text) == plain


@given(st.text(st.characters()))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    plain = normalise_line(text)
    assert plain.isprintable()
    assert plain == normalise_line(plain) == plain.strip()
    assert len(plain) <= len(text)
    assert plain.encode().decode() == plain
