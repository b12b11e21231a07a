"""Marked words and first sentences."""

import html
import re

import pytest
import snowballstemmer
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from service.presentation.formulas import typeset
from service.presentation.highlight import (
    excerpt,
    first_sentences,
    look_for,
    mark,
    sentences,
    shorten,
)


def marked(text: str, *words: str) -> list[str]:
    return [html.unescape(found) for found in re.findall("<mark>(.*?)</mark>", mark(text, words))]


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("Graph networks", ["network"], ["networks"]),
        ("Prompt-Tuning, tuned prompts", ["prompt tuning"], ["Prompt-Tuning"]),
        ("A prompt. Tuning follows", ["prompt tuning"], []),
        ("tuning the prompt", ["prompt tuning"], []),
        ("soft prompt tuning", ["prompt", "prompt tuning"], ["prompt tuning"]),
        ("大規模な連続学習の研究", ["学習"], ["学習"]),
        ("No such word", ["diffusion", "", "!?"], []),
        ("Overlap overlap overlap", ["overlap overlap"], ["Overlap overlap"]),
    ],
)
def test_words_are_marked_by_stem_and_phrases_only_as_a_sequence(
    text: str, words: list[str], expected: list[str]
) -> None:
    assert marked(text, *words) == expected


def test_marked_text_is_escaped_inside_and_outside_the_marks() -> None:
    assert mark("<b>x</b> & prompts <i>", ["prompt"]) == (
        "&lt;b&gt;x&lt;/b&gt; &amp; <mark>prompts</mark> &lt;i&gt;"
    )


ENDINGS = st.lists(
    st.sampled_from(
        [
            "s",
            "es",
            "ed",
            "ing",
            "ly",
            "y",
            "ies",
            "ied",
            "eed",
            "ational",
            "ation",
            "ator",
            "ization",
            "izer",
            "ize",
            "tional",
            "enci",
            "anci",
            "abli",
            "ability",
            "ibility",
            "bly",
            "alism",
            "ality",
            "ally",
            "fulness",
            "ful",
            "fully",
            "ousness",
            "ously",
            "iveness",
            "ivity",
            "ive",
            "ic",
            "icate",
            "icity",
            "ical",
            "ogy",
            "ogist",
            "less",
            "lessly",
            "ement",
            "ment",
            "ent",
            "ion",
            "e",
            "ell",
        ]
    ),
    max_size=3,
).map("".join)


@settings(max_examples=1_000)
@given(
    st.builds("{}{}".format, st.text("aeiouybdlnprstz", max_size=6), ENDINGS).filter(bool)
    | st.text(min_size=1).filter(str.isalnum)
)
def test_a_stem_without_its_last_letters_is_a_prefix_of_its_word(word: str) -> None:
    # The prefilter relies on this before it stems a word.
    word = word.casefold()
    stem = snowballstemmer.stemmer("english").stemWord(word)
    assert stem
    assert word.startswith(stem[: max(len(stem) - 2, 1)])


@pytest.mark.parametrize("word", ["skies", "dying", "lying", "news", "ugly", "yes", "ßen", "Über"])
def test_unusual_words_match_themselves(word: str) -> None:
    assert marked(f"The {word.upper()}, the rest", word) == [word.upper()]


def test_the_cache_distinguishes_markup_from_equal_text() -> None:
    assert mark(Markup("<b>x</b>"), []) == "<b>x</b>"
    assert mark("<b>x</b>", []) == "&lt;b&gt;x&lt;/b&gt;"


@given(st.text(), st.lists(st.text(max_size=12), max_size=3))
def test_marking_adds_only_mark_tags(text: str, words: list[str]) -> None:
    marked_text = mark(text, words)
    without = str(marked_text).replace("<mark>", "").replace("</mark>", "")
    assert without == typeset(text)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Short.", 350, "Short."),
        (
            "One thing.\n  Another   thing. A third thing that is long.",
            30,
            "One thing. Another thing.",
        ),
        ("We test e.g. this. The rest is longer than fits.", 25, "We test e.g. this."),
        ("Hi. " + "word " * 40, 50, "Hi. word word word word word word word word word…"),
        (
            "本論文では新しい手法を提案する。実験により有効性を示す。",
            20,
            "本論文では新しい手法を提案する。",
        ),
        ("anything", 0, ""),
    ],
)
def test_an_excerpt_ends_where_a_sentence_ends(text: str, limit: int, expected: str) -> None:
    assert first_sentences(text, limit) == expected


@given(st.text(), st.integers(min_value=1, max_value=60))
def test_nothing_is_longer_than_its_limit(text: str, limit: int) -> None:
    assert len(shorten(text, limit)) <= limit
    assert len(first_sentences(text, limit)) <= limit


def test_a_cut_never_separates_a_letter_from_its_accent() -> None:
    assert shorten("e\u0301" * 20, 10) == "e\u0301" * 4 + "…"


@pytest.mark.parametrize(
    ("text", "reach", "expected"),
    [
        ("We tune prompts.", 50, "We tune prompts."),
        ("a b c d e prompts f g h i j", 4, "…d e prompts f g…"),
        ("prompts f g h i j", 2, "prompts f…"),
        ("a b c d e prompts", 2, "…e prompts"),
        ("a b\n c prompting", 9, "a b c prompting"),
        ("nothing of the kind", 50, ""),
    ],
)
def test_an_excerpt_shows_the_first_mention_between_whole_words(
    text: str, reach: int, expected: str
) -> None:
    assert excerpt(text, ["prompt"], reach) == expected


PIECES = [
    "prompt",
    "Tuning",
    "tuned prompts",
    ".",
    "? ",
    "。",
    "e.g. ",
    "”",
    "-",
    "’",
    " ",
    "<",
    "&",
    "学習",
    "x",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.lists(
        st.sampled_from(["prompt", "prompt tuning", "学習", "tune prompt", "x", ""]), max_size=3
    ),
)
def test_marking_each_sentence_is_marking_the_text(text: str, words: list[str]) -> None:
    pieces = sentences(text)
    assert "".join(piece.text for piece in pieces) == text
    wanted = look_for(tuple(words))
    found = [piece.mark(wanted) for piece in pieces]
    whole = "".join(
        mark(piece.text, ()) if one is None else one
        for piece, one in zip(pieces, found, strict=True)
    )
    assert whole == mark(text, words)
    stems = "".join(f" {' '.join(piece.stems)} " for piece in pieces)
    assert wanted.may_be_in(stems) or not any(found)
