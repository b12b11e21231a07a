"""TeX outside formulas: accents, letters, styles, links, and groups in braces."""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from service.papers.domain.latex.symbols import (
    ACCENTS,
    BREAKS,
    CITATIONS,
    GREEK,
    LETTERS,
    MARKS,
    PHRASES,
    STYLES,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    SWITCHES,
    SYMBOLS,
)

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}]|[^\\{}]+|\\\Z", re.DOTALL)
_DEEPEST: Final = 20
# What the second character of a two-character command stands for.
_CONTROL_SYMBOLS: Final = (
    {character: character for character in "%&#_${}"}
    | dict.fromkeys(" ,;:\\", " ")
    | dict.fromkeys("/-@!", "")
)
_DOTLESS: Final = {"ı": "i", "ȷ": "j"}
# JSON once escaped by hand: `MLLM\'s` is a possessive, not a Polish ś.
_APOSTROPHE = re.compile(r"(?:s|t|re|ve|ll|d|m)(?![A-Za-z])")
# BibTeX protects capitals: `{B}ayesian`, `{GAN}s`.
_CAPITALS = re.compile(r"[A-Z0-9]+(?:-[A-Z0-9]+)*")


def plain_tex(text: str, keep: Callable[[str], str]) -> str:
    """The text without the TeX that has a plain form; `keep` protects addresses from later steps.

    Never raises; unknown commands and unbalanced braces stay. Linear in the text's length.
    """
    tokens = _TOKEN.findall(text)
    return _TextParser(tokens, _matching(tokens), keep).read(0, len(tokens))


def _matching(tokens: list[str]) -> dict[int, int]:
    """The closing brace of every opening brace that has one."""
    closing: dict[int, int] = {}
    open_at: list[int] = []
    for at, piece in enumerate(tokens):
        if piece == "{":
            open_at.append(at)
        elif piece == "}" and open_at:
            closing[open_at.pop()] = at
    return closing


