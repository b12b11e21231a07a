"""Text as the font of the pictures can write it: words of pieces on, above and below the line.

Layout is that of Latin, Greek and Cyrillic. Of a text in another script nothing is written, since
letters that the font lacks would become boxes.
"""

import html
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from struct import unpack_from
from typing import Final, NamedTuple

from service.platform import linear_regex
from service.presentation.formulas import typeset
from service.presentation.sanitize import clean

FONT: Final = Path(__file__).with_name("LibertinusSerif-SemiBold.ttf")
# A picture has room for some two hundred characters.
_MOST_CHARACTERS: Final = 400
# Marks, joiners and pictographs: a text without them says the same.
_DISPENSABLE: Final = frozenset({"Mn", "Me", "Cf", "So", "Sk"})
_PARTS: Final = linear_regex.compile(r"<(sup|sub|code)>([^<]*)</(?:sup|sub|code)>|([^<]+)")
# The class of marks that lie over a character.
_OVERLAY: Final = 1
_LEVELS: Final = {"sup": 1, "sub": -1}


class Piece(NamedTuple):
    """A part of a word; `level` is 1 for raised, -1 for lowered text and 0 on the line."""

    text: str
    level: int = 0


Word = tuple[Piece, ...]


def _read_coverage(font: bytes) -> frozenset[int]:
    """Return the characters of a font: the segments of its table `cmap` in format 4 (OpenType)."""
    for entry in range(12, 12 + 16 * unpack_from(">H", font, 4)[0], 16):
        tag, _, table, _ = unpack_from(">4sIII", font, entry)
        if tag == b"cmap":
            start = table + unpack_from(">I", font, table + 8)[0]
            count = unpack_from(">H", font, start + 6)[0] // 2
            lasts = unpack_from(f">{count}H", font, start + 14)
            firsts = unpack_from(f">{count}H", font, start + 16 + 2 * count)
            pairs = zip(firsts, lasts, strict=True)
            return frozenset(code for first, last in pairs for code in range(first, last + 1))
    raise ValueError("the font has no characters")


COVERED: Final = _read_coverage(FONT.read_bytes()) - {0xFFFF}


def write_words(title: str) -> tuple[Word, ...]:
    """Return a title with its formulas; nothing where the font lacks a letter of it."""
    words: list[list[Piece]] = [[]]
    for found in _PARTS.finditer(typeset(clean(title)[:_MOST_CHARACTERS])):
        level = _LEVELS.get(found[1] or "", 0)
        text = write_line(html.unescape(found[2] or found[3] or ""))
        if text is None:
            return ()
        if level:
            words[-1].append(Piece(text.strip(), level))
            continue
        first, *others = text.split(" ")
        words[-1].append(Piece(first))
        words += [[Piece(other)] for other in others]
    written = tuple(tuple(piece for piece in word if piece.text) for word in words)
    return tuple(word for word in written if word) if _says_anything(written) else ()


def _says_anything(words: tuple[Word, ...]) -> bool:
    return any(char.isalnum() for word in words for piece in word for char in piece.text)


def write_line(text: str) -> str | None:
    """Return a text with single blanks, as far as the font has it; None where it lacks a letter."""
    written = " "
    for char in unicodedata.normalize("NFC", clean(text)[:_MOST_CHARACTERS]):
        replaced = _write(char, written[-1])
        if replaced is None:
            return None
        if replaced != " " or written[-1] != " ":
            written += replaced
    return written.removeprefix(" ") if not text[:1].isspace() else written


def _write(char: str, previous: str) -> str | None:
    """Return what stands for a character: itself, its plain form, or "" for what can be left out."""
    if char.isspace():
        return " "
    if ord(char) in COVERED:
        return char
    plain = "".join(_without_marks(unicodedata.normalize("NFKD", char)))
    if plain and all(ord(each) in COVERED for each in plain):
        return plain
    # A stroke through a sign of mathematics denies it.
    is_negation = unicodedata.combining(char) == _OVERLAY and not previous.isalpha()
    return "" if unicodedata.category(char) in _DISPENSABLE and not is_negation else None


def _without_marks(text: str) -> Iterator[str]:
    """Yield the characters without the marks on letters."""
    yield from (char for char in text if not (unicodedata.combining(char) and text[0].isalpha()))
