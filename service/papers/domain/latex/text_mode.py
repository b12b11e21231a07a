"""Convert TeX outside formulas: accents, letters, styles, links, and groups in braces."""

import unicodedata
from collections.abc import Callable
from typing import Final

from service.papers.domain.latex import quantities, symbols
from service.papers.domain.latex.math_mode import plain_math
from service.papers.domain.latex.scan import text_tokens
from service.platform import linear_regex

_DEEPEST: Final = 20
# The plain form of a two-character command, by its second character.
_CONTROL_SYMBOLS: Final = (
    {character: character for character in "%&#_${}"}
    | dict.fromkeys(" ,;:\\", " ")
    | dict.fromkeys("/-@!", "")
)
_DOTLESS: Final = {"ı": "i", "ȷ": "j"}
# Authors escape apostrophes as in JSON: `MLLM\'s` is a possessive, not a Polish ś.
_APOSTROPHE = linear_regex.compile(r"(?:s|t|re|ve|ll|d|m)(?:[^A-Za-z]|\Z)")
# BibTeX protects capitals: `{B}ayesian`, `{GAN}s`.
_ESCAPED = linear_regex.compile(r"\\([%&#_~{}])")
_CAPITALS = linear_regex.compile(r"[A-Z0-9]+(?:-[A-Z0-9]+)*")


def plain_tex(text: str, protect: Callable[[str], str]) -> str:
    """Return the text with TeX made plain; `protect` keeps later steps from changing addresses.

    Never raises; unknown commands and unbalanced braces stay. Linear in the text's length.
    """
    tokens = text_tokens(text)
    return _TextParser(tokens, _matching(tokens), protect).read(0, len(tokens))


def _matching(tokens: list[str]) -> dict[int, int]:
    """Return the position of the closing brace of every opening brace that has one."""
    closing: dict[int, int] = {}
    open_at: list[int] = []
    for at, piece in enumerate(tokens):
        if piece == "{":
            open_at.append(at)
        elif piece == "}" and open_at:
            closing[open_at.pop()] = at
    return closing


