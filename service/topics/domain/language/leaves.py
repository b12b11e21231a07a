"""From a token to the leaf it stands for; what cannot be one is refused with a suggestion."""

from __future__ import annotations

from difflib import get_close_matches
from typing import cast

from service.papers.domain.author_names import author_key
from service.papers.domain.categories import UnknownCategory, expand, suggested_category
from service.similarity.domain.vectors import like_key
from service.topics.domain.language.lexer import TEXT_FIELDS, Token
from service.topics.domain.language.syntax_tree import (
    SOURCE_NAMES,
    Author,
    Category,
    Comparison,
    Like,
    Prefix,
    Query,
    QueryError,
    Source,
    Text,
    Trend,
    fold_words,
)

# Postgres keeps 256 positions of a lexeme, so a longer phrase could mean two different things.
MAX_TERM_CHARACTERS = 255
# Room for an abstract that somebody pastes; it is read for its meaning and never as a phrase.
MAX_LIKE_CHARACTERS = 2000

_SOURCE_ALIASES = {"hf": "huggingface", "hugging-face": "huggingface", "arxiv.org": "arxiv"}


def build_trend(token: Token) -> Trend:
    return Trend(cast("Comparison", token.field), int(token.text))


def build_leaf(text: str, token: Token) -> Query:
    """The leaf of a term; raises `QueryError` with the place in `text`."""
    if token.field == "like":
        return _build_like(text, token)
    # Folding can make a text longer, and it is the folded text that is stored and looked up.
    folded = author_key(token.text) if token.field == "au" else fold_words(token.text)
    if max(len(token.text), len(folded)) > MAX_TERM_CHARACTERS:
        raise QueryError(
            f"A word or phrase has at most {MAX_TERM_CHARACTERS} characters",
            text,
            token.start,
            token.length,
        )
    if token.field == "cat":
        return _build_category(text, token)
    if token.field == "src":
        return _build_source(text, token)
    if token.field == "au":
        if not folded:
            raise QueryError("There is no name here", text, token.start, token.length)
        return Author(token.text)
    if token.is_prefix:
        return Prefix(TEXT_FIELDS[token.field], folded)
    return Text(TEXT_FIELDS[token.field], token.text, token.is_quoted)


def _build_category(text: str, token: Token) -> Category:
    try:
        expand(token.text)
    except UnknownCategory:
        near = suggested_category(token.text.removesuffix(".*"))
        raise QueryError(
            f"There is no category {token.text}",
            text,
            token.start + len("cat:"),
            len(token.text),
            f"Did you mean cat:{near}?" if near else "Examples: cat:cs.CL, cat:cs.*, cat:hep-th.",
        ) from None
    return Category(token.text)


def _build_source(text: str, token: Token) -> Source:
    name = token.text.lower()
    name = _SOURCE_ALIASES.get(name, name)
    if name not in SOURCE_NAMES:
        near = get_close_matches(name, SOURCE_NAMES, n=1, cutoff=0.5)
        listed = ", ".join(SOURCE_NAMES)
        raise QueryError(
            f"There is no source {token.text}; the sources are {listed}",
            text,
            token.start + len("src:"),
            len(token.text),
            f"Did you mean src:{near[0]}?" if near else "Example: src:arxiv.",
        )
    return Source(name)


def _build_like(text: str, token: Token) -> Like:
    if key := like_key(token.text):
        return Like(key, is_key=True)
    folded = fold_words(token.text)
    if max(len(folded), len(token.text)) > MAX_LIKE_CHARACTERS:
        raise QueryError(
            f"A text for like: has at most {MAX_LIKE_CHARACTERS:,} characters",
            text,
            token.start,
            token.length,
        )
    if not any(character.isalnum() for character in folded):
        raise QueryError(
            "like: needs words to compare with",
            text,
            token.start,
            token.length,
            'Write like:"a sentence or two", or like:2507.17189 for a paper.',
        )
    return Like(token.text)
