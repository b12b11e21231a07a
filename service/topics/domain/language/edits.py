"""Edits of a topic that keep its text as typed: mute a clause, follow an author."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from service.topics.domain.language import (
    And,
    Leaf,
    Not,
    Or,
    Query,
    QueryError,
    Text,
    canonical,
    parse_query,
)
from service.topics.domain.language.canonical import normalize, write_leaf

_QUOTES = str.maketrans(dict.fromkeys('"“”„‟', " "))


def parse_clause(text: str) -> Leaf:
    """Parse `text` to one leaf: a clause of the topic language, or else the whole text as a phrase.

    `survey`, `"prompt tuning"`, `prompt tuning`, `ti:survey` and `cat:cs.CV` are accepted. Raises
    `QueryError` where there is no word, or more than a clause may have.
    """
    try:
        query = parse_query(text)
    except QueryError:
        query = None
    if query is not None and not isinstance(query, And | Or | Not):
        return query
    return cast("Leaf", parse_query(_quote_phrase(text)))


def _quote_phrase(text: str) -> str:
    """Quote a text, without its own quotes, so that it parses as one leaf."""
    return f'"{" ".join(text.translate(_QUOTES).split())}"'


def mute_clause(query: Query, clause: Leaf) -> Query:
    """Return `query` without the papers that `clause` finds."""
    return And((query, Not(clause)))


def write_muted(text: str, clause: Leaf) -> str:
    """Return `text`, a topic as it was typed, with `clause` excluded: `text -survey`.

    The result means exactly `mute_clause` of it, and is `text` itself where that excludes the
    clause already. Parentheses are added where an OR needs them. Raises `QueryError` where the
    topic would become longer than a topic may be.
    """
    query = parse_query(text)
    wanted = canonical(mute_clause(query, clause))
    if wanted == canonical(query):
        return text
    error: QueryError | None = None
    for candidate in _iterate_spellings(text, clause):
        try:
            if canonical(parse_query(candidate)) == wanted:
                return candidate
        except QueryError as fault:
            error = error or fault
    # Only a limit of the language can refuse the canonical spelling.
    raise error or QueryError("This topic cannot take one more word", text, 0, len(text))


def _iterate_spellings(text: str, clause: Leaf) -> Iterator[str]:
    """Yield the text as typed with the clause appended, and last the canonical text."""
    for written in dict.fromkeys((write_leaf(clause), write_leaf(_fold(clause)))):
        yield f"{text} -{written}"
        yield f"({text}) -{written}"
    yield canonical(mute_clause(parse_query(text), clause))


def _fold(clause: Leaf) -> Leaf:
    """Normalize a clause, which stays a leaf."""
    return cast("Leaf", normalize(clause))


def leaves_nothing(query: Query, clause: Leaf) -> bool:
    """Return whether the topic requires `clause`, so that no paper could match if it is excluded.

    True only where syntax shows it: every branch of the topic has the clause as an operand.
    """
    return _requires(normalize(query), _fold(clause))


def _requires(query: Query, clause: Leaf) -> bool:
    if isinstance(query, And):
        return any(_requires(each, clause) for each in query.operands)
    if isinstance(query, Or):
        return all(_requires(each, clause) for each in query.operands)
    # The same text in any field finds no less.
    return query == clause or (isinstance(query, Text) and clause == replace(query, field="any"))


def muted_clauses(query: Query) -> frozenset[Leaf]:
    """Return the clauses that are excluded from the whole topic."""
    tree = normalize(query)
    operands = tree.operands if isinstance(tree, And) else ()
    # In a normalized tree NOT stands before leaves alone.
    return frozenset(cast("Leaf", each.operand) for each in operands if isinstance(each, Not))


def follow_author(name: str) -> str:
    """Return a topic for an author's papers: `au:"Yoshua Bengio"`.

    Raises `QueryError` where there is no name, or one longer than a clause may be.
    """
    text = f"au:{_quote_phrase(name)}"
    parse_query(text)
    return text


def finds_all(query: Query, other: Query) -> bool:
    """Return whether `query` equals `other` or has it as an alternative, so it brings all of it.

    Compares syntax, so a False may be wrong.
    """
    tree, wanted = normalize(query), normalize(other)
    return wanted == tree or (isinstance(tree, Or) and wanted in tree.operands)
