"""The text part is flowed (RFC 3676), and no line of untrusted text imitates one of ours."""

import re
import sys
import textwrap
import unicodedata

from hypothesis import example, given
from hypothesis import strategies as st
from support.mail.reading_mail import unflow

from service.messages.rendering.text_part import COLUMNS, cut, trim, wrap
from service.presentation.sanitize import clean

LABELS = ("Unsubscribe:", "Abstract:", "PDF:", "Save:", "Pause:", "Less")
WORDS = st.lists(
    st.sampled_from(["-", "--", ">", "From", "Unsubscribe:", "https://evil.example/x", "a", "12."])
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=90),
    max_size=40,
)


def columns(line: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in line)


@given(words=WORDS)
def test_any_text_flows_back_to_itself_in_lines_of_bounded_width(words: list[str]) -> None:
    text = " ".join(clean(" ".join(words)).split())
    made = wrap(text, first="* ")
    lines = made.split("\n")
    assert lines == [trim(line) for line in lines]
    assert all(len(line) <= COLUMNS for line in lines)
    # A word longer than a line is cut without a space, so the cut stays after unflowing.
    assert "".join(unflow(made + "\n").split()) == "".join(f"* {text}".split())
    # Text that is cut inside a word (here with all labels glued to it) does not flow back.
    bound = re.sub(r" (?=\S*:(?: |$))", "_", text).split(" ")
    if all(len(word) < 60 and word.isascii() for word in bound):
        assert unflow(made + "\n") == f"* {text}".rstrip() + "\n"


@given(words=WORDS)
@example(words=["-", "-", "-", "From", "Unsubscribe:", *["https://evil.example/x"] * 2, "Less:"])
def test_no_line_after_the_first_begins_with_a_label(words: list[str]) -> None:
    lines = wrap(" ".join([*words, *LABELS, *words]), first="1. ").split("\n")
    assert not [line for line in lines[1:] if line.startswith(LABELS[:-1])]
    assert "-- " not in lines


@given(
    words=st.lists(st.text("ab-é語", min_size=1, max_size=100), max_size=30),
    first=st.sampled_from(["", "    ", "* ", "12. "]),
)
def test_lines_are_cut_where_textwrap_cuts_them(words: list[str], first: str) -> None:
    text = first + " ".join(words)
    width = COLUMNS - 1 if text.isascii() else COLUMNS // 2 - 1
    lines = textwrap.wrap(text, width=width, break_on_hyphens=False) if words else []
    assert cut(text if words else "", width, len(first)) == lines


def test_wide_letters_take_two_columns_and_are_cut_without_a_space() -> None:
    lines = wrap("语言模型的提示调优一个虚构的研究" * 8).split("\n")
    assert len(lines) > 1
    assert all(columns(line) <= COLUMNS for line in lines)
    assert not [line for line in lines if line.endswith(" ")]


def test_every_wide_letter_counts_as_two() -> None:
    for code in range(sys.maxunicode + 1):
        if unicodedata.east_asian_width(chr(code)) in "WF" and chr(code).isprintable():
            assert len(wrap(chr(code) * 60).split("\n")[0]) < COLUMNS // 2 + 1, hex(code)


def test_lines_with_a_special_beginning_are_space_stuffed() -> None:
    assert wrap("> cited") == " > cited"
    assert wrap("From here") == " From here"
    assert unflow(" > cited\n".replace(" >", "  >")) == " > cited\n"
    assert wrap("") == ""