class _TextParser:
    """A cursor over tokens; each `_…` method reads from `self._at` and moves it past its text."""

    def __init__(
        self, tokens: list[str], closing: dict[int, int], protect: Callable[[str], str]
    ) -> None:
        self._tokens = tokens
        self._closing = closing
        self._protect = protect
        self._at = 0
        self._depth = 0

    def read(self, start: int, end: int) -> str:
        """Return the plain text of tokens[start:end], or where nested too deeply the raw text."""
        if self._depth >= _DEEPEST:
            return "".join(self._tokens[start:end])
        self._depth += 1
        returning, self._at = self._at, start
        out: list[str] = []
        while self._at < end:
            if script := self._script(out[-1] if out else ""):
                out[-1:] = [out[-1][:-1], script]
            else:
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
        if name in symbols.ACCENTS and (accented := self._accent(name, before)) is not None:
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
        """Read `{…}` after its brace; drop braces that are TeX's, keep those that are text."""
        end = self._closing.get(at)
        if end is None:
            return "{"
        inside = self._tokens[at + 1 : end]
        text = self.read(at + 1, end)
        self._at = end + 1
        follows_command = at > 0 and self._tokens[at - 1][:1] == "\\"
        # An unknown command keeps its braces; after other commands `{}` only ended the name.
        is_argument = follows_command and before == self._tokens[at - 1]
        if follows_command and not inside and not is_argument:
            return ""
        if not is_argument and self._is_invisible(at, end, inside):
            return text.lstrip() if inside and inside[0][1:] in symbols.SWITCHES else text
        return f"{{{text}}}"

    def _is_invisible(self, at: int, end: int, inside: list[str]) -> bool:
        first = inside[0] if inside else ""
        if first[:1] == "\\" and len(first) > 1:
            name = first[1:]
            is_whole = len(inside) == 1 or (
                name in symbols.ACCENTS and _is_one_argument(inside[1:])
            )
            is_known = any(
                name in known
                for known in (
                    symbols.LETTERS,
                    symbols.MARKS,
                    symbols.GREEK,
                    symbols.SYMBOLS,
                    symbols.ACCENTS,
                )
            )
            return name in symbols.SWITCHES or (is_whole and is_known)
        return len(inside) == 1 and self._is_protected(at, end, first)

    def _is_protected(self, at: int, end: int, first: str) -> bool:
        before = self._tokens[at - 1] if at else ""
        after = self._tokens[end + 1] if end + 1 < len(self._tokens) else ""
        touches = (before[:1] != "\\" and before[-1:].isalpha()) or after[:1].isalpha()
        return touches and bool(_CAPITALS.fullmatch(first))

    def _script(self, before: str) -> str:
        """Return the plain form of `_{…}` and `^{…}` outside formulas, past which it then stands."""
        end = self._closing.get(self._at) if before[-1:] in {"_", "^"} else None
        if end is None or (len(before) > 1 and before[-2] == before[-1]):
            return ""
        plain = plain_math(f"{before[-1]}{''.join(self._tokens[self._at : end + 1])}")
        if plain:
            self._at = end + 1
        return plain or ""

    # --- accents

    def _accent(self, name: str, before: str) -> str | None:
        """Return the accented letter, or None where this is no accent over a letter."""
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
        # arXiv's old web form damaged commands this way: `\b{eta}` was `\beta`.
        composed = symbols.GREEK.get(name + raw) or _composed(inside, name)
        self._at = end + 1
        if composed is None and not inside and name in "~^":
            return name
        return f"\\{name}{{{inside}}}" if composed is None else composed

    def _accented_letter_command(self, name: str) -> str | None:
        letter = symbols.LETTERS.get(self._following()[1:])
        composed = _composed(letter, name) if letter else None
        if composed is None:
            return None
        self._at += 1
        self._drop_blank()
        return composed

    # --- commands

    def _word(self, name: str, before: str) -> str:
        if name in symbols.LETTERS:
            # After a number it is a unit with a blank (`5100 \AA and`); `\AA rhus` is a name.
            if not (name == "AA" and _ends_in_number(before)):
                self._drop_blank()
            return symbols.LETTERS[name]
        if mark := symbols.MARKS.get(name) or symbols.CONVENTIONS.get(name):
            self._drop_blank(unless_letter=True)
            return mark
        if symbol := symbols.GREEK.get(name) or symbols.SYMBOLS.get(name):
            # Outside formulas the blank after a symbol is text, so it stays.
            return symbol
        if name in symbols.PHRASES:
            return (
                symbols.PHRASES[name][:-1]
                if self._following()[:1] == "."
                else symbols.PHRASES[name]
            )
        if name in symbols.SWITCHES:
            self._drop_blank()
            return ""
        return self._with_arguments(name)

    def _with_arguments(self, name: str) -> str:
        """Return a command's plain form; the command itself if unknown or without arguments."""
        plain: str | None = None
        if name in symbols.BREAKS:
            plain = " "
        elif name in symbols.STYLES:
            plain = self._argument()
        elif name in symbols.CITATIONS and (cited := self._argument()) is not None:
            plain = self._protect(f"[{cited}]")
        elif name in {"url", "path", "nolinkurl"} and (address := self._raw_argument()) is not None:
            plain = self._protect(address)
        elif name in {"footnote", "footnotetext", "thanks"}:
            plain = None if (note := self._argument()) is None else f" ({note})"
        elif name in {"href", "textcolor", "texorpdfstring", "colorbox"}:
            plain = self._with_two(name)
        elif name in {"textsuperscript", "textsubscript"}:
            plain = self._shifted(name)
        elif count := quantities.count_arguments(name):
            plain = self._quantity(name, count)
        elif name == "color" and self._raw_argument() is not None:
            plain = ""
        return f"\\{name}" if plain is None else plain

    def _shifted(self, name: str) -> str | None:
        text = self._argument()
        table = symbols.SUPERSCRIPTS if name == "textsuperscript" else symbols.SUBSCRIPTS
        # `1\textsuperscript{st}` becomes 1st, not 1ˢᵗ, which no search would find.
        is_number = text is not None and text.isdigit() and text.isascii()
        return "".join(table[digit] for digit in text or "") if is_number else text

    def _quantity(self, name: str, count: int) -> str | None:
        returning = self._at
        arguments = [self._raw_argument() for _ in range(count)]
        given = [argument for argument in arguments if argument is not None]
        plain = quantities.convert(name, given) if len(given) == count else None
        if plain is None:
            self._at = returning
        return plain

    def _with_two(self, name: str) -> str | None:
        returning = self._at
        first, second = self._raw_argument(), self._argument()
        if first is None or second is None:
            self._at = returning
            return None
        if name != "href":
            return second
        return self._protect(second) if first == second else f"{second} ({self._protect(first)})"

    # --- arguments

    def _argument(self) -> str | None:
        """Return the plain text of the `{…}` that follows, or None where none does."""
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
        return _ESCAPED.sub(r"\1", raw)

    def _end_of_argument(self) -> int | None:
        if self._following().isspace() and self._closing.get(self._at + 1) is not None:
            self._at += 1
        return self._closing.get(self._at)

    def _following(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _drop_blank(self, *, unless_letter: bool = False) -> None:
        """Drop the blank that only ended a command's name."""
        following = self._following()
        is_word = unless_letter and following[1:2].isalnum()
        if following[:1] == " " and not is_word:
            self._tokens[self._at] = following[1:]


def _is_one_argument(tokens: list[str]) -> bool:
    r"""Return whether an accent's tokens are just its letter: `\"o`, `\"{o}`, `\'\i`."""
    raw = "".join(tokens).strip()
    return len(raw.strip("{}")) == 1 or raw.strip("{}")[1:] in symbols.LETTERS


def _composed(letter: str, accent: str) -> str | None:
    """Return letter and accent as one Unicode character, or None if there is none."""
    combined = unicodedata.normalize("NFC", _DOTLESS.get(letter, letter) + symbols.ACCENTS[accent])
    return combined if len(letter) == 1 and letter.isalpha() and len(combined) == 1 else None


def _reaches_over_blank(accent: str, before: str, letter: str) -> bool:
    r"""Return whether an accent belongs to the letter after a blank.

    `Gin\' e` and `Ond\v rejov` are names; in `the users\' needs` and `a \b black box` nothing is
    accented.
    """
    if accent.isalpha():
        return accent in "cvuH"
    return before[-1:].isalpha() and before[-1:] != "s" and letter.lower() in "aeiou"


def _ends_in_number(text: str) -> bool:
    """Return whether the text ends in a digit or the mark of a formula."""
    last = text.rstrip()[-1:]
    return last.isdigit() or last == "\x01"
