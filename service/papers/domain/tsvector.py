"""Parse Postgres' text output of a `tsvector` (PostgreSQL manual, section 8.11.1)."""

import re
from collections.abc import Mapping
from typing import TypeAlias

Positions: TypeAlias = tuple[int, ...]

# Postgres quotes every lexeme and doubles the quotes and backslashes inside it.
_LEXEME = re.compile(r"'((?:[^'\\]|''|\\\\)+)'(?::((?:\d+[ABCD]?,)*\d+[ABCD]?))?(?: |$)")
_WEIGHTS = str.maketrans("", "", "ABCD")


def parse_tsvector(text: str) -> dict[str, Positions]:
    """Return the lexemes with their positions (from 1, ascending; none in a stripped vector).

    Raises `ValueError` for anything that is not the output of `tsvector::text`.
    """
    lexemes: dict[str, Positions] = {}
    at = 0
    while at < len(text):
        found = _LEXEME.match(text, at)
        if found is None:
            raise ValueError(f"not a tsvector at character {at + 1}: {text[at : at + 20]!r}")
        lexeme, positions = found.groups()
        lexemes[_unescape(lexeme)] = _parse_positions(positions) if positions else ()
        at = found.end()
    return lexemes


def _unescape(lexeme: str) -> str:
    if "'" not in lexeme and "\\" not in lexeme:
        return lexeme
    return lexeme.replace("''", "'").replace("\\\\", "\\")


def _parse_positions(text: str) -> Positions:
    return tuple(map(int, text.translate(_WEIGHTS).split(",")))


Lexemes: TypeAlias = Mapping[str, Positions]
