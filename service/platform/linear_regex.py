"""Regular expressions for text that strangers write: their time is linear in the text (RE2).

Python's `re` backtracks: on some patterns a text of 40 kB takes seconds, and one of 400 kB minutes.
RE2 has no backreferences and no lookaround, and repeats at most 1,000 times. `.ci/regex_check.py`
refuses `re` in the folders that read strangers' text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from re import Match
from typing import Any, AnyStr, Generic, TypeVar

import re2

__all__ = ["LinearPattern", "Match", "compile", "escape"]

T = TypeVar("T")

_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
# Python's classes cover Unicode and RE2's only ASCII. In brackets, these are their contents.
_UNICODE = {
    "w": r"\pL\pN_",
    "d": r"\p{Nd}",
    "s": r"\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}",
}
# RE2 counts no vertical tab as a blank.
_ASCII = {"s": r"\t-\r\x20"}
# Complements inside brackets have no contents of their own, so the usual ones are written out.
_BRACKETS = {r"[^\W\d_]": r"[\pL\p{Nl}\p{No}]", r"[^\W_]": r"[\pL\pN]", r"[\W_]": r"[^\pL\pN]"}


class LinearPattern(Generic[AnyStr]):
    """A pattern with the methods of `re.Pattern`. A lone surrogate counts as U+FFFD.

    It is compiled at its first use: most processes use few of ours, and all of them take 10 MB.
    """

    def __init__(self, pattern: AnyStr, options: re2.Options) -> None:
        self.pattern: AnyStr = pattern
        self._options = options

    @cached_property
    def _compiled(self) -> Any:
        return re2.compile(self.pattern, self._options)

    def search(self, text: AnyStr, pos: int = 0) -> Match[AnyStr] | None:
        found: Match[AnyStr] | None = _apply(lambda sound: self._compiled.search(sound, pos), text)
        return found

    def match(self, text: AnyStr, pos: int = 0) -> Match[AnyStr] | None:
        found: Match[AnyStr] | None = _apply(lambda sound: self._compiled.match(sound, pos), text)
        return found

    def fullmatch(self, text: AnyStr) -> Match[AnyStr] | None:
        found: Match[AnyStr] | None = _apply(self._compiled.fullmatch, text)
        return found

    def finditer(self, text: AnyStr, pos: int = 0) -> Iterator[Match[AnyStr]]:
        yield from self._compiled.finditer(_replace_surrogates(text), pos)

    def findall(self, text: AnyStr) -> list[Any]:
        return _apply(self._compiled.findall, text)

    def split(self, text: AnyStr, maxsplit: int = 0) -> list[AnyStr]:
        return _apply(lambda sound: self._compiled.split(sound, maxsplit), text)

    def sub(
        self, put: AnyStr | Callable[[Match[AnyStr]], AnyStr], text: AnyStr, count: int = 0
    ) -> AnyStr:
        # RE2's wrapper spoils replacements beyond ASCII, which it unescapes as Latin-1.
        by = put if callable(put) or _has_escape(put) else lambda _: put
        replaced: AnyStr = _apply(lambda sound: self._compiled.sub(by, sound, count), text)
        return replaced


def compile(pattern: AnyStr, flags: str = "") -> LinearPattern[AnyStr]:  # noqa: A001 - as in re
    r"""Return a pattern, whose first use raises `re2.error` for what RE2 cannot do.

    `flags` are letters as in Python's `(?ims)`, and `a` for classes of ASCII only. Else `\w`, `\d` and
    `\s` of a text pattern cover Unicode as they do in `re`; `\b` is between ASCII letters in either
    case. `$` is the end of the text only, not the place before a last line end.
    """
    options = re2.Options()
    options.log_errors = False
    letters = flags.replace("a", "")
    head = f"(?{letters})" if letters else ""
    if isinstance(pattern, bytes):
        options.encoding = re2.Options.Encoding.LATIN1
        text = head + _translate(pattern.decode("latin-1"), is_ascii=True)
        return LinearPattern(text.encode("latin-1"), options)
    return LinearPattern(head + _translate(pattern, is_ascii="a" in flags), options)


def _translate(pattern: str, *, is_ascii: bool) -> str:
    r"""Return Python's pattern as RE2 writes it: `\Z` is `\z` there, and classes are of Unicode."""
    if not is_ascii:
        for python, ours in _BRACKETS.items():
            pattern = pattern.replace(python, ours)
    pieces: list[str] = []
    is_inside, place = False, 0
    while place < len(pattern):
        letter = pattern[place]
        place += 1
        if letter == "\\" and place < len(pattern):
            pieces.append(_translate_escape(pattern[place], is_ascii, is_inside))
            place += 1
            continue
        if letter == "[" and not is_inside:
            is_inside = True
            # A closing bracket that comes first is an ordinary character.
            head = next(
                head for head in ("[^]", "[]", "[^", "[") if pattern.startswith(head, place - 1)
            )
            letter, place = head, place - 1 + len(head)
        elif letter == "]":
            is_inside = False
        pieces.append(letter)
    return "".join(pieces)


def _translate_escape(letter: str, is_ascii: bool, is_inside: bool) -> str:
    if letter == "Z":
        return r"\z"
    classes = _ASCII if is_ascii else _UNICODE
    if letter.lower() not in classes:
        return f"\\{letter}"
    contents = classes[letter.lower()]
    if letter.islower():
        return contents if is_inside else f"[{contents}]"
    if is_inside:
        raise ValueError(f"\\{letter} in brackets has no translation; write what it is to match")
    return f"[^{contents}]"


def _apply(do: Callable[[AnyStr], T], text: AnyStr) -> T:
    try:
        return do(text)
    except UnicodeEncodeError:
        return do(_replace_surrogates(text))


def _has_escape(put: str | bytes) -> bool:
    """Return whether a replacement names a group. Raises `ValueError` for one beyond ASCII."""
    has = (b"\\" in put) if isinstance(put, bytes) else ("\\" in put)
    if has and not put.isascii():
        raise ValueError("a replacement beyond ASCII that names a group has to be a function")
    return has


def _replace_surrogates(text: AnyStr) -> AnyStr:
    if isinstance(text, bytes) or text.isascii():
        return text
    return text.translate(_SURROGATES)


def escape(text: str) -> str:
    """Return a pattern that matches exactly this text."""
    return str(re2.escape(text))
