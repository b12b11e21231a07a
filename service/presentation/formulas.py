r"""Typesetting of formulas in a plain text: `N_eff` becomes `N<sub>eff</sub>`, as safe HTML.

The texts are what `service.papers.domain.latex` makes of authors' TeX. Recognised are small
characters (`10⁻¹⁶`), scripts as TeX types them (`y_d`, `f^(−α/2)`), where names such as `set_a` and
addresses stay as they are, and what is left of TeX, which is set in `<code>`.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from re import Match
from typing import Final, NamedTuple

from markupsafe import Markup, escape

from service.papers.domain.latex import symbols


def _small(marks: Iterable[str], kind: str) -> dict[str, str]:
    """Return the full-size characters of those marks that Unicode calls small: not of `*`."""
    return {
        mark: unicodedata.normalize("NFKD", mark)
        for mark in marks
        if len(mark) == 1 and unicodedata.decomposition(mark).startswith(kind)
    }


_RAISED: Final = _small(symbols.SUPERSCRIPTS.values(), "<super>")
_LOWERED: Final = _small(symbols.SUBSCRIPTS.values(), "<sub>")
_FROM_RAISED, _FROM_LOWERED = str.maketrans(_RAISED), str.maketrans(_LOWERED)
_UP, _DOWN = "".join(_RAISED), "".join(_LOWERED)

# Every repetition is of one class, or bounded, so that the time is linear in the text's length.
_BRACKETED = r"\((?:[^()\s]|\s(?=\w)|\([^()\s]{1,40}\)){1,60}\)"
_NUMBER = r"[+−±∓]?\d+(?:\.\d+)?(?![^\W_]|\.\d)"
_WORD = rf"[+−±∓]?[^\W\d_{_UP}{_DOWN}][^\W_{_UP}{_DOWN}]{{0,8}}(?![^\W{_UP}{_DOWN}])|\d+[a-z](?!\w)"
_SCRIPT = rf"(?:{_BRACKETED}|{_NUMBER}|{_WORD}|[*•∥⊥⊙★⋆†])"
# A lowered script follows one letter, since `set_a` is a name; or an error of a number (`5_−0.1`).
_MAY_LOWER = rf"(?:(?<=[^\W\d_])(?<![A-Za-z_\\][A-Za-z])|(?<=[)\]⟩|′*⊙⋆\u0300-\u036f\u20d7{_UP}])|(?<=\d)(?=_[+−]))"
_MAY_RAISE = r"(?<=[\w)\]⟩|′*⊙⋆\u0300-\u036f\u20d7])"
_ONE_SCRIPT = re.compile(rf"([_^])({_SCRIPT})")
_FORMULA: Final = re.compile(
    # Addresses are no formulas, and neither are the names of files and variables.
    r"(?P<plain>\b(?:https?://|www\.)\S+|\b[^\W_]+(?:_+[^\W_]+){2,}|\b[A-Za-z]{2,}\d*_\w+)"
    r"|(?P<code>\$(?=[^$\n]*[\\^_{])[^$\n]{1,2000}\$|\\[A-Za-z]+(?:\{[^{}\n]{0,200}\}){0,3})"
    rf"|(?P<up>[{_UP}]+)|(?P<down>[{_DOWN}]+(?:\.[{_DOWN}]+)?)"
    rf"|(?P<scripts>(?:{_MAY_LOWER}_|{_MAY_RAISE}\^){_SCRIPT}(?:[_^]{_SCRIPT})*)"
)
_MAYBE: Final = re.compile(rf"[_^$\\{_UP}{_DOWN}]")


class Formula(NamedTuple):
    """A formula from `start` to `end` of a text, and its safe HTML."""

    start: int
    end: int
    html: str


def typeset(text: str) -> Markup:
    """Return a plain text as safe HTML with its formulas typeset."""
    return write(text, find_formulas(text), 0, len(text))


def find_formulas(text: str) -> tuple[Formula, ...]:
    """Return the formulas of a plain text, from left to right."""
    if not _MAYBE.search(text):
        return ()
    found = _FORMULA.finditer(text)
    return tuple(Formula(one.start(), one.end(), _html(one)) for one in found if not one["plain"])


def write(text: str, formulas: Sequence[Formula], start: int, end: int) -> Markup:
    """Return `text[start:end]`, which cuts none of the text's formulas, as safe HTML."""
    if not formulas:
        return escape(text[start:end])
    pieces: list[str] = []
    for one in formulas:
        if start <= one.start < end:
            pieces += (escape(text[start : one.start]), one.html)
            start = one.end
    pieces.append(escape(text[start:end]))
    return Markup("".join(pieces))  # noqa: S704 - each piece is escaped


def widen(
    spans: Iterable[tuple[int, int]], formulas: Sequence[Formula]
) -> Iterator[tuple[int, int]]:
    """Yield spans of a text grown so that they cut no formula; those that then touch are one."""
    grown: list[tuple[int, int]] = []
    for start, end in spans:
        cut = [one for one in formulas if one.start < end and start < one.end]
        first = min(start, *(one.start for one in cut)) if cut else start
        last = max(end, *(one.end for one in cut)) if cut else end
        if grown and first < grown[-1][1]:
            first = grown.pop()[0]
        grown.append((first, last))
    yield from grown


def _html(found: Match[str]) -> str:
    if raised := found["up"]:
        return f"<sup>{raised.translate(_FROM_RAISED)}</sup>"
    if lowered := found["down"]:
        return f"<sub>{lowered.translate(_FROM_LOWERED)}</sub>"
    if code := found["code"]:
        return f"<code>{escape(code)}</code>"
    return "".join(_script(one[1], one[2]) for one in _ONE_SCRIPT.finditer(found["scripts"]))


def _script(sign: str, text: str) -> str:
    tag = "sup" if sign == "^" else "sub"
    inside = text[1:-1] if text[0] == "(" and text[-1] == ")" else text
    return f"<{tag}>{escape(inside)}</{tag}>"
