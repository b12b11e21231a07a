r"""Convert math between dollars to plain text where that loses nothing.

`\alpha`, `10^{-3}` and `\mathcal{O}(n)` are Unicode; scripts that Unicode has not are written as in
TeX (`N_eff`, see `scripts`). A matrix and an author's own macro have no plain form, and then the
whole formula stays as its author wrote it.
"""

import string
import unicodedata
from collections.abc import Callable
from typing import Final

from service.papers.domain.latex import quantities, symbols
from service.papers.domain.latex.scan import is_without_tex, math_tokens
from service.papers.domain.latex.scripts import shift
from service.platform.caches import cached

# ASCII that TeX prints as it is between dollars, of which `scan` makes runs.
_RUNS: Final = frozenset(f'{string.ascii_letters}{string.digits}.,:;!?+-=<>/|()[]*@"')
# The same alone, and the `%` whose backslash was forgotten; all other ASCII punctuation has a meaning.
_ITSELF: Final = frozenset("`%")
_SPACES: Final = {r"\,", r"\;", r"\:", r"\ ", r"\>", r"\quad", r"\qquad", r"\thinspace", "~"}
_CONTROL_SYMBOLS: Final = {
    **dict.fromkeys((r"\!", r"\-", r"\/", r"\@"), ""),
    **{f"\\{character}": character for character in "%&#_${}"},
    r"\|": "‖",
}
_FRACTIONS: Final = frozenset({"frac", "tfrac", "dfrac", "nicefrac", "sfrac"})
_JOINING: Final = symbols.FUNCTIONS | symbols.RELATIONS | _FRACTIONS
_DEEPEST = 12
_LONGEST_BARRED = 3


class _NoPlainForm(Exception):
    """The formula has no plain form, so the caller leaves it unchanged."""


@cached("plain formulas", maxsize=4096)
def plain_math(formula: str) -> str | None:
    r"""Return the inside of `$…$` in plain Unicode, or None where something would be lost.

    Bold and upright letters are only a style and become plain; calligraphic, blackboard and
    fraktur letters have a meaning of their own and keep their shape (`\mathbb{R}` is ℝ).
    """
    if is_without_tex(formula):
        return formula.strip() or None
    try:
        plain = _Formula(math_tokens(formula)).read()
    except _NoPlainForm:
        return None
    # Of a formula that is only a gap (`$\,$`) one blank stays.
    return unicodedata.normalize("NFC", " ".join(plain.split()) or plain[:1])


