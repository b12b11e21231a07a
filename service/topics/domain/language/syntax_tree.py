"""What a topic is once it has been read: a small tree, and the error a reader gets instead of one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

TextField: TypeAlias = Literal["any", "title", "abstract"]


@dataclass(frozen=True, slots=True)
class Text:
    """Words to be found, in this order, in one field; `any` is the title or else the abstract.

    `text` is as the reader wrote it. One bare word may still be several lexemes (`pre-trained`).
    """

    field: TextField
    text: str
    is_phrase: bool = False


@dataclass(frozen=True, slots=True)
class Author:
    """A person's name, in any of the forms `names.author_matches` understands."""

    name: str


@dataclass(frozen=True, slots=True)
class Category:
    """One category, or several by `cs.*` or an archive's bare name."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """Words that begin like `text`, which is folded and as short as two letters: `optimi*`.

    It is words that are compared here and not their stems: the stem of "optimization" is "optim".
    """

    field: TextField
    text: str


@dataclass(frozen=True, slots=True)
class FromSource:
    """Papers that this source has told of, alone or among others; one of `SOURCES`."""

    name: str


# More than what settles ties between equal percentiles (`trending`), less than any two of them differ.
TREND_TIE = 1e-5
Comparison: TypeAlias = Literal[">", ">=", "<", "<="]


@dataclass(frozen=True, slots=True)
class TrendLimit:
    """The trend of a paper, a percentile within its primary category, against a whole number."""

    comparison: Comparison
    percent: int

    def holds(self, trend: float) -> bool:
        """Whether a paper with this trend (0 to 100) is wanted."""
        if self.comparison == ">":
            return trend > self.percent + TREND_TIE
        if self.comparison == ">=":
            return trend >= self.percent
        if self.comparison == "<":
            return trend < self.percent
        return trend <= self.percent + TREND_TIE


@dataclass(frozen=True, slots=True)
class Like:
    """Papers near in meaning to a text, or to a stored paper: then `text` is its key."""

    text: str
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class Announced:
    """How a paper must have been announced; it concerns the whole topic, never a part of it.

    `home` are the category patterns the topic asks for: a paper whose primary category is in none
    of them is a cross-list to this topic. Without any, the source's own word counts.
    """

    new: bool = True
    cross: bool = True
    replaced: bool = False
    home: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    operand: Query


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple[Query, ...]


Leaf: TypeAlias = Text | Prefix | Author | Category | FromSource | TrendLimit | Like | Announced
Joining: TypeAlias = type[And] | type[Or]
Query: TypeAlias = And | Or | Not | Leaf

_CARET_REACH = 36  # columns of the topic shown on each side of the fault, so that a line fits 80
_CARET_MAX = 24  # a long fault needs no longer line to be seen


class QueryError(ValueError):
    """A topic that cannot be read: says what is wrong, where, and what would be right.

    `position` and `length` count characters of `text`; `suggestion` is empty where none is near.
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
        """Two lines for a fixed-width page: the topic near the fault, and carets beneath it."""
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
    """The columns a terminal gives `text`: two for wide characters, none for combining ones."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (_width(character) in "WF")
        for character in text
    )


def _width(character: str) -> str:
    return unicodedata.east_asian_width(character)


def fold_words(text: str) -> str:
    """`text` as it is compared and looked up: composed, lower case, single spaces.

    Characters whose lower case is longer than one are left to Postgres, which knows its own rule.
    """
    if text.isascii():
        return " ".join(text.lower().split())
    composed = unicodedata.normalize("NFC", text)
    lowered = "".join(_lower(character) for character in composed)
    return " ".join(unicodedata.normalize("NFC", lowered).split())


def _lower(character: str) -> str:
    lowered = character.lower()
    return lowered if len(lowered) == 1 else character


def iterate_leaves(query: Query) -> Iterator[Leaf]:
    """Every leaf from left to right, those under a NOT too."""
    if isinstance(query, And | Or):
        for operand in query.operands:
            yield from iterate_leaves(operand)
    elif isinstance(query, Not):
        yield from iterate_leaves(query.operand)
    else:
        yield query


def push_negations(query: Query, *, is_negated: bool = False) -> Query:
    """The same meaning with NOT on leaves only (De Morgan), nested AND and OR flattened.

    So every leaf is plainly wanted or plainly unwanted, and equal topics look more alike.
    """
    if isinstance(query, Not):
        return push_negations(query.operand, is_negated=not is_negated)
    if isinstance(query, And | Or):
        is_and = isinstance(query, And) is not is_negated
        pushed = (push_negations(each, is_negated=is_negated) for each in query.operands)
        return join(And if is_and else Or, pushed)
    return Not(query) if is_negated else query


def join(kind: Joining, operands: Iterable[Query]) -> Query:
    """`operands`, of which there is at least one, under one AND or OR; a single one stays itself."""
    flat = flatten(kind, operands)
    return flat[0] if len(flat) == 1 else kind(flat)


def flatten(kind: Joining, operands: Iterable[Query]) -> tuple[Query, ...]:
    """`operands` with those that are themselves of this kind replaced by their own operands."""
    flat: list[Query] = []
    for each in operands:
        flat.extend(each.operands if isinstance(each, kind) else (each,))
    return tuple(flat)
