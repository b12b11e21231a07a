r"""Convert math between dollars to plain Unicode where that loses nothing.

`\alpha`, `10^{-3}` and `\mathcal{O}(n)` have a plain form; `x^{y^z}` and an author's own macro do
not, and then the whole formula stays as its author wrote it.
"""

import unicodedata
from collections.abc import Callable
from typing import Final

from service.papers.domain.latex import symbols
from service.platform import linear_regex
from service.platform.caches import cached

_TOKEN = linear_regex.compile(r"\\operatorname\*|\\[A-Za-z]+|\\.|\s+|.", "s")
_PLAIN = linear_regex.compile(r"[A-Za-z0-9 .,:;!?+\-=<>/|()\[\]*@\"]*")
# ASCII that TeX prints as it is between dollars; all other ASCII punctuation has a meaning.
_ITSELF: Final = frozenset(".,:;!?+-=<>/|()[]*@\"'`")
_SPACES: Final = {r"\,", r"\;", r"\:", r"\ ", r"\>", r"\quad", r"\qquad", r"\thinspace", "~"}
_NOTHING: Final = {r"\!", r"\-", r"\/", r"\@"}
_ESCAPED: Final = {r"\%", r"\&", r"\#", r"\_", r"\$", r"\{", r"\}"}
_FRACTIONS: Final = frozenset({"frac", "tfrac", "dfrac", "nicefrac", "sfrac"})
_DEEPEST = 12


class _NoPlainForm(Exception):
    """The formula has no plain form, so the caller leaves it unchanged."""


@cached("plain formulas", maxsize=4096)
def plain_math(formula: str) -> str | None:
    r"""Return the inside of `$…$` in plain Unicode, or None where something would be lost.

    Bold and upright letters are only a style and become plain; calligraphic, blackboard and
    fraktur letters have a meaning of their own and keep their shape (`\mathbb{R}` is ℝ).
    """
    if _PLAIN.fullmatch(formula):
        return formula.strip() or None
    try:
        plain = _Formula(_TOKEN.findall(formula)).read()
    except _NoPlainForm:
        return None
    return unicodedata.normalize("NFC", " ".join(plain.split())) or None