class _TextParser:
    """A cursor over tokens; each `_…` method reads from `self._at` and leaves it behind its text."""

    def __init__(
        self, tokens: list[str], closing: dict[int, int], keep: Callable[[str], str]
    ) -> None:
        self._tokens = tokens
        self._closing = closing
        self._keep = keep
        self._at = 0
        self._depth = 0

    def read(self, start: int, end: int) -> str:
        """The plain text of tokens[start:end]; beyond the depth anyone types, the raw text."""
        if self._depth >= _DEEPEST:
            return "".join(self._tokens[start:end])
        self._depth += 1
        returning, self._at = self._at, start
        out: list[str] = []
        while self._at < end:
            out.append(self._piece(out[-1] if out else ""))
        self._depth -= 1
        self._at = returning
        return "".join(out)

    def _piece(self, before: str) -> str:
        at = self._at
        piece = self._tokens[at]
        self._at += 1
        if piece == "{":
            return self._group(at, before)
        if piece[:1] != "\\" or len(piece) == 1:
            return piece
        name = piece[1:]
        if name in ACCENTS and (accented := self._accent(name, before)) is not None:
            return accented
        if name.isascii() and name.isalpha():
            return self._word(name, before)
        return self._control_symbol(name)

    def _control_symbol(self, name: str) -> str:
        if name == "\\" and self._following()[:1] == "%":
            return ""
        return _CONTROL_SYMBOLS.get(name, f"\\{name}")

    # --- groups

    def _group(self, at: int, before: str) -> str:
        """`{…}` after its brace: which braces are TeX's own, and which are the author's text."""
        end = self._closing.get(at)
        if end is None:
            return "{"
        inside = self._tokens[at + 1 : end]
        text = self.read(at + 1, end)
        self._at = end + 1
        follows_command = at > 0 and self._tokens[at - 1][:1] == "\\"
        # An unknown command stays, and its braces with it; after others `{}` only ended the name.
        is_argument = follows_command and before == self._tokens[at - 1]
        if follows_command and not inside and not is_argument:
            return ""
        if not is_argument and self._is_invisible(at, end, inside):
            return text.lstrip() if inside and inside[0][1:] in SWITCHES else text
        return f"{{{text}}}"

    def _is_invisible(self, at: int, end: int, inside: list[str]) -> bool:
        first = inside[0] if inside else ""
        if first[:1] == "\\" and len(first) > 1:
            name = first[1:]
            is_whole = len(inside) == 1 or (name in ACCENTS and _is_one_argument(inside[1:]))
            is_known = any(name in known for known in (LETTERS, MARKS, GREEK, SYMBOLS, ACCENTS))
            return name in SWITCHES or (is_whole and is_known)
        return len(inside) == 1 and self._is_protected(at, end, first)

    def _is_protected(self, at: int, end: int, first: str) -> bool:
        before = self._tokens[at - 1] if at else ""
        after = self._tokens[end + 1] if end + 1 < len(self._tokens) else ""
        touches = (before[:1] != "\\" and before[-1:].isalpha()) or after[:1].isalpha()
        return touches and bool(_CAPITALS.fullmatch(first))

    # --- accents

    def _accent(self, name: str, before: str) -> str | None:
        """The accented letter, or None where this is no accent over a letter."""
        following = self._following()
        if name == "'" and before[-1:].isalpha() and _APOSTROPHE.match(following):
            return "'"
        if following == "{":
            return self._accented_group(name)
        if following[:1] == "\\":
            return self._accented_letter_command(name)
        letter = following[1:] if following[:1] == " " else following
        if letter != following and not _reaches_over_blank(name, before, letter[:1]):
            return "'" if name == "'" and before[-1:].isalpha() else None
        composed = _composed(letter[:1], name)
        if composed is not None:
            self._tokens[self._at] = letter[1:]
        return composed

    def _accented_group(self, name: str) -> str | None:
        end = self._closing.get(self._at)
        if end is None:
            return None
        raw = "".join(self._tokens[self._at + 1 : end])
        inside = self.read(self._at + 1, end)
        # arXiv's old web form broke HTML entities this way: `\b{eta}` was `\beta`.
        composed = GREEK.get(name + raw) or _composed(inside, name)
        self._at = end + 1
        if composed is None and not inside and name in "~^":
            return name
        return f"\\{name}{{{inside}}}" if composed is None else composed

    def _accented_letter_command(self, name: str) -> str | None:
        letter = LETTERS.get(self._following()[1:])
        composed = _composed(letter, name) if letter else None
        if composed is None:
            return None
        self._at += 1
        self._swallow_blank()
        return composed

    # --- commands

    def _word(self, name: str, before: str) -> str:
        if name in LETTERS:
            # `5100 \AA and` is a unit, and its blank is the author's; `\AA rhus` is a name.
            if not (name == "AA" and _ends_in_number(before)):
                self._swallow_blank()
            return LETTERS[name]
        if name in MARKS:
            self._swallow_blank(unless_letter=True)
            return MARKS[name]
        if symbol := GREEK.get(name) or SYMBOLS.get(name):
            # No formula, so the blank was typed for the eye: a word is never glued to a symbol.
            return symbol
        if name in PHRASES:
            return PHRASES[name][:-1] if self._following()[:1] == "." else PHRASES[name]
        if name in SWITCHES:
            self._swallow_blank()
            return ""
        return self._with_arguments(name)

    def _with_arguments(self, name: str) -> str:
        """Commands with arguments; without them, and when unknown, the command itself."""
        plain: str | None = None
        if name in BREAKS:
            plain = " "
        elif name in STYLES:
            plain = self._argument()
        elif name in CITATIONS and (cited := self._argument()) is not None:
            plain = self._keep(f"[{cited}]")
        elif name in {"url", "path", "nolinkurl"} and (address := self._raw_argument()) is not None:
            plain = self._keep(address)
        elif name in {"footnote", "footnotetext", "thanks"}:
            plain = None if (note := self._argument()) is None else f" ({note})"
        elif name in {"href", "textcolor", "texorpdfstring", "colorbox"}:
            plain = self._with_two(name)
        elif name in {"textsuperscript", "textsubscript"}:
            plain = self._shifted(name)
        elif name == "color" and self._raw_argument() is not None:
            plain = ""
        return f"\\{name}" if plain is None else plain

    def _shifted(self, name: str) -> str | None:
        text = self._argument()
        table = SUPERSCRIPTS if name == "textsuperscript" else SUBSCRIPTS
        # `1\textsuperscript{st}` reads as 1st, not as 1ˢᵗ, which no reader's search would find.
        is_number = text is not None and text.isdigit() and text.isascii()
        return "".join(table[digit] for digit in text or "") if is_number else text

    def _with_two(self, name: str) -> str | None:
        returning = self._at
        first, second = self._raw_argument(), self._argument()
        if first is None or second is None:
            self._at = returning
            return None
        if name != "href":
            return second
        return self._keep(second) if first == second else f"{second} ({self._keep(first)})"

    # --- arguments

    def _argument(self) -> str | None:
        """The plain text of the `{…}` that follows, or None where none does."""
        end = self._end_of_argument()
        if end is None:
            return None
        text = self.read(self._at + 1, end)
        self._at = end + 1
        return text

    def _raw_argument(self) -> str | None:
        end = self._end_of_argument()
        if end is None:
            return None
        raw = "".join(self._tokens[self._at + 1 : end])
        self._at = end + 1
        return re.sub(r"\\([%&#_~{}])", r"\1", raw)

    def _end_of_argument(self) -> int | None:
        if self._following().isspace() and self._closing.get(self._at + 1) is not None:
            self._at += 1
        return self._closing.get(self._at)

    def _following(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _swallow_blank(self, *, unless_letter: bool = False) -> None:
        """Drop the one blank that only ended a command's name."""
        following = self._following()
        is_word = unless_letter and following[1:2].isalnum()
        if following[:1] == " " and not is_word:
            self._tokens[self._at] = following[1:]


def _is_one_argument(tokens: list[str]) -> bool:
    """Whether an accent's tokens are just its letter: `\\"o`, `\\"{o}`, `\\'\\i`."""
    raw = "".join(tokens).strip()
    return len(raw.strip("{}")) == 1 or raw.strip("{}")[1:] in LETTERS


def _composed(letter: str, accent: str) -> str | None:
    """Letter and accent as the one character Unicode has for them, or None."""
    combined = unicodedata.normalize("NFC", _DOTLESS.get(letter, letter) + ACCENTS[accent])
    return combined if len(letter) == 1 and letter.isalpha() and len(combined) == 1 else None


def _reaches_over_blank(accent: str, before: str, letter: str) -> bool:
    """Whether an accent belongs to the letter after a blank.

    `Gin\\' e` and `Ond\\v rejov` are names; in `the users\\' needs` and `a \\b black box` nothing is
    accented.
    """
    if accent.isalpha():
        return accent in "cvuH"
    return before[-1:].isalpha() and before[-1:] != "s" and letter.lower() in "aeiou"


def _ends_in_number(text: str) -> bool:
    """A digit, or the mark that stands for a formula."""
    last = text.rstrip()[-1:]
    return last.isdigit() or last == "\x01"
