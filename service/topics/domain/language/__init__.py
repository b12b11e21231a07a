"""The topic language: `"prompt tuning" cat:cs.CL -survey`.

Words, prefixes (`optimi*`) and "phrases" (anywhere, or in one field with `ti:` and `abs:`), `au:`
for authors, `cat:` for categories (`cat:cs.*`), `src:` for sources, `trend>90`, and `like:` for
papers near in meaning to a text or a paper; AND (which may be left out), OR, NOT or a minus sign,
and parentheses. `new:`, `cross:` and `replaced:` set for the whole topic which announcements count.
Operators are written in capitals; OR binds least. Import the language from this module.
"""

from service.topics.domain.language.canonical import (
    canonical,
    canonical_pattern,
    normalize,
    write_leaf,
)
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
    "iterate_leaves",
    "leaf_texts",
    "like_leaves",
    "parse_query",
    "wants_replaced",
]


def parse_query(text: str) -> Query:
    """Parse a topic to its syntax tree, with the words as typed.

    Raises `QueryError`, with the position, for a text that is not in the language, for more than
    4,096 characters, 200 clauses or 50 nested parentheses, and for a topic that only excludes.
    """
    query = parse_tree(text)
    # The canonical text is what is stored; it must parse, too, and can be a little longer.
    if len(canonical(query)) > MAX_CHARACTERS:
        raise QueryError("This topic is too long once it is written out", text, 0, len(text))
    return query


def leaf_texts(query: Query) -> frozenset[str]:
    """Return the folded texts whose lexemes Postgres must compute before `query` can be matched."""
    return frozenset(
        fold_words(leaf.text) for leaf in iterate_leaves(query) if isinstance(leaf, Text)
    )


def like_leaves(query: Query) -> dict[str, Like]:
    """Return the `like:` clauses of `query` by canonical text; each needs a like query to match."""
    return {
        write_leaf(leaf): leaf
        for leaf in iterate_leaves(normalize(query))
        if isinstance(leaf, Like)
    }


def wants_replaced(query: Query) -> bool:
    """Return whether replaced papers count for this topic."""
    return any(isinstance(leaf, Announced) and leaf.replaced for leaf in iterate_leaves(query))
