"""Writes a tree back: one canonical text for all equal topics, and a phrase for people."""

import re
from collections.abc import Iterator

from service.papers.domain.author_names import author_key
from service.papers.domain.categories import canonical_category, expand
from service.platform.caches import cached
from service.topics.domain.language.announcement_filters import bind_home, write_switches
from service.topics.domain.language.syntax_tree import (
    And,
    Announced,
    Author,
    Category,
    FromSource,
    Joining,
    Leaf,
    Like,
    Not,
    Or,
    Prefix,
    Query,
    Text,
    TrendLimit,
    flatten,
    fold_words,
    iterate_leaves,
    join,
    push_negations,
)

_FIELD_PREFIX = {"any": "", "title": "ti:", "abstract": "abs:"}
# What surely reads back as one plain word; everything else is quoted, which is never wrong.
_BARE = re.compile(r"\w(?:[\w.+#/&'’-]*[\w+#])?")


def canonical(query: Query) -> str:
    """One text for equal topics: `parse_query` of it has the same canonical text again.

    Equal means: same operands in any order or number, any letter case, any alias of a category,
    any spelling of NOT over a group. It is folded text, not what a reader should be shown.
    """
    return write(normalize(query))


def normalize(query: Query) -> Query:
    """The canonical tree: NOT on leaves only, operands flat, distinct and sorted, leaves folded.

    Where the topic chooses its announcements, that leaf learns which categories are its own.
    """
    normal = _normalize(push_negations(query))
    if any(isinstance(leaf, Announced) for leaf in iterate_leaves(normal)):
        normal = bind_home(normal, tuple(sorted({*_iterate_wanted_patterns(normal)})))
    return normal


def _iterate_wanted_patterns(query: Query) -> Iterator[str]:
    if isinstance(query, And | Or):
        for each in query.operands:
            yield from _iterate_wanted_patterns(each)
    elif isinstance(query, Category):
        yield query.pattern


def _normalize(query: Query) -> Query:
    if isinstance(query, And | Or):
        return _join_distinct(type(query), query.operands)
    if isinstance(query, Not):
        return Not(_normalize(query.operand))
    return _normalize_leaf(query)


def _join_distinct(kind: Joining, operands: tuple[Query, ...]) -> Query:
    # An operand that shrank may have joined its parent, so duplicates are looked for only now.
    flat = flatten(kind, (_normalize(each) for each in operands))
    distinct = {write(each): each for each in flat}
    ordered = sorted(distinct, key=lambda text: (text.startswith("-"), text))
    return join(kind, (distinct[text] for text in ordered))


def _normalize_leaf(leaf: Leaf) -> Leaf:
    if isinstance(leaf, Author):
        return Author(author_key(leaf.name))
    if isinstance(leaf, Category):
        return Category(canonical_pattern(leaf.pattern))
    if isinstance(leaf, Like):
        return leaf if leaf.is_key else Like(fold_words(leaf.text))
    if not isinstance(leaf, Text):
        return leaf
    folded = fold_words(leaf.text)
    return Text(leaf.field, folded, is_phrase=_BARE.fullmatch(folded) is None)


@cached("category patterns", maxsize=512)
def canonical_pattern(pattern: str) -> str:
    """`cs` and `cs.*` as `cs.*`, an alias as the category it stands for."""
    code = canonical_category(pattern.strip().removesuffix(".*"))
    members = {canonical_category(member) for member in expand(code)}
    return code if members == {code} else f"{code}.*"


def write(query: Query) -> str:
    """The text of a normalized tree, without a parenthesis that precedence makes needless."""
    if isinstance(query, Or):
        return " OR ".join(write(each) for each in query.operands)
    if isinstance(query, And):
        return " ".join(_write_in_all(each) for each in query.operands)
    if isinstance(query, Not):
        return f"-{write(query.operand)}"
    return write_leaf(query)


def _write_in_all(query: Query) -> str:
    return f"({write(query)})" if isinstance(query, Or) else write(query)


def write_leaf(leaf: Leaf) -> str:
    """One clause as the topic language spells it: `ti:"prompt tuning"`, `cat:cs.CL`."""
    match leaf:
        case Category():
            clause = f"cat:{leaf.pattern}"
        case Author():
            clause = f"au:{_quote(leaf.name)}"
        case FromSource():
            clause = f"src:{leaf.name}"
        case TrendLimit():
            clause = f"trend{leaf.comparison}{leaf.percent}"
        case Like():
            clause = f"like:{leaf.text}" if leaf.is_key else f'like:"{leaf.text}"'
        case Announced():
            clause = write_switches(leaf)
        case Prefix():
            clause = f"{_FIELD_PREFIX[leaf.field]}{leaf.text}*"
        case _:
            clause = f"{_FIELD_PREFIX[leaf.field]}{_quote(leaf.text)}"
    return clause


def _quote(words: str) -> str:
    return words if _BARE.fullmatch(words) else f'"{words}"'
