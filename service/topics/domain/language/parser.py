"""The parser of the topic language: OR binds least, then AND (explicit or not), then NOT, minus."""

from difflib import get_close_matches
from typing import cast

from service.papers.domain.author_names import author_key
from service.papers.domain.categories import UnknownCategory, expand, suggested_category
from service.papers.domain.source_names import SOURCE_NAMES, SOURCES
from service.platform.work_budget import spend
from service.similarity.domain.vectors import MOST_PAPERS, like_keys
from service.topics.domain.language import syntax_tree as syntax
from service.topics.domain.language.announcement_filters import split_switches
from service.topics.domain.language.lexer import TEXT_FIELDS, LexerToken, iterate_tokens

MAX_CHARACTERS = 4096
MAX_CLAUSES = 200
MAX_NESTING = 50

_SPELLING = {"and": "AND", "or": "OR", "not": "NOT"}
_WANT_FIRST = "Say what you want, then what you don't."


def parse_tree(text: str) -> syntax.Query:
    """Parse `text` to a tree exactly as written; raises `QueryError`."""
    if len(text) > MAX_CHARACTERS:
        raise syntax.QueryError(
            f"A topic has at most {MAX_CHARACTERS:,} characters; this one has {len(text):,}",
            text,
            MAX_CHARACTERS,
        )
    tokens, announced = split_switches(text, _tokenize(text))
    if not tokens:
        message = "This topic only says how its papers are announced"
        raise syntax.QueryError(message, text, 0, len(text), _WANT_FIRST)
    query = _Parser(text, tokens).parse_topic()
    if _matches_blank(query):
        first = next(token for token in tokens if token.kind == "not")
        raise first.error(text, "This topic only says what it excludes", _WANT_FIRST)
    return query if announced == syntax.Announced() else syntax.join(syntax.And, (query, announced))


def _tokenize(text: str) -> tuple[LexerToken, ...]:
    tokens: list[LexerToken] = []
    clauses = 0
    for token in iterate_tokens(text):
        spend()
        tokens.append(token)
        clauses += token.kind in {"term", "trend"}
        if clauses > MAX_CLAUSES:
            raise token.error(text, f"A topic has at most {MAX_CLAUSES} words, phrases and fields")
    if not tokens:
        raise syntax.QueryError("This topic is empty", text, 0, suggestion=_WANT_FIRST)
    return tuple(tokens)


def _matches_blank(query: syntax.Query) -> bool:
    """Return whether a paper without any words would match, since the topic only excludes."""
    if isinstance(query, syntax.Not):
        return not _matches_blank(query.operand)
    if isinstance(query, syntax.And):
        return all(_matches_blank(each) for each in query.operands)
    return isinstance(query, syntax.Or) and any(_matches_blank(each) for each in query.operands)


class _Parser:
    """Recursive-descent parser; `MAX_NESTING` bounds the recursion far below Python's limit."""

    def __init__(self, text: str, tokens: tuple[LexerToken, ...]) -> None:
        self._text = text
        self._tokens = tokens
        self._at = 0
        self._open: list[LexerToken] = []

    def parse_topic(self) -> syntax.Query:
        query = self._parse_any()
        if self._peek() == "close":
            raise self._tokens[self._at].error(self._text, "This parenthesis was never opened")
        return query

    def _parse_any(self) -> syntax.Query:
        operands = [self._parse_all()]
        while self._peek() == "or":
            self._at += 1
            operands.append(self._parse_all())
        return syntax.join(syntax.Or, operands)

    def _parse_all(self) -> syntax.Query:
        operands = [self._parse_operand()]
        while self._peek() in {"and", "not", "open", "term", "trend"}:
            self._at += self._peek() == "and"
            operands.append(self._parse_operand())
        return syntax.join(syntax.And, operands)

    def _parse_operand(self) -> syntax.Query:
        is_negated = False
        while self._peek() == "not":  # a loop, so that a thousand NOTs cost no stack
            is_negated = not is_negated
            self._at += 1
        if self._peek() == "open":
            operand = self._parse_group()
        elif self._peek() in {"term", "trend"}:
            operand = build_leaf(self._text, self._tokens[self._at])
            self._at += 1
        else:
            raise self._missing_operand()
        return syntax.Not(operand) if is_negated else operand

    def _parse_group(self) -> syntax.Query:
        opening = self._tokens[self._at]
        if len(self._open) == MAX_NESTING:
            raise opening.error(self._text, f"Parentheses nest at most {MAX_NESTING} deep")
        self._open.append(opening)
        self._at += 1
        query = self._parse_any()
        if self._peek() != "close":
            raise opening.error(self._text, "This parenthesis is never closed")
        self._open.pop()
        self._at += 1
        return query

    def _peek(self) -> str:
        return self._tokens[self._at].kind if self._at < len(self._tokens) else "end"

    def _missing_operand(self) -> syntax.QueryError:
        before = self._tokens[self._at - 1] if self._at else None
        if before is not None and before.kind in _SPELLING:
            return before.error(self._text, f"{_SPELLING[before.kind]} needs something after it")
        here = self._tokens[self._at] if self._at < len(self._tokens) else None
        if here is not None and here.kind in _SPELLING:
            return here.error(self._text, f"{_SPELLING[here.kind]} needs something before it")
        if before is None:
            return self._tokens[0].error(self._text, "This parenthesis was never opened")
        if here is None:
            return before.error(self._text, "This parenthesis is never closed")
        return before.error(self._text, "There is nothing between these parentheses")


