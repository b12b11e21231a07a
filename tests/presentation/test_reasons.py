"""The sentence that explains why a paper is in a digest."""

import pytest

from service.messages.rendering.text_part import text_because
from service.presentation.reasons import because, heading_says, marked_words
from service.topics.domain.types import Reason


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        ([], ""),
        (
            [
                Reason('"prompt tuning"', "title", ("prompt", "tuning")),
                Reason("cat:cs.CL", "category", ("cs.CL",)),
            ],
            "You get this because the title says “prompt tuning” and it is in "
            "Computation and Language (cs.CL).",
        ),
        (
            [Reason("a", "title", ("a",)), Reason("a", "abstract", ("a",))],
            "You get this because the title says “a”.",
        ),
        (
            [
                Reason("a", "title", ("a",)),
                Reason("b", "abstract", ("b",)),
                Reason('au:"Y. Bengio"', "author", ("Y. Bengio",), is_guess=True),
            ],
            "You get this because the title says “a”, the abstract says “b” and “Y. Bengio” "
            "may be an author you follow.",
        ),
        (
            [Reason("au:Bengio", "author"), Reason("cat:cs.*", "category")],
            "You get this because it is by “Bengio” and it is in cs.*.",
        ),
        (
            [Reason("x", "title", ("x",)), Reason("y", "title", ("y",)), Reason("z", "title")],
            "You get this because the title says “x”, “y” and “z”.",
        ),
        ([Reason("new:today", "other")], "You get this because it matches “today”."),
        (
            [
                Reason("src:huggingface", "source", ("huggingface",)),
                Reason("trend>90", "trend", ("94",)),
                Reason('like:"a text"', "meaning"),
            ],
            "You get this because it was listed on “Hugging Face”, it is trending above 94% of "
            "that day’s papers in its field and it is similar to “a text”.",
        ),
    ],
)
def test_a_reason_is_one_sentence(reasons: list[Reason], expected: str) -> None:
    assert text_because(reasons) == expected


def test_only_words_of_title_and_abstract_are_marked() -> None:
    reasons = [
        Reason('"prompt tuning"', "title", ("prompt tuning",)),
        Reason('"prompt tuning"', "abstract", ("prompt tuning",)),
        Reason("cat:cs.CL", "category", ("cs.CL",)),
        Reason("au:Bengio", "author", ("Bengio",)),
    ]
    assert marked_words(reasons) == ("prompt tuning",)
    assert [piece.text for piece in because(reasons) if piece.is_marked] == [
        "prompt tuning",
        "Bengio",
    ]


TITLE, ABSTRACT = (Reason('"prompt tuning"', field, ("prompt",)) for field in ("title", "abstract"))
CATEGORY = Reason("cat:cs.CL", "category", ("cs.CL",))
AUTHOR = Reason('au:"Ada Example"', "author", ("Ada Example",))


@pytest.mark.parametrize(
    ("heading", "reasons", "is_said"),
    [
        ("Prompt tuning", (TITLE, ABSTRACT), True),
        ('"prompt tuning"', (ABSTRACT,), True),
        ("Prompt tuning in cs.CL", (TITLE, CATEGORY), True),
        ("Prompt tuning in cs.CL", (CATEGORY,), False),
        ("Prompt tuning", (TITLE, CATEGORY), False),
        ("Prompt tuning, continual learning", (TITLE,), False),
        ("My thesis", (TITLE,), False),
        ("All of computational linguistics", (CATEGORY,), True),
        ("Ada Example", (AUTHOR,), True),
        ("Ada Example", (AUTHOR._replace(is_guess=True),), False),
        ("Prompt tuning", (TITLE, Reason("trend>90", "trend", ("94",))), False),
        ("Prompt tuning", (Reason("like:prompts", "meaning", ("prompts",)),), False),
        ("Prompt tuning", (), False),
        ("", (TITLE,), False),
    ],
)
def test_a_heading_says_the_reasons_that_it_is_the_name_of(
    heading: str, reasons: tuple[Reason, ...], is_said: bool
) -> None:
    assert heading_says(heading, reasons) is is_said
