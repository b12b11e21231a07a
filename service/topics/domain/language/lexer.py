"""The lexer of the topic language: parentheses, operators, and terms with their field."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from service.platform import linear_regex
from service.platform.linear_regex import Match
from service.topics.domain.language.syntax_tree import QueryError, TextField

Kind: TypeAlias = Literal["open", "close", "and", "or", "not", "term", "trend"]

TEXT_FIELDS: dict[str, TextField] = {"": "any", "ti": "title", "abs": "abstract"}
SWITCHES = ("new", "cross", "replaced")
FIELDS = ("ti", "abs", "au", "cat", "src", "like", *SWITCHES)
# Field names of other search engines, which similar spelling alone would not map to ours.
_LONG_NAMES = {
    name: field
    for field, names in {
        "ti": "title",
        "abs": "abstract summary",
        "au": "author authors",
        "cat": "category categories subject",
        "src": "source from",
        "like": "similar",
        "replaced": "replacements replacement revised",
        "cross": "crosslist cross-list crosslists",
    }.items()
    for name in names.split()
}
_OPERATORS: dict[str, Kind] = {"AND": "and", "OR": "or", "NOT": "not"}
_PARENTHESES: dict[str, Kind] = {"(": "open", ")": "close"}
_QUOTES = '"“”„‟'

# Pasted text contains control characters and invisible spaces; Postgres refuses NUL characters.
_BLANKS = linear_regex.compile("[\x00-\x1f\x7f-\x9f\u200b\ufeff]")
_WORD = linear_regex.compile(rf"[^\s(){_QUOTES}]+")
_PHRASE_END = linear_regex.compile(f"[{_QUOTES}]")
_FIELD = linear_regex.compile(r"([^\W\d_][\w-]*):")
_TREND = linear_regex.compile(r"trend\s*([<>]=?)\s*([0-9]{1,3})(%?)(?:[\s()]|$)", "i")
_CONDITION = linear_regex.compile(r"[A-Za-z]+\s*[<>]")
_MARKS = linear_regex.compile(r"[^\w*]+")
_STARRED = linear_regex.compile(r"\w[\w.+#'’-]*\*")
SHORTEST_PREFIX = 2


@dataclass(frozen=True, slots=True)
class LexerToken:
    """A token. `start` and `end` are offsets in the text as typed; `text` excludes the field."""

    kind: Kind
    start: int
    end: int
    field: str = ""
    text: str = ""
    is_quoted: bool = False
    is_prefix: bool = False

    def error(self, text: str, message: str, suggestion: str = "") -> QueryError:
        """Return the error that points at this token of `text`."""
        return QueryError(message, text, self.start, self.end - self.start, suggestion)


def iterate_tokens(text: str) -> Iterator[LexerToken]:
    """Yield the tokens of `text` from left to right; raises `QueryError` for an invalid one."""
    try:
        text.encode()
    except UnicodeEncodeError as broken:  # a lone surrogate
        raise QueryError("This is half a character", text, broken.start) from broken
    clean, position = _BLANKS.sub(" ", text), 0
    while position < len(clean):
        if clean[position].isspace():
            position += 1
            continue
        token = _cut_token(text, clean, position)
        position = token.end
        # A lone comma separates like a space, but was cut as a term without text.
        if token.kind != "term" or token.text or token.is_quoted or token.field:
            yield token


def _cut_token(text: str, clean: str, start: int) -> LexerToken:
    first = clean[start]
    if kind := _PARENTHESES.get(first):
        return LexerToken(kind, start, start + 1)
    if first == "-":
        return _cut_minus(text, clean, start)
    if first in _QUOTES:
        return _cut_phrase(text, clean, start, "", start)
    return _cut_word(text, clean, start)


def _cut_minus(text: str, clean: str, start: int) -> LexerToken:
    following = clean[start + 1 : start + 2]
    if not following or following.isspace() or following in "-)":
        raise QueryError(
            "A minus sign stands right before what it excludes",
            text,
            start,
            suggestion='Write -survey, or put it in quotes: "-".',
        )
    return LexerToken("not", start, start + 1)


def _cut_phrase(text: str, clean: str, start: int, field: str, quote_at: int) -> LexerToken:
    end = _PHRASE_END.search(clean, quote_at + 1)
    if end is None:
        raise QueryError(
            "This quote is never closed", text, quote_at, suggestion='Add a " where it ends.'
        )
    words = " ".join(clean[quote_at + 1 : end.start()].split())
    if not words:
        raise QueryError("There is nothing between these quotes", text, quote_at, 2)
    return LexerToken("term", start, end.end(), field, words, is_quoted=True)


def _cut_word(text: str, clean: str, start: int) -> LexerToken:
    # Each guard spares a pattern where its text cannot occur: most words are plain.
    if clean[start] in "tT" and (trend := _TREND.match(clean, start)):
        return _cut_trend(text, trend)
    matched = _WORD.match(clean, start)
    # The caller has checked that there is no blank, parenthesis or quote here.
    whole = matched.group() if matched else clean[start]
    end = start + len(whole)
    if kind := _OPERATORS.get(whole):
        return LexerToken(kind, start, end)
    if ":" in whole and (prefix := _FIELD.match(whole)):
        return _cut_field(text, clean, start, prefix.group(1), whole[prefix.end() :])
    if ("<" in clean or ">" in clean) and (condition := _CONDITION.match(clean, start)):
        end = max(end, condition.end())
        raise QueryError(
            "The only condition with < or > is trend, against a whole number",
            text,
            start,
            end - start,
            f'Write trend>90; as plain text it needs quotes: "{text[start:end]}".',
        )
    word, is_prefix = _split_star(text, start, whole.rstrip(",;"))
    return LexerToken("term", start, end, "", word, is_prefix=is_prefix)


def _cut_trend(text: str, trend: Match[str]) -> LexerToken:
    comparison, percent, _ = trend.groups()
    if int(percent) > 100:
        raise QueryError(
            "A trend is a percentile from 0 to 100",
            text,
            trend.start(2),
            len(percent),
            "trend>90 brings the most noticed tenth of a field's papers.",
        )
    return LexerToken("trend", trend.start(), trend.end(3), comparison, str(int(percent)))


def _cut_field(text: str, clean: str, start: int, name: str, rest: str) -> LexerToken:
    field = name.lower()
    if field not in FIELDS:
        raise _unknown_field(text, start, name, rest)
    value_at = start + len(name) + 1
    if not rest and clean[value_at : value_at + 1] in tuple(_QUOTES):
        return _cut_phrase(text, clean, start, field, value_at)
    word = rest.rstrip(",;")
    if not word and field not in SWITCHES:
        raise QueryError(
            f"{name}: needs a word or a phrase right after it",
            text,
            start,
            len(name) + 1,
            f'Write {field}:word or {field}:"some words".',
        )
    is_prefix = False
    if field in TEXT_FIELDS:
        word, is_prefix = _split_star(text, value_at, word)
    elif field == "au" and "*" in word:
        raise QueryError(
            "A name cannot be cut short by a star",
            text,
            value_at + word.index("*"),
            suggestion='A family name alone finds everyone with it: au:bengio, au:"Y. Bengio".',
        )
    return LexerToken("term", start, value_at + len(rest), field, word, is_prefix=is_prefix)


def _unknown_field(text: str, start: int, name: str, rest: str) -> QueryError:
    known = " ".join(f"{field}:" for field in FIELDS)
    close = difflib.get_close_matches(name.lower(), [*FIELDS, *_LONG_NAMES], n=1)
    near = _LONG_NAMES.get(close[0], close[0]) if close else ""
    hint = f"Did you mean {near}:?" if near else f'As plain text it needs quotes: "{name}:{rest}".'
    return QueryError(
        f"There is no field {name}: here; the fields are {known}", text, start, len(name) + 1, hint
    )


def _split_star(text: str, start: int, word: str) -> tuple[str, bool]:
    """Return the word without its final star, and whether it had one; refuses any other star."""
    if "*" not in word:
        return word, False
    if not _STARRED.fullmatch(word):
        raise QueryError(
            "A star stands for the rest of a word, at its end",
            text,
            start + word.index("*"),
            suggestion='Write optimi*; as plain text it needs quotes: "' + word + '".',
        )
    beginning = word.removesuffix("*")
    if len(_MARKS.sub("", beginning)) < SHORTEST_PREFIX:
        raise QueryError(
            f"A star needs at least {SHORTEST_PREFIX} letters before it", text, start, len(word)
        )
    return beginning, True
