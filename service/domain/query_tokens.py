"""Cuts a topic into tokens: parentheses, operators, and terms with their field."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from service.domain.query_tree import QueryError, TextField

Kind: TypeAlias = Literal["open", "close", "and", "or", "not", "term"]

TEXT_FIELDS: dict[str, TextField] = {"": "any", "ti": "title", "abs": "abstract"}
FIELDS = ("ti", "abs", "au", "cat")
# What people type from habit, where spelling alone would not lead to our name.
_LONG_NAMES = {
    "title": "ti",
    "abstract": "abs",
    "summary": "abs",
    "author": "au",
    "authors": "au",
    "category": "cat",
    "categories": "cat",
    "subject": "cat",
}
_OPERATORS: dict[str, Kind] = {"AND": "and", "OR": "or", "NOT": "not"}
_PARENTHESES: dict[str, Kind] = {"(": "open", ")": "close"}
_QUOTES = '"“”„‟'

# Control characters and invisible spaces come with pasted text; Postgres refuses the first kind.
_BLANKS = re.compile("[\x00-\x1f\x7f-\x9f\u200b\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_WORD = re.compile(rf"[^\s(){_QUOTES}]+")
_PHRASE_END = re.compile(f"[{_QUOTES}]")
_FIELD = re.compile(r"([^\W\d_][\w-]*):")
_CONDITION = re.compile(r"[A-Za-z]+[<>]")


@dataclass(frozen=True, slots=True)
class Token:
    """`start` and `end` are character offsets in the reader's text; `text` is without its field."""

    kind: Kind
    start: int
    end: int
    field: str = ""
    text: str = ""
    is_quoted: bool = False

    @property
    def length(self) -> int:
        return self.end - self.start


def iterate_tokens(text: str) -> Iterator[Token]:
    """The tokens of `text` from left to right; raises `QueryError` where it cannot be cut."""
    if broken := _SURROGATE.search(text):
        raise QueryError("This is half a character", text, broken.start())
    clean, position = _BLANKS.sub(" ", text), 0
    while position < len(clean):
        if clean[position].isspace():
            position += 1
            continue
        token = _cut_token(text, clean, position)
        position = token.end
        # A lone comma separates as a space does, so it leaves a term without text behind.
        if token.kind != "term" or token.text or token.is_quoted:
            yield token


def _cut_token(text: str, clean: str, start: int) -> Token:
    first = clean[start]
    if kind := _PARENTHESES.get(first):
        return Token(kind, start, start + 1)
    if first == "-":
        return _cut_minus(text, clean, start)
    if first in _QUOTES:
        return _cut_phrase(text, clean, start, "", start)
    return _cut_word(text, clean, start)


def _cut_minus(text: str, clean: str, start: int) -> Token:
    following = clean[start + 1 : start + 2]
    if not following or following.isspace() or following in "-)":
        raise QueryError(
            "A minus sign stands right before what it excludes",
            text,
            start,
            suggestion='Write -survey, or put it in quotes: "-".',
        )
    return Token("not", start, start + 1)


def _cut_phrase(text: str, clean: str, start: int, field: str, quote_at: int) -> Token:
    end = _PHRASE_END.search(clean, quote_at + 1)
    if end is None:
        raise QueryError(
            "This quote is never closed", text, quote_at, suggestion='Add a " where it ends.'
        )
    words = " ".join(clean[quote_at + 1 : end.start()].split())
    if not words:
        raise QueryError("There is nothing between these quotes", text, quote_at, 2)
    return Token("term", start, end.end(), field, words, is_quoted=True)


def _cut_word(text: str, clean: str, start: int) -> Token:
    matched = _WORD.match(clean, start)
    # The caller has seen that no blank, parenthesis or quote stands here.
    whole = matched.group() if matched else clean[start]
    end = start + len(whole)
    if kind := _OPERATORS.get(whole):
        return Token(kind, start, end)
    if prefix := _FIELD.match(whole):
        return _cut_field(text, clean, start, prefix.group(1), whole[prefix.end() :])
    word = whole.rstrip(",;")
    _refuse_reserved(text, start, word)
    return Token("term", start, end, "", word)


def _cut_field(text: str, clean: str, start: int, name: str, rest: str) -> Token:
    field = name.lower()
    if field not in FIELDS:
        raise _unknown_field(text, start, name, rest)
    value_at = start + len(name) + 1
    if not rest and clean[value_at : value_at + 1] in tuple(_QUOTES):
        return _cut_phrase(text, clean, start, field, value_at)
    word = rest.rstrip(",;")
    if not word:
        raise QueryError(
            f"{name}: needs a word or a phrase right after it",
            text,
            start,
            len(name) + 1,
            f'Write {field}:word or {field}:"some words".',
        )
    if field in TEXT_FIELDS:
        _refuse_reserved(text, value_at, word)
    return Token("term", start, value_at + len(rest), field, word)


def _unknown_field(text: str, start: int, name: str, rest: str) -> QueryError:
    known = " ".join(f"{field}:" for field in FIELDS)
    near = _LONG_NAMES.get(name.lower()) or next(
        iter(difflib.get_close_matches(name.lower(), [*FIELDS, *_LONG_NAMES], n=1)), ""
    )
    near = _LONG_NAMES.get(near, near)
    hint = f"Did you mean {near}:?" if near else f'As plain text it needs quotes: "{name}:{rest}".'
    return QueryError(
        f"There is no field {name}: here; the fields are {known}", text, start, len(name) + 1, hint
    )


def _refuse_reserved(text: str, start: int, word: str) -> None:
    """Refuses what a later grammar will give a meaning, so that no saved topic changes its own."""
    if word.endswith("*"):
        star_at = start + len(word) - 1
        raise QueryError(
            "A word cannot end in a star here",
            text,
            star_at,
            suggestion="Word endings are found without it: model finds models too.",
        )
    if _CONDITION.match(word):
        raise QueryError(
            "Conditions with < or > are not known here",
            text,
            start,
            len(word),
            f'As plain text it needs quotes: "{word}".',
        )
