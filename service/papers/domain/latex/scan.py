"""Split TeX into tokens and find its formulas.

RE2's wrapper takes some microseconds a token, which was most of the time of reading physics. These
patterns are of Python's `re`: each repeats one class of characters and nothing within a repetition,
so they cannot backtrack.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

_MATH_TOKEN = re.compile(
    r"[A-Za-z0-9.,:;!?+\-=<>/|()\[\]*@\"]+|\\operatorname\*|\\[A-Za-z]+|\\.|\s+|.", re.DOTALL
)
_TEXT_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}]|[^\\{}]+|\\\Z", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z0-9 .,:;!?+\-=<>/|()\[\]*@\"]*")
# `\\` and `\$` are found so that neither opens a formula.
_DELIMITER = re.compile(r"\$|\\[\\$()\[\]]")
_LONGEST = 2000
_CLOSES = {r"\(": r"\)", r"\[": r"\]"}


def math_tokens(formula: str) -> list[str]:
    """Return commands, runs of blanks, runs of what prints as itself, and single characters.

    Together they are the formula.
    """
    return _MATH_TOKEN.findall(formula)


def text_tokens(text: str) -> list[str]:
    """Return commands, braces and the texts between them, which together are the text."""
    return _TEXT_TOKEN.findall(text)


def is_without_tex(formula: str) -> bool:
    """Return whether every character of a formula prints as itself."""
    return _PLAIN.fullmatch(formula) is not None


class TexFormula(NamedTuple):
    """A formula from its opening delimiter at `start` to past its closing one at `end`.

    `inside` is None for a dollar that is money.
    """

    start: int
    end: int
    inside: str | None


def formulas(text: str, is_prose: Callable[[str], bool]) -> Iterator[TexFormula]:
    r"""Yield what stands in `$…$`, `$$…$$`, `\(…\)` and `\[…\]`, from left to right.

    A dollar before `is_prose` text is money; the next dollar may still open a formula. Linear in
    the text's length, but for what `is_prose` takes.
    """
    marks = [(found.start(), found[0]) for found in _DELIMITER.finditer(text)]
    places: dict[str, list[int]] = {"$": [], r"\)": [], r"\]": []}
    for at, mark in marks:
        if mark in places:
            places[mark].append(at)
    end = 0
    for start, mark in marks:
        if start < end or not (mark == "$" or mark in _CLOSES):
            continue
        if mark == "$":
            found = _between_dollars(text, start, places["$"])
        else:
            found = _up_to(text, start, places[_CLOSES[mark]])
        if found is None:
            continue
        if found.end - start > _LONGEST:
            continue
        if mark == "$" and is_prose(found.inside or ""):
            found = TexFormula(start, start + 1, None)
        end = found.end
        yield found


def _between_dollars(text: str, start: int, dollars: list[int]) -> TexFormula | None:
    at = bisect_right(dollars, start)
    first, second, third = (*dollars[at : at + 3], -1, -1, -1)[:3]
    if first > start + 1:
        return TexFormula(start, first + 1, text[start + 1 : first])
    if second > start + 2 and third == second + 1:
        return TexFormula(start, third + 1, text[start + 2 : second])
    return None


def _up_to(text: str, start: int, closing: list[int]) -> TexFormula | None:
    following = bisect_right(closing, start + 2)
    if following == len(closing):
        return None
    return TexFormula(start, closing[following] + 2, text[start + 2 : closing[following]])
