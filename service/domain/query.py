"""The topic language: `"prompt tuning" cat:cs.CL -survey`.

Words and "phrases" (alone, or in one field by `ti:` and `abs:`), `au:` for authors, `cat:` for
categories (`cat:cs.*`), AND (which may be left out), OR, NOT or a minus sign, and parentheses.
Operators are written in capitals; OR binds least. This module is the door to those behind it.
"""

from __future__ import annotations

from service.domain.query_parsing import MAX_CHARACTERS, parse_tree
from service.domain.query_tree import (
    And,
    Author,
    Category,
    Leaf,
    Not,
    Or,
    Query,
    QueryError,
    Text,
    fold_words,
    iterate_leaves,
)
from service.domain.query_writing import canonical, canonical_pattern, describe

__all__ = [
    "And",
    "Author",
    "Category",
    "Leaf",
    "Not",
    "Or",
    "Query",
    "QueryError",
    "Text",
    "canonical",
    "canonical_pattern",
    "describe",
    "leaf_texts",
    "parse_query",
]


def parse_query(text: str) -> Query:
    """The tree of a topic, with the reader's own words in it.

    Raises `QueryError`, which names the place, for anything it cannot read in full, for more than
    4,096 characters, 200 clauses or 50 nested parentheses, and for a topic that only excludes.
    """
    query = parse_tree(text)
    # A stored topic is its canonical text, which must be readable too and can be a little longer.
    if len(canonical(query)) > MAX_CHARACTERS:
        raise QueryError("This topic is too long once it is written out", text, 0, len(text))
    return query


def leaf_texts(query: Query) -> frozenset[str]:
    """The folded texts whose lexemes Postgres must compute before `query` can be matched."""
    return frozenset(
        fold_words(leaf.text) for leaf in iterate_leaves(query) if isinstance(leaf, Text)
    )
