"""The syntax tree (AST) of a topic, and the error for a text that cannot be parsed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Final, Literal, TypeAlias
from unicodedata import combining, east_asian_width, normalize

TextField: TypeAlias = Literal["any", "title", "abstract"]


@dataclass(frozen=True, slots=True)
class Text:
    """Words that stand in this order in one field; `any` means the title or the abstract.

    `text` is as it was typed. One bare word may still be several lexemes (`pre-trained`).
    """

    field: TextField
    text: str
    is_phrase: bool = False


@dataclass(frozen=True, slots=True)
class Author:
    """An author's name, in any form that `author_names.author_matches` accepts."""

    name: str


@dataclass(frozen=True, slots=True)
class Category:
    """One category, or all of an archive, as `cs.*` or `cs`."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """Words that begin with `text`, which is folded and has at least two letters: `optimi*`.

    Words are compared and not their stems, since the stem of "optimization" is "optim".
    """

    field: TextField
    text: str


@dataclass(frozen=True, slots=True)
class FromSource:
    """Papers that this source announced, alone or among others; one of `SOURCES`."""

    name: str


# Larger than the tie-breaker added to equal percentiles (trends), smaller than any real difference.
TREND_TIE = 1e-5
Comparison: TypeAlias = Literal[">", ">=", "<", "<="]
COMPARE: Final = {">": gt, ">=": ge, "<": lt, "<=": le}


@dataclass(frozen=True, slots=True)
class TrendLimit:
    """A limit on the trend of a paper, a percentile within its primary category."""

    comparison: Comparison
    percent: int

    @property
    def limit(self) -> float:
        """The number to compare trends (0 to 100) with: beyond those that equal `percent`."""
        return self.percent + (TREND_TIE if self.comparison in {">", "<="} else 0)


@dataclass(frozen=True, slots=True)
class Like:
    """Papers near in meaning to a text, or to stored papers, whose keys are `text` if `is_key`."""

    text: str
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class Announced:
    """The kinds of announcement that count for the whole topic, never for a part of it.

    `home` are the category patterns that the topic asks for: a paper whose primary category is in
    none of them is a cross-list to this topic. If `home` is empty, the source decides.
    """

    new: bool = True
    cross: bool = True
    replaced: bool = False
    home: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """A negated operand."""

    operand: Query


@dataclass(frozen=True, slots=True)
class And:
    """Operands that must all hold."""

    operands: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Operands of which at least one must hold."""

    operands: tuple[Query, ...]


Leaf: TypeAlias = Text | Prefix | Author | Category | FromSource | TrendLimit | Like | Announced
Joining: TypeAlias = type[And] | type[Or]
Query: TypeAlias = And | Or | Not | Leaf

_CARET_REACH = 36  # characters of the topic on each side of the error, so that a line fits 80
_CARET_MAX = 24  # carets shown for a long error


class QueryError(ValueError):
    """A topic that cannot be parsed, with the reason, the position and a suggestion.

    `position` and `length` count characters of `text`; `suggestion` may be empty.
    """

    def __init__(
        self, message: str, text: str, position: int, length: int = 1, suggestion: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.text = text
        self.position = position
        self.length = length
        self.suggestion = suggestion

    def __str__(self) -> str:
        hint = f" {self.suggestion}" if self.suggestion else ""
        return f"{self.message} (character {self.position + 1}).{hint}"

    def render(self) -> str:
        """Return two lines for a terminal: the topic near the error, and carets beneath it."""
        start = max(0, self.position - _CARET_REACH)
        end = min(len(self.text), self.position + _CARET_REACH)
        before = ("… " if start else "") + _on_one_line(self.text[start : self.position])
        after = _on_one_line(self.text[self.position : end])
        marked = _columns(_on_one_line(self.text[self.position : self.position + self.length]))
        carets = "^" * min(max(1, marked), _CARET_MAX)
        ending = " …" if end < len(self.text) else ""
        return f"{before}{after}{ending}\n{' ' * _columns(before)}{carets}"


def _on_one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _columns(text: str) -> int:
    """Count the terminal columns of `text`: two for wide characters, none for combining ones."""
    return sum(
        0 if combining(character) else 1 + (east_asian_width(character) in "WF")
        for character in text
    )


def fold_words(text: str) -> str:
    """Return `text` as it is compared and looked up: Unicode NFC, lower case, single spaces.

    Characters whose lower case is longer than one stay, since Postgres folds them by its own rule.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    pairs = ((character, character.lower()) for character in normalize("NFC", text))
    lowered = "".join(lower if len(lower) == 1 else character for character, lower in pairs)
    return " ".join(normalize("NFC", lowered).split())


def iterate_leaves(query: Query) -> Iterator[Leaf]:
    """Yield every leaf from left to right, also those under a NOT."""
    if isinstance(query, And | Or):
        for operand in query.operands:
            yield from iterate_leaves(operand)
    elif isinstance(query, Not):
        yield from iterate_leaves(query.operand)
    else:
        yield query


def push_negations(query: Query, *, is_negated: bool = False) -> Query:
    """Return an equivalent tree in negation normal form, with nested AND and OR flattened."""
    if isinstance(query, Not):
        return push_negations(query.operand, is_negated=not is_negated)
    if isinstance(query, And | Or):
        is_and = isinstance(query, And) is not is_negated
        pushed = (push_negations(each, is_negated=is_negated) for each in query.operands)
        return join(And if is_and else Or, pushed)
    return Not(query) if is_negated else query


def join(kind: Joining, operands: Iterable[Query]) -> Query:
    """Join one or more operands under an AND or OR; a single operand is returned as it is."""
    flat = flatten(kind, operands)
    return flat[0] if len(flat) == 1 else kind(flat)


def flatten(kind: Joining, operands: Iterable[Query]) -> tuple[Query, ...]:
    """Return `operands` with each operand of this kind replaced by its own operands."""
    flat: list[Query] = []
    for each in operands:
        flat.extend(each.operands if isinstance(each, kind) else (each,))
    return tuple(flat)
