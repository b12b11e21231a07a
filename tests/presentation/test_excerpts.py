"""Excerpts tell what was done and found, and show the sentence that holds a topic's word."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape

from service.presentation.excerpts import read_excerpts, telling_excerpt
from service.presentation.highlight import look_for, mark

# Invented, as all papers of these tests.
BACKGROUND = "Maps of cheese have recently become an important and often difficult subject."
GAP = "However, existing atlases remain limited to hard rinds and rely on years of tasting."
DONE = "We propose a soft atlas that draws every rind from a single photograph of its shelf."
HOW = "It folds the shelf into a grid and asks a small network for the missing corners."
FOUND = "Experiments show that it finds 93% of all rinds in a dairy, at half the former cost."
OUTLOOK = "This could pave the way to future atlases of valuable butter."
ABSTRACT = f"{BACKGROUND} {GAP} {DONE} {HOW} {FOUND} {OUTLOOK}"


@dataclass(frozen=True)
class Paper:
    """A title and an abstract."""

    abstract: str = ABSTRACT
    title: str = "A soft atlas of cheese"


def test_an_excerpt_says_what_was_done_and_found() -> None:
    assert telling_excerpt(Paper(), 200) == f"{DONE} … {FOUND}"


def test_a_short_abstract_is_shown_whole() -> None:
    assert telling_excerpt(Paper(), len(ABSTRACT)) == ABSTRACT
    assert telling_excerpt(Paper("  One.\n Two. "), 40) == "One. Two."


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("atlas", f"{DONE} … {FOUND}"),
        ("network", f"{DONE} {HOW}"),
        ("butter", f"{DONE} … {OUTLOOK}"),
        ("missing corner", f"{DONE} {HOW}"),
        ("grid asks", f"{DONE} … {FOUND}"),
        ("oxygen", f"{DONE} … {FOUND}"),
    ],
)
def test_the_sentence_that_holds_a_word_is_shown(word: str, expected: str) -> None:
    assert telling_excerpt(Paper(), 200, [word]) == expected


def test_each_of_two_words_is_shown_where_both_fit() -> None:
    shown = telling_excerpt(Paper(), 250, ["butter", "network"])
    assert HOW in shown
    assert OUTLOOK in shown


def test_no_phrase_is_found_across_sentences() -> None:
    assert telling_excerpt(Paper(), 200, ["shelf it folds"]) == f"{DONE} … {FOUND}"


def test_a_sentence_is_cut_only_where_no_whole_one_fits() -> None:
    short = "Nothing is known."
    assert telling_excerpt(Paper(f"{DONE} {short} {HOW}"), 60) == short
    cut = telling_excerpt(Paper(f"{DONE} {HOW}"), 60)
    assert cut.endswith("…")
    assert DONE.startswith(cut[:-1])


def test_a_word_is_shown_though_its_sentence_is_too_long() -> None:
    long = "We describe " + "a shelf and " * 40 + "a butterfly at last."
    shown = telling_excerpt(Paper(f"{long} {FOUND}"), 120, ["butterfly"])
    assert "butterfly" in shown
    assert len(shown) <= 120


def test_no_two_ellipses_stand_side_by_side() -> None:
    long = "The grid " + "asks one corner after the other, and " * 6 + "finds butter."
    shown = telling_excerpt(Paper(f"{BACKGROUND} {DONE} {long} {FOUND}"), 220, ["butter"])
    assert shown == f"{DONE} …other, and finds butter."


def test_an_abstract_that_tells_nothing_is_shown_from_its_beginning() -> None:
    assert telling_excerpt(Paper(f"{BACKGROUND} {GAP} {OUTLOOK}"), 130) == BACKGROUND


@pytest.mark.parametrize("abstract", ["", "  ", "\n"])
def test_no_abstract_has_no_excerpt(abstract: str) -> None:
    assert telling_excerpt(Paper(abstract), 350, ["word"]) == ""
    assert telling_excerpt(Paper(), 0, ["atlas"]) == ""


def test_japanese_sentences_are_joined_without_a_space() -> None:
    first, second, third = (
        "本論文では新しい手法を提案する。",
        "実験により有効性を示す。",
        "背景。" * 30,
    )
    shown = telling_excerpt(Paper(first + second + third), 60)
    assert f"{first}{second}" in shown


PIECES = ["prompt", "tuned prompts", ". We ", "? ", "。", "e.g. ", "”", "-", " ", "<", "&", "学習", "x", ", "]  # fmt: skip
WORDS = st.lists(st.sampled_from(["prompt", "tune prompt", "学習", "x", "x x", ""]), max_size=3)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), WORDS, st.integers(1, 60))
def test_any_excerpt_keeps_its_limit_and_marks_like_the_whole(
    abstract: str, words: list[str], limit: int
) -> None:
    excerpts, wanted = read_excerpts("x", abstract, limit), look_for(tuple(words))
    quoted = excerpts.quote(wanted)
    assert excerpts.quote_once(wanted) == quoted
    shown = excerpts.show(quoted)
    assert len(shown) <= limit
    written = "".join(
        one if isinstance(one, str) else mark(excerpts.pieces[one], words)
        for one in excerpts.lay_out(quoted)
    )
    assert written == mark(shown, words)
    if not quoted and "<mark>" not in mark(shown, words):
        assert not any("<mark>" in mark(piece, words) for piece in excerpts.pieces)
    assert escape(excerpts.show()) == mark(excerpts.show(), ())