class _Formula:
    """A cursor over one formula's tokens."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        # Whether the text so far ends in a script without brackets, which a letter would lengthen.
        self._is_open = False
        # Whether an upright style or a function's name was met: its letters are one word.
        self._is_upright = False

    def read(self) -> str:
        return self._until(None)

    def _until(self, end: str | None) -> str:
        """Read up to and including the brace `end`, or where it is None to the formula's end."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _NoPlainForm
        out, numerator = "", None
        while self._at < len(self._tokens):
            piece = self._tokens[self._at]
            if piece == end:
                break
            if piece == r"\over":
                if numerator is not None:
                    raise _NoPlainForm
                self._at += 1
                out, numerator, self._is_open = "", out, False
                continue
            out = self._appended(out)
        else:
            if end is not None:
                raise _NoPlainForm
        self._at += 1
        self._depth -= 1
        if numerator is None:
            return out
        self._is_open = False
        return _fraction(numerator, out, is_factor=True)

    def _appended(self, out: str) -> str:
        piece = self._next()
        if piece in {"^", "_"}:
            return out.rstrip() + self._script(piece)
        was_open, self._is_open = self._is_open, False
        if piece[0] in _RUNS:
            return f"{out} {piece}" if was_open and piece[0].isalnum() else out + piece
        if piece.isspace() or piece in _SPACES:
            return out + " "
        if piece[0] == "\\" and piece[1:] in _JOINING:
            return self._joined(out, piece[1:])
        added = self._atom(piece)
        return f"{out} {added}" if was_open and added[:1].isalnum() else out + added

    def _joined(self, out: str, name: str) -> str:
        """Append what looks at the text before it: a function's name, a relation or a fraction."""
        if name in symbols.FUNCTIONS:
            return self._with_function(out, name)
        if name in _FRACTIONS:
            return self._with_fraction(out)
        self._skip_blanks()
        return out + symbols.SYMBOLS[name] + (" " if out.endswith(" ") else "")

    def _script(self, sign: str) -> str:
        self._is_upright = False
        script = shift(self._argument(), sign, is_upright=self._is_upright)
        self._is_open = script[:1] == sign and script[-1] != ")"
        return script

    def _with_fraction(self, out: str) -> str:
        """Append `a/b`, in brackets where a factor beside it would seem to belong to one of both."""
        numerator, denominator = self._argument(), self._argument()
        self._is_open = False
        following = self._following()
        if out[-1:].isdigit() and numerator.isdigit() and denominator.isdigit():
            # A mixed number: 2½ is "2 1/2".
            return f"{out} {numerator}/{denominator}"
        is_factor = (
            out[-1:].isalnum()
            or out[-1:] in {")", "]", "/", "^"}
            or following[:1].isalnum()
            or following[:1] in {"(", "[", "{", "^", "_", "/"}
            or (
                following[:1] == "\\"
                and following[1:] not in symbols.RELATIONS
                and following[1:].isalpha()
            )
        )
        return out + _fraction(numerator, denominator, is_factor=is_factor)

    def _atom(self, piece: str) -> str:
        """Return the plain form of one piece with its arguments."""
        if piece == "{":
            return self._until("}")
        if piece[0] != "\\":
            return piece if piece[0] in _RUNS else _literal(piece)
        if piece in _CONTROL_SYMBOLS:
            return _CONTROL_SYMBOLS[piece]
        return self._command(piece[1:])

    def _command(self, name: str) -> str:
        symbol = symbols.GREEK.get(name) or symbols.SYMBOLS.get(name)
        if symbol:
            self._skip_gap_before_letter()
            return symbol
        if name in symbols.CONVENTIONS:
            return symbols.CONVENTIONS[name]
        if name in symbols.STYLES:
            self._is_upright = True
            return self._argument()
        if name in symbols.SWITCHES:
            self._is_upright = True
            self._skip_blanks()
            return ""
        if name in symbols.SIZES:
            return self._delimiter()
        return self._composed(name)

    def _composed(self, name: str) -> str:
        """Return the plain form of a command that builds something from its arguments."""
        if name in symbols.FUNCTIONS:
            self._is_upright = True
            return name
        if name in symbols.ALPHABETS:
            alphabet = symbols.ALPHABETS[name]
            return "".join(alphabet.get(letter, letter) for letter in self._argument())
        if count := quantities.count_arguments(name):
            plain = quantities.convert(name, [self._raw_argument() for _ in range(count)])
        elif name == "href":
            address = self._raw_argument()
            text = self._argument()
            plain = text if text == address else f"{text} ({address})"
        elif name in symbols.MATH_ACCENTS:
            plain = _accented(self._argument(), name)
        elif name in _FRACTIONS:
            plain = _fraction(self._argument(), self._argument(), is_factor=True)
        elif name in _BUILDERS:
            plain = _BUILDERS[name](self._argument())
        else:
            raise _NoPlainForm
        self._is_open = False
        if plain is None:
            raise _NoPlainForm
        return plain

    def _raw_argument(self) -> str:
        """Return the tokens of the `{…}` that follows, as they are written."""
        self._skip_blanks()
        if self._next() != "{":
            raise _NoPlainForm
        start, depth = self._at, 1
        while depth:
            piece = self._next()
            depth += (piece == "{") - (piece == "}")
        return "".join(self._tokens[start : self._at - 1])

    def _argument(self) -> str:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _NoPlainForm
        self._skip_blanks()
        piece = self._next()
        if len(piece) > 1 and piece[0] in _RUNS:
            # TeX takes one character of a run: `x^10` is x¹0.
            self._at -= 1
            self._tokens[self._at], piece = piece[1:], piece[0]
        argument = self._atom(piece)
        self._depth -= 1
        return argument

    def _delimiter(self) -> str:
        delimiter = self._argument()
        # `\left.` is an invisible delimiter.
        return "" if delimiter == "." else delimiter

    def _with_function(self, out: str, name: str) -> str:
        r"""Append a function's name and its blanks: `n\log n` is "n log n", `\log(n)` "log(n)"."""
        self._is_upright = True
        out += f" {name}" if out and (out[-1].isalnum() or out[-1] == ")") else name
        self._skip_blanks()
        while self._following() in {"^", "_"}:
            out += self._script(self._next())
            self._skip_blanks()
        self._is_open = False
        following = self._following()[:1]
        return out if following in {"", "(", "[", ")", "]", "}", ",", "."} else f"{out} "

    def _following(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

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


def _each(text: str, lookup: Callable[[str], str | None]) -> str:
    shaped = [lookup(character) for character in text]
    if not shaped or None in shaped:
        raise _NoPlainForm
    return "".join(part for part in shaped if part is not None)


def _accented(text: str, name: str) -> str:
    r"""Return the accent over a letter with scripts (`Ṁ*`), or a bar over two or three letters."""
    text, mark = text.strip(), symbols.MATH_ACCENTS[name]
    if not text or not text[0].isalnum():
        raise _NoPlainForm
    is_one = text[1:2] in {"", "_", "^"} or not any(map(str.isalpha, text[1:]))
    if is_one and (len(text) == 1 or name not in symbols.WIDE_ACCENTS):
        return unicodedata.normalize("NFC", text[0] + mark) + text[1:]
    if name != "overline" or not text.isalnum() or len(text) > _LONGEST_BARRED:
        raise _NoPlainForm
    return "".join(f"{letter}\u0305" for letter in text)


def _fraction(numerator: str, denominator: str, *, is_factor: bool) -> str:
    numerator, denominator = numerator.strip(), denominator.strip()
    if not numerator or not denominator:
        raise _NoPlainForm
    above = numerator if _is_product(numerator) else f"({numerator})"
    below = denominator if _is_single(denominator) else f"({denominator})"
    return f"({above}/{below})" if is_factor else f"{above}/{below}"


def _is_product(text: str) -> bool:
    """Return whether a division may follow without brackets: no sum and no comparison."""
    return all(
        sign.isalnum() or sign in "._^*·⊙′∂∇" or unicodedata.combining(sign) for sign in text
    )


def _is_single(text: str) -> bool:
    """Return whether a division may precede without brackets: one number or one letter with scripts."""
    if text.replace(".", "", 1).isdigit():
        return True
    # A differential is one: `dN/dE`, `∂f/∂x`.
    text = text[1:] if len(text) > 1 and text[0] in "d∂δΔ" else text
    letters = [
        sign for sign in text if sign.isalpha() and unicodedata.decomposition(sign)[:1] != "<"
    ]
    is_one_base = text[0].isalpha() and (len(letters) == 1 or text[1:2] in {"_", "^"})
    return is_one_base and _is_product(text)


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
