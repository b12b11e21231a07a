"""Contrast of colours, for readable text (WCAG 2.2, success criterion 1.4.3)."""

import re

# Background colours of the mails, in light and in dark mode.
PAPER, NIGHT = "#fffefb", "#1d1b17"
LEAST_CONTRAST = 4.5

_COLOUR = re.compile("#[0-9a-fA-F]{6}")


def is_colour(text: str) -> bool:
    """Return whether `text` is a colour as `#rrggbb`."""
    return bool(_COLOUR.fullmatch(text))


def contrast(colour: str, ground: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted((_luminance(colour), _luminance(ground)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
