"""Marked words and first sentences."""

import html
import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markupsafe import Markup
from Stemmer import Stemmer

from service.presentation.formulas import typeset
from service.presentation.highlight import (
    excerpt,
    find_spans,
    first_sentences,
    look_for,
    mark,
    shorten,
    words_of,
)


def marked(text: str, *words: str) -> list[str]:
    return [html.unescape(found) for found in re.findall("<mark>(.*?)</mark>", mark(text, words))]


ENDINGS = st.sampled_from(
    [
        "ies",
        "ied",
        "y",
        "ying",
        "ing",
        "ingly",
        "ed",
        "edly",
        "s",
        "es",
        "eed",
        "ational",
        "tional",
        "enci",
        "anci",
        "abli",
        "entli",
        "izer",
        "ization",
        "ator",
        "alism",
        "aliti",
        "fulness",
        "ousli",
        "ousness",
        "iveness",
        "iviti",
        "biliti",
        "logi",
        "fulli",
        "lessli",
        "icate",
        "ative",
        "alize",
        "iciti",
        "ful",
        "ness",
        "ism",
        "ate",
        "iti",
        "ous",
        "ive",
        "ize",
        "ion",
        "er",
        "ment",
        "sses",
        "tting",
        "lling",
    ]
)
WORDS = st.tuples(st.text("abegilnoprsty", min_size=1, max_size=6), ENDINGS).map("".join)
# Words that the English stemmer has rules of their own for.
IRREGULAR = (
    "skis skies dying lying tying idly gently ugly early only singly news proceeds generically"
)


@given(WORDS | st.sampled_from(IRREGULAR.split()))
def test_a_word_is_found_whatever_its_stem_looks_like(word: str) -> None:
    assert marked(f"The {word.upper()}.", word) == [word.upper()]


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


def _words_one_by_one(text: str, phrases: list[str]) -> list[tuple[int, int]]:
    """Return what is to be marked, found slowly: at each word the longest phrase that stands there."""
    tokens = [(m.start(), m.end(), stem(m[0])) for m in re.finditer("[学習]|[a-zA-Z]+", text)]
    wanted = sorted(
        ([stem(word) for word in re.findall("[学習]|[a-z]+", one)] for one in phrases), key=len
    )
    spans, at = [], 0
    while at < len(tokens):
        length = 0
        for phrase in filter(None, wanted):
            run = tokens[at : at + len(phrase)]
            gaps = [text[a[1] : b[0]] for a, b in pairwise(run)]
            if [one[2] for one in run] == phrase and all(
                len(gap) <= 3 and set(gap) <= set(" -’") for gap in gaps
            ):
                length = len(phrase)
        if length:
            spans.append((tokens[at][0], tokens[at + length - 1][1]))
        at += length or 1
    return spans


def stem(word: str) -> str:
    stemmed: str = Stemmer("english").stemWord(word.casefold())
    return stemmed


def numbered_spans(text: str, phrases: list[str]) -> list[tuple[int, int]]:
    words = words_of(text)
    return [
        (words.starts[first], words.ends[last])
        for first, last in words.find(look_for(tuple(phrases)))
    ]


@given(st.text(), st.lists(st.text(max_size=3), min_size=1, max_size=3))
@example("Straße, dann prompt", ["prompt"])
@example("α\u0345x α x", ["α x", "x"])
@example("用prompt法 prompt用", ["prompt", "法"])
@example("xprompt prompts_prompt", ["prompt", "prompt prompt"])
def test_words_are_found_alike_one_by_one_and_numbered(text: str, phrases: list[str]) -> None:
    assert list(find_spans(text, phrases)) == numbered_spans(text, phrases)


@given(
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join),
    st.lists(
        st.sampled_from(["prompt", "prompt tuning", "学習", "tune prompt", "x", ""]), max_size=3
    ),
)
def test_the_longest_phrases_are_found_from_left_to_right(text: str, phrases: list[str]) -> None:
    found = numbered_spans(text, phrases)
    assert found == _words_one_by_one(text, phrases)
    assert found == list(find_spans(text, phrases))
