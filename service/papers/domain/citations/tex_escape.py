r"""Write readable text as TeX: the inverse of `latex.readable`, for BibTeX files.

Every brace that is written has its partner, since BibTeX counts escaped ones, too (`btxdoc`, section
4): so `{` is `\lbrace`. Characters without a command stay as they are: LaTeX reads UTF-8
since 2018, and Biber always did.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Final

from service.papers.domain.latex.symbols import ACCENTS, GREEK, LETTERS, SYMBOLS

_SPECIAL: Final[Mapping[str, str]] = {
    "\\": r"\textbackslash{}", "{": r"\ensuremath{\lbrace}", "}": r"\ensuremath{\rbrace}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "<": r"\ensuremath{<}", ">": r"\ensuremath{>}", "|": r"\ensuremath{|}",
    "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "–": "--", "—": "---", "“": "``", "”": "''", "‘": "`", "’": "'", "…": r"\ldots{}", "\u00a0": "~",
    "\u2010": "-", "\u2011": "-", "−": r"\ensuremath{-}", "§": r"\S{}", "¶": r"\P{}", "°": r"\textdegree{}",
    "€": r"\texteuro{}", "£": r"\pounds{}", "µ": r"\ensuremath{\mu}", "•": r"\textbullet{}",
}  # fmt: skip
# The shortest command of each letter or symbol; a phrase such as M⊙ is no single character.
_LETTERS: Final = {letter: name for name, letter in LETTERS.items() if len(letter) == 1}
_SYMBOLS: Final = {
    symbol: name
    for name, symbol in sorted({**SYMBOLS, **GREEK}.items(), key=lambda pair: -len(pair[0]))
    if len(symbol) == 1 and not symbol.isascii()
}
_ACCENTS: Final = {combining: name for name, combining in ACCENTS.items() if name != "t"}


def escape_tex(text: str) -> str:
    """Return one line of TeX that prints the text; it is balanced in braces, whatever the text is."""
    line = unicodedata.normalize("NFC", " ".join(text.split()))
    characters = set(line)
    if any(map(_script_of, characters)):
        return "".join(_escape_line(line))
    # An abstract has 1,500 characters and some 60 different ones.
    return line.translate({ord(each): _escape_character(each) for each in characters})


def verbatim(address: str) -> str:
    """Return a DOI or URL for a field that is not TeX: braces, blanks and backslashes are percent-encoded."""
    return "".join(
        f"%{ord(char):02X}" if char in "{}\\ \t\r\n" else char for char in address.strip()
    )


def _escape_line(line: str) -> Iterator[str]:
    for kind, run in groupby(line, _script_of):
        characters = "".join(run)
        if kind:
            plain = unicodedata.normalize("NFKC", characters).replace("−", "-")
            yield rf"\ensuremath{{{kind}{{{plain}}}}}"
        else:
            yield from map(_escape_character, characters)


def _script_of(character: str) -> str:
    """Return `^` or `_` for a superscript or subscript digit, sign or letter of ASCII."""
    if character.isascii():
        return ""
    kind, _, _ = unicodedata.decomposition(character).partition(" ")
    plain = unicodedata.normalize("NFKC", character).replace("−", "-")
    is_simple = plain.isascii() and (plain.isalnum() or plain in "+-=()")
    return {"<super>": "^", "<sub>": "_"}.get(kind, "") if is_simple else ""


def _escape_character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isascii():
        return character
    if character in _LETTERS:
        return rf"{{\{_LETTERS[character]}}}"
    if character in _SYMBOLS:
        return rf"\ensuremath{{\{_SYMBOLS[character]}}}"
    return _escape_accents(character)


def _escape_accents(character: str) -> str:
    """Return `{\\'{e}}` for `é`; a character with an accent that TeX has not stays as it is."""
    base, *marks = list(unicodedata.normalize("NFD", character))
    if not marks or not base.isascii() or not all(mark in _ACCENTS for mark in marks):
        return character
    written = base
    for mark in marks:
        # Dots of i and j make way for the accent.
        letter = (
            rf"\{written}"
            if written in "ij" and mark not in "\u0323\u0327\u0328\u0331"
            else written
        )
        written = rf"\{_ACCENTS[mark]}{{{letter}}}"
    return f"{{{written}}}"
