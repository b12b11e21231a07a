"""What Postgres' text search reads, and its text output of a `tsvector` (manual, 8.11.1)."""

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

Positions: TypeAlias = tuple[int, ...]

# Postgres quotes every lexeme and doubles the quotes and backslashes inside it.
_LEXEME = re.compile(r"'((?:[^'\\]|''|\\\\)+)'(?::((?:\d+[ABCD]?,)*\d+[ABCD]?))?(?: |$)")
_WEIGHTS = str.maketrans("", "", "ABCD")

# In the C locale, which the embedded server has, the parser takes all beyond ASCII for letters:
# “word” would be a word of six letters with its quotes, and a—b one of three. These end a word…
_BREAKS: Final = "“”„‟«»‹›‘’‚‛—–―…•≈∼≃≲≳≤≥≡≠→←↔±×÷⟨⟩∣‖\u3000、。，：；？！（）「」『』【】《》〈〉"
# … and these are hyphens and the minus.
_HYPHENS: Final = "‐‑−"
SEPARATORS: Final = f"{_BREAKS}{_HYPHENS}"
"""Characters to replace, each by that at its place in `PARSED_AS`, before Postgres parses a text."""
PARSED_AS: Final = f"{' ' * len(_BREAKS)}{'-' * len(_HYPHENS)}"
_PARSED = str.maketrans(SEPARATORS, PARSED_AS)


def searchable(text: str) -> str:
    """Return a text as the columns of lexemes have it parsed, for a query over them."""
    return text.translate(_PARSED)


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
