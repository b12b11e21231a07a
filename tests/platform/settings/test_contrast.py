"""Contrast as WCAG counts it."""

import pytest

from service.platform.settings.contrast import LEAST_CONTRAST, NIGHT, PAPER, contrast, is_colour


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#000000", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#0000FF", "#ffffff", 8.59),
        ("#010101", "#000000", 1.01),
        ("#a8321c", "#a8321c", 1.0),
    ],
)
def test_contrast_is_what_wcag_says(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == pytest.approx(ratio, abs=0.01)


def test_our_own_colours_can_be_read() -> None:
    for day in ("#1c1b18", "#5f5b52", "#a8321c"):
        assert contrast(day, PAPER) >= LEAST_CONTRAST
    for night in ("#ece8dd", "#a8a294", "#ef8a72"):
        assert contrast(night, NIGHT) >= LEAST_CONTRAST
    assert contrast("#1c1b18", "#fdeea3") >= LEAST_CONTRAST
    assert contrast("#ece8dd", "#574a10") >= LEAST_CONTRAST


@pytest.mark.parametrize("text", ["", "red", "#fff", "#12345g", "#1234567", " #123456", "123456"])
def test_only_six_hexadecimal_digits_are_a_colour(text: str) -> None:
    assert not is_colour(text)
    assert is_colour("#a8321C")
