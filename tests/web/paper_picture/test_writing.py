"""What the font of pictures can write, and what stands for the rest."""

import pytest
from PIL import ImageFont

from service.web.paper_picture.writing import COVERED, FONT, Piece, write_line, write_words


def test_the_font_draws_each_character_that_it_is_said_to_have() -> None:
    font = ImageFont.truetype(FONT, 40, layout_engine=ImageFont.Layout.BASIC)
    blank = {chr(code) for code in COVERED if not any(bytes(font.getmask(chr(code))))}
    assert blank == {" ", "\xa0", "\u202f"}
    assert len(COVERED) > 1_000
    assert {*"aZ09éłΩжặ∑∈∞√→≤′–“”"} <= {chr(code) for code in COVERED}


def test_formulas_are_raised_and_lowered() -> None:
    assert write_words("N_eff ≤ 10⁻¹⁶, Met²Net") == (
        (Piece("N"), Piece("eff", -1)),
        (Piece("≤"),),
        (Piece("10"), Piece("−16", 1), Piece(",")),
        (Piece("Met"), Piece("2", 1), Piece("Net")),
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Cats 🐱❤️ and 👩‍🔬s", "Cats and s"),
        ("𝔼[X] ﬁne Ｗｉｄｅ", "E[X] fine Wide"),
        ("e\u0301te\u0301 x\u0302" + "\u0301" * 300, "été x"),
        ("a\u202eb\x00\n\tc", "ab c"),
        ("深度学习 with cats", None),
        ("التعلم", None),
        ("חתול", None),
        # A stroke that cannot be drawn would turn its sign into the opposite.
        ("a \u2aaf\u0338 b", None),
        ("\U0010ffff", None),
    ],
)
def test_a_text_is_written_whole_or_not_at_all(text: str, written: str | None) -> None:
    assert write_line(text) == written


@pytest.mark.parametrize("title", ["", " \n", "🐱🐱", "猫 cats", "x^(猫)", "…"])
def test_a_title_without_a_letter_that_can_be_written_is_no_title(title: str) -> None:
    assert write_words(title) == ()
