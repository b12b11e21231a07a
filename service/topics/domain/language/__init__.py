"""The topic language: `"prompt tuning" cat:cs.CL -survey`.

Words, beginnings of words (`optimi*`) and "phrases" (alone, or in one field by `ti:` and `abs:`),
`au:` for authors, `cat:` for categories (`cat:cs.*`), `src:` for sources, `trend>90`, and `like:`
for what is near in meaning to a text or a paper; AND (which may be left out), OR, NOT or a minus
sign, and parentheses. `new:`, `cross:` and `replaced:` say for the whole topic which announcements
count. Operators are written in capitals; OR binds least. This module is the door to those behind it.
"""

from service.topics.domain.language.canonical import (
    canonical,
    canonical_pattern,
    normalize,
    write_leaf,
)
from service.topics.domain.language.describe import describe
from service.topics.domain.language.parser import MAX_CHARACTERS, parse_tree
from service.topics.domain.language.syntax_tree import (
    And,
    Announced,
    Author,
    Category,
    FromSource,
    Leaf,
    Like,
    Not,
    Or,
    Prefix,
    Query,
    QueryError,
    Text,
    TrendLimit,
    fold_words,
    iterate_leaves,
)

__all__ = [
    "And",
    "Announced",
    "Author",
    "Category",
    "FromSource",
    "Leaf",
    "Like",
    "Not",
    "Or",
    "Prefix",
    "Query",
    "QueryError",
    "Text",
    "TrendLimit",
    "canonical",
    "canonical_pattern",
    "describe",
    "leaf_texts",
    "like_leaves",
    "parse_query",
    "wants_replaced",
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


def like_leaves(query: Query) -> dict[str, Like]:
    """The `like:` clauses of `query` by canonical text, for each of which a probe must be at hand."""
    return {
        write_leaf(leaf): leaf
        for leaf in iterate_leaves(normalize(query))
        if isinstance(leaf, Like)
    }


def wants_replaced(query: Query) -> bool:
    """Whether replacements of papers count for this topic."""
    return any(isinstance(leaf, Announced) and leaf.replaced for leaf in iterate_leaves(query))
