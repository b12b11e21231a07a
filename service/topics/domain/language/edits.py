"""Changing a topic without rewriting it: a word is muted, an author followed, the rest stays as typed."""

from collections.abc import Iterator
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


def read_clause(words: str) -> Leaf:
    """What somebody wants to mute: one clause of the language, or else words as a phrase.

    `survey`, `"prompt tuning"`, `prompt tuning`, `ti:survey` and `cat:cs.CV` are clauses. Raises
    `QueryError` where there is no word, or more than a clause may have.
    """
    try:
        query = parse_query(words)
    except QueryError:
        query = None
    if query is not None and not isinstance(query, And | Or | Not):
        return query
    return cast("Leaf", parse_query(_quote(words)))


def _quote(words: str) -> str:
    """A text as one phrase, whatever it holds: what is quoted is always one leaf."""
    return f'"{" ".join(words.translate(_QUOTES).split())}"'


def mute_clause(query: Query, clause: Leaf) -> Query:
    """The topic without the papers that `clause` finds."""
    return And((query, Not(clause)))


def write_muted(text: str, clause: Leaf) -> str:
    """`text`, a topic as its reader typed it, with `clause` excluded: `text -survey`.

    Means exactly `mute_clause` of it, and is `text` itself where that excludes the clause already.
    Parentheses are added where an OR needs them. Raises `QueryError` where the topic would become
    longer than a topic may be.
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
    # Only a limit of the language can forbid what was written in full.
    raise error or QueryError("This topic cannot take one more word", text, 0, len(text))


def _iterate_spellings(text: str, clause: Leaf) -> Iterator[str]:
    """The reader's own words first; last what the parser itself would write."""
    for written in dict.fromkeys((write_leaf(clause), write_leaf(_fold(clause)))):
        yield f"{text} -{written}"
        yield f"({text}) -{written}"
    yield canonical(mute_clause(parse_query(text), clause))


def _fold(clause: Leaf) -> Leaf:
    """The clause as topics are compared; a leaf stays a leaf."""
    return cast("Leaf", normalize(clause))


def leaves_nothing(query: Query, clause: Leaf) -> bool:
    """Whether the topic itself asks for `clause`, so that without it no paper could match.

    True only where that is plain: the clause stands in every branch of the topic, for itself.
    """
    return _requires(normalize(query), _fold(clause))


def _requires(query: Query, clause: Leaf) -> bool:
    if isinstance(query, And):
        return any(_requires(each, clause) for each in query.operands)
    if isinstance(query, Or):
        return all(_requires(each, clause) for each in query.operands)
    return query == clause or _finds_less(query, clause)


def _finds_less(query: Query, clause: Leaf) -> bool:
    """Whether every paper that `query` finds, `clause` finds too: a word in one field or in any."""
    return (
        isinstance(query, Text)
        and isinstance(clause, Text)
        and clause.field == "any"
        and query.text == clause.text
    )


def muted_clauses(query: Query) -> frozenset[Leaf]:
    """What a topic excludes from all that it wants."""
    tree = normalize(query)
    operands = tree.operands if isinstance(tree, And) else ()
    # In a normalized tree NOT stands before leaves alone.
    return frozenset(cast("Leaf", each.operand) for each in operands if isinstance(each, Not))


def follow_author(name: str) -> str:
    """The topic that brings an author's papers: `au:"Yoshua Bengio"`.

    Raises `QueryError` where there is no name, or one longer than a clause may be.
    """
    text = f"au:{_quote(name)}"
    parse_query(text)
    return text


def brings_all(query: Query, other: Query) -> bool:
    """Whether `query` brings whatever `other` does: it is `other`, or has it as one of its choices.

    True only where that is plain from how both are written.
    """
    tree, wanted = normalize(query), normalize(other)
    return wanted == tree or (isinstance(tree, Or) and wanted in tree.operands)