# Postgres stores 256 positions of a lexeme, so a longer phrase could be ambiguous.
MAX_TERM_CHARACTERS = 255

# Enough for a pasted abstract, which is embedded and never matched as a phrase.
MAX_LIKE_CHARACTERS = 2000
_SOURCE_ALIASES = {alias: source.name for source in SOURCES for alias in source.aliases}


def build_leaf(text: str, token: LexerToken) -> syntax.Query:
    """Return the leaf of a term or trend; raises `QueryError` with the position in `text`."""
    if token.kind == "trend":
        return syntax.TrendLimit(cast("syntax.Comparison", token.field), int(token.text))
    if token.field == "like":
        return _build_like(text, token)
    # Folding can make a text longer, and the folded text is stored and looked up.
    folded = author_key(token.text) if token.field == "au" else syntax.fold_words(token.text)
    if max(len(token.text), len(folded)) > MAX_TERM_CHARACTERS:
        raise token.error(text, f"A word or phrase has at most {MAX_TERM_CHARACTERS} characters")
    if token.field == "cat":
        return _build_category(text, token)
    if token.field == "src":
        return _build_source(text, token)
    if token.field == "au":
        if not folded:
            raise token.error(text, "There is no name here")
        return syntax.Author(token.text)
    field = TEXT_FIELDS[token.field]
    return (
        syntax.Prefix(field, folded)
        if token.is_prefix
        else syntax.Text(field, token.text, token.is_quoted)
    )


def _build_category(text: str, token: LexerToken) -> syntax.Category:
    try:
        expand(token.text)
    except UnknownCategory:
        near = suggested_category(token.text.removesuffix(".*"))
        raise syntax.QueryError(
            f"There is no category {token.text}",
            text,
            token.start + len("cat:"),
            len(token.text),
            f"Did you mean cat:{near}?" if near else "Examples: cat:cs.CL, cat:cs.*, cat:hep-th.",
        ) from None
    return syntax.Category(token.text)


def _build_source(text: str, token: LexerToken) -> syntax.FromSource:
    name = token.text.lower()
    name = _SOURCE_ALIASES.get(name, name)
    if name not in SOURCE_NAMES:
        near = get_close_matches(name, SOURCE_NAMES, n=1, cutoff=0.5)
        listed = ", ".join(sorted(SOURCE_NAMES))
        raise syntax.QueryError(
            f"There is no source {token.text}; the sources are {listed}",
            text,
            token.start + len("src:"),
            len(token.text),
            f"Did you mean src:{near[0]}?" if near else "Example: src:arxiv.",
        )
    return syntax.FromSource(name)


def _build_like(text: str, token: LexerToken) -> syntax.Like:
    if keys := like_keys(token.text):
        if len(keys) > MOST_PAPERS:
            raise token.error(text, f"A like: clause names at most {MOST_PAPERS} papers")
        return syntax.Like(",".join(keys), is_key=True)
    folded = syntax.fold_words(token.text)
    if max(len(folded), len(token.text)) > MAX_LIKE_CHARACTERS:
        raise token.error(text, f"A text for like: has at most {MAX_LIKE_CHARACTERS:,} characters")
    if not any(character.isalnum() for character in folded):
        hint = 'Write like:"a sentence or two", or like:2507.17189 for a paper.'
        raise token.error(text, "like: needs words to compare with", hint)
    return syntax.Like(token.text)