class _Formula:
    """A cursor over one formula's tokens."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def read(self) -> str:
        return self._until(None)

    def _until(self, end: str | None) -> str:
        """Read up to and including the brace `end`, or where it is None to the formula's end."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _NoPlainForm
        out = ""
        while self._at < len(self._tokens):
            piece = self._tokens[self._at]
            if piece == end:
                self._at += 1
                self._depth -= 1
                return out
            out = self._appended(out)
        if end is not None:
            raise _NoPlainForm
        self._depth -= 1
        return out

    def _appended(self, out: str) -> str:
        piece = self._next()
        if piece in {"^", "_"}:
            table = symbols.SUPERSCRIPTS if piece == "^" else symbols.SUBSCRIPTS
            return out.rstrip() + _shifted(self._argument(), table)
        if piece.isspace() or piece in _SPACES:
            return out + " "
        if piece[0] == "\\" and piece[1:] in symbols.FUNCTIONS:
            return self._with_function(out, piece[1:])
        if piece[0] == "\\" and piece[1:] in symbols.RELATIONS:
            self._skip_blanks()
            return out + symbols.SYMBOLS[piece[1:]] + (" " if out.endswith(" ") else "")
        return out + self._atom(piece)

    def _atom(self, piece: str) -> str:
        """Return the plain form of one piece with its arguments."""
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
        symbol = symbols.GREEK.get(name) or symbols.SYMBOLS.get(name)
        if symbol:
            self._skip_gap_before_letter()
            return symbol
        if name in symbols.STYLES:
            return self._argument()
        if name in symbols.SWITCHES:
            self._skip_blanks()
            return ""
        if name in symbols.SIZES:
            return self._delimiter()
        return self._composed(name)

    def _composed(self, name: str) -> str:
        """Return the plain form of a command that builds something from its arguments."""
        if name in symbols.FUNCTIONS:
            return name
        if name in symbols.ALPHABETS:
            return _each(self._argument(), symbols.ALPHABETS[name].get)
        if name in symbols.MATH_ACCENTS:
            return _accented(self._argument(), symbols.MATH_ACCENTS[name])
        if name in _FRACTIONS:
            return f"{_simple(self._argument())}/{_simple(self._argument())}"
        if name in _BUILDERS:
            return _BUILDERS[name](self._argument())
        raise _NoPlainForm

    def _argument(self) -> str:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _NoPlainForm
        self._skip_blanks()
        argument = self._atom(self._next())
        self._depth -= 1
        return argument

    def _delimiter(self) -> str:
        delimiter = self._argument()
        # `\left.` is an invisible delimiter, which has a meaning only in TeX's layout.
        if delimiter == ".":
            raise _NoPlainForm
        return delimiter

    def _with_function(self, out: str, name: str) -> str:
        r"""Append a function's name and its blanks: `n\log n` is "n log n", `\log(n)` "log(n)"."""
        gap = " " if out and (out[-1].isalnum() or out[-1] == ")") else ""
        self._skip_blanks()
        following = self._tokens[self._at] if self._at < len(self._tokens) else ""
        closes = following[:1] in {"", "(", "[", ")", "]", "}", "^", "_", ",", "."}
        return f"{out}{gap}{name}{'' if closes else ' '}"

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise _NoPlainForm
        self._at += 1
        return self._tokens[self._at - 1]

    def _skip_blanks(self) -> None:
        while self._at < len(self._tokens) and self._tokens[self._at].isspace():
            self._at += 1

    def _skip_gap_before_letter(self) -> None:
        r"""Skip a blank that only ends a command's name: `\Delta t` is Δt; `\mu = 1` keeps it."""
        following = "".join(self._tokens[self._at : self._at + 2])
        if following[:1].isspace() and following.strip()[:1].isalnum():
            self._at += 1


def _literal(piece: str) -> str:
    if piece == "'":
        return "′"
    # A character beyond ASCII is already what the author meant: λ, ≤, é.
    if piece.isalnum() or piece in _ITSELF or (not piece.isascii() and piece.isprintable()):
        return piece
    raise _NoPlainForm


def _shifted(text: str, table: dict[str, str]) -> str:
    """Return the text as superscript or subscript, if Unicode has all of its characters."""
    return _each("".join(text.split()), table.get)


def _each(text: str, lookup: Callable[[str], str | None]) -> str:
    shaped = [lookup(character) for character in text]
    if not shaped or None in shaped:
        raise _NoPlainForm
    return "".join(part for part in shaped if part is not None)


def _accented(text: str, mark: str) -> str:
    if len(text) != 1 or not text.isalpha():
        raise _NoPlainForm
    return unicodedata.normalize("NFC", text + mark)


def _simple(text: str) -> str:
    """Return a numerator or denominator that needs no brackets."""
    if not text or not all(character.isalnum() or character == "." for character in text):
        raise _NoPlainForm
    return text


def _rooted(text: str) -> str:
    if not text:
        raise _NoPlainForm
    return f"√{text}" if text.isdigit() or len(text) == 1 else f"√({text})"


def _code_point(text: str) -> str:
    r"""Return the character of MathJax's `\unicode{x2013}`."""
    try:
        character = chr(int(text[1:], 16) if text[:1] == "x" else int(text))
    except (ValueError, OverflowError):
        raise _NoPlainForm from None
    return _literal(character)


def _negated(text: str) -> str:
    return _each(text[:1], lambda sign: unicodedata.normalize("NFC", f"{sign}\u0338")) + text[1:]


_BUILDERS: Final = {"sqrt": _rooted, "unicode": _code_point, "not": _negated}
