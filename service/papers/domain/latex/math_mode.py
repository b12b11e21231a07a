"""Math between dollars, said in plain Unicode where that loses nothing.

`\\alpha`, `10^{-3}` and `\\mathcal{O}(n)` have a plain form; `x^{y^z}` and an author's own macro do
not, and then the whole formula stays as its author wrote it.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from service.papers.domain.latex.symbols import (
    ALPHABETS,
    FUNCTIONS,
    GREEK,
    MATH_ACCENTS,
    RELATIONS,
    SIZES,
    STYLES,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    SWITCHES,
    SYMBOLS,
)
from service.platform.caches import cached

_TOKEN = re.compile(r"\\operatorname\*|\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9 .,:;!?+\-=<>/|()\[\]*@\"]*")
# What stands for itself between dollars; everything else that is ASCII has a meaning to TeX.
_ITSELF: Final = frozenset(".,:;!?+-=<>/|()[]*@\"'`")
_SPACES: Final = {r"\,", r"\;", r"\:", r"\ ", r"\>", r"\quad", r"\qquad", r"\thinspace", "~"}
_NOTHING: Final = {r"\!", r"\-", r"\/", r"\@"}
_ESCAPED: Final = {r"\%", r"\&", r"\#", r"\_", r"\$", r"\{", r"\}"}
_FRACTIONS: Final = frozenset({"frac", "tfrac", "dfrac", "nicefrac", "sfrac"})
_DEEPEST = 12


class _Unsayable(Exception):
    """No plain form exists; the caller keeps the formula as it came."""


@cached("plain formulas", maxsize=4096)
def plain_math(formula: str) -> str | None:
    """The inside of `$…$` in plain Unicode, or None where something would be lost.

    Bold and upright letters are a look and become plain; calligraphic, blackboard and fraktur
    letters are names and keep their shape (`\\mathbb{R}` is ℝ).
    """
    if _PLAIN.fullmatch(formula):
        return formula.strip() or None
    try:
        said = _Formula(_TOKEN.findall(formula)).said()
    except _Unsayable:
        return None
    return unicodedata.normalize("NFC", " ".join(said.split())) or None


class _Formula:
    """A cursor over one formula's tokens."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def said(self) -> str:
        return self._until(None)

    def _until(self, end: str | None) -> str:
        """Everything up to the closing brace, which is consumed; None is the formula's end."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Unsayable
        out = ""
        while self._at < len(self._tokens):
            piece = self._tokens[self._at]
            if piece == end:
                self._at += 1
                self._depth -= 1
                return out
            out = self._appended(out)
        if end is not None:
            raise _Unsayable
        self._depth -= 1
        return out

    def _appended(self, out: str) -> str:
        piece = self._next()
        if piece in {"^", "_"}:
            table = SUPERSCRIPTS if piece == "^" else SUBSCRIPTS
            return out.rstrip() + _shifted(self._argument(), table)
        if piece.isspace() or piece in _SPACES:
            return out + " "
        if piece[0] == "\\" and piece[1:] in FUNCTIONS:
            return self._with_function(out, piece[1:])
        if piece[0] == "\\" and piece[1:] in RELATIONS:
            self._skip_blanks()
            return out + SYMBOLS[piece[1:]] + (" " if out.endswith(" ") else "")
        return out + self._atom(piece)

    def _atom(self, piece: str) -> str:
        """What one piece stands for, with its arguments."""
        if piece == "{":
            return self._until("}")
        if piece[0] != "\\":
            return _literal(piece)
        if piece in _ESCAPED:
            return piece[1]
        if piece in _NOTHING:
            return ""
        return self._command(piece[1:])

    def _command(self, name: str) -> str:
        symbol = GREEK.get(name) or SYMBOLS.get(name)
        if symbol:
            self._skip_gap_before_letter()
            return symbol
        if name in STYLES:
            return self._argument()
        if name in SWITCHES:
            self._skip_blanks()
            return ""
        if name in SIZES:
            return self._delimiter()
        return self._composed(name)

    def _composed(self, name: str) -> str:
        """Commands that build something from their arguments."""
        if name in FUNCTIONS:
            return name
        if name in ALPHABETS:
            return _each(self._argument(), ALPHABETS[name].get)
        if name in MATH_ACCENTS:
            return _accented(self._argument(), MATH_ACCENTS[name])
        if name in _FRACTIONS:
            return f"{_simple(self._argument())}/{_simple(self._argument())}"
        if name in _BUILDERS:
            return _BUILDERS[name](self._argument())
        raise _Unsayable

    def _argument(self) -> str:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _Unsayable
        self._skip_blanks()
        argument = self._atom(self._next())
        self._depth -= 1
        return argument

    def _delimiter(self) -> str:
        delimiter = self._argument()
        # `\left.` is a delimiter that is not there: only TeX's layout gives it a meaning.
        if delimiter == ".":
            raise _Unsayable
        return delimiter

    def _with_function(self, out: str, name: str) -> str:
        """`n\\log n` is read as "n log n", `\\log(n)` as "log(n)"."""
        gap = " " if out and (out[-1].isalnum() or out[-1] == ")") else ""
        self._skip_blanks()
        following = self._tokens[self._at] if self._at < len(self._tokens) else ""
        closes = following[:1] in {"", "(", "[", ")", "]", "}", "^", "_", ",", "."}
        return f"{out}{gap}{name}{'' if closes else ' '}"

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise _Unsayable
        self._at += 1
        return self._tokens[self._at - 1]

    def _skip_blanks(self) -> None:
        while self._at < len(self._tokens) and self._tokens[self._at].isspace():
            self._at += 1

    def _skip_gap_before_letter(self) -> None:
        """The blank that only ends a command's name: `\\Delta t` is Δt; `\\mu = 1` keeps its own."""
        following = "".join(self._tokens[self._at : self._at + 2])
        if following[:1].isspace() and following.strip()[:1].isalnum():
            self._at += 1


def _literal(piece: str) -> str:
    if piece == "'":
        return "′"
    # Beyond ASCII authors already wrote the character they meant: λ, ≤, é.
    if piece.isalnum() or piece in _ITSELF or (not piece.isascii() and piece.isprintable()):
        return piece
    raise _Unsayable


def _shifted(text: str, table: dict[str, str]) -> str:
    """The text as superscript or subscript, if Unicode has every one of its characters."""
    return _each("".join(text.split()), table.get)


def _each(text: str, lookup: Callable[[str], str | None]) -> str:
    shaped = [lookup(character) for character in text]
    if not shaped or None in shaped:
        raise _Unsayable
    return "".join(part for part in shaped if part is not None)


def _accented(text: str, mark: str) -> str:
    if len(text) != 1 or not text.isalpha():
        raise _Unsayable
    return unicodedata.normalize("NFC", text + mark)


def _simple(text: str) -> str:
    """A numerator or denominator that needs no bracket."""
    if not text or not all(character.isalnum() or character == "." for character in text):
        raise _Unsayable
    return text


def _rooted(text: str) -> str:
    if not text:
        raise _Unsayable
    return f"√{text}" if text.isdigit() or len(text) == 1 else f"√({text})"


def _code_point(text: str) -> str:
    """MathJax's `\\unicode{x2013}`."""
    try:
        character = chr(int(text[1:], 16) if text[:1] == "x" else int(text))
    except (ValueError, OverflowError):
        raise _Unsayable from None
    return _literal(character)


def _negated(text: str) -> str:
    return _each(text[:1], lambda sign: unicodedata.normalize("NFC", f"{sign}\u0338")) + text[1:]


_BUILDERS: Final = {"sqrt": _rooted, "unicode": _code_point, "not": _negated}
