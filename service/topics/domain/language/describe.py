"""A topic in words for people."""

from service.papers.domain.source_names import find_source
from service.topics.domain.language.canonical import canonical_pattern
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
    TrendLimit,
)


def describe(query: Query) -> str:
    """The topic for a person, in the reader's own words: `"prompt tuning" in cs.CL, not "survey"`."""
    return _describe(query, is_inner=False)


_FIELD_WORDS = {"any": "", "title": " in the title", "abstract": " in the abstract"}


def _describe(query: Query, *, is_inner: bool) -> str:
    if isinstance(query, Or):
        listed = " or ".join(_describe(each, is_inner=True) for each in query.operands)
        return f"({listed})" if is_inner else _with_subject(listed)
    if isinstance(query, And):
        described = _describe_all(query)
        return f"({described})" if is_inner else described
    if isinstance(query, Not):
        return f"not {_describe(query.operand, is_inner=True)}"
    return _describe_leaf(query) if is_inner else _with_subject(_describe_leaf(query))


def _describe_all(query: And) -> str:
    """Words first, then by whom, then where, then how noticed and announced, then what is unwanted."""
    unwanted = [each for each in query.operands if isinstance(each, Not)]
    last = (Author, Category, FromSource, TrendLimit, Announced)
    words = [each for each in query.operands if not isinstance(each, (Not, *last))]
    parts = [" and ".join(_describe(each, is_inner=True) for each in words)]
    for kind in last:
        same = [_describe_leaf(each) for each in query.operands if isinstance(each, kind)]
        parts.append(" and ".join(same))
    wanted = _with_subject(" ".join(part for part in parts if part))
    return ", ".join([wanted, *(_describe(each, is_inner=True) for each in unwanted)])


def _with_subject(described: str) -> str:
    is_bare = described.startswith(("by ", "in ", "from ", "with ", "announced "))
    return f"everything {described}" if is_bare else described


_COMPARISONS = {">": "above", ">=": "of at least", "<": "below", "<=": "of at most"}


def _describe_leaf(leaf: Leaf) -> str:
    match leaf:
        case Author():
            said = f"by {leaf.name}"
        case Category():
            said = f"in {canonical_pattern(leaf.pattern)}"
        case FromSource():
            said = f"from {find_source(leaf.name).title}"
        case TrendLimit():
            said = f"with a trend {_COMPARISONS[leaf.comparison]} {leaf.percent} %"
        case Like():
            said = f"like {leaf.text}" if leaf.is_key else f"like “{leaf.text}”"
        case Announced():
            said = _describe_announced(leaf)
        case Prefix():
            said = f'words in "{leaf.text}…"{_FIELD_WORDS[leaf.field]}'
        case _:
            said = f'"{leaf.text}"{_FIELD_WORDS[leaf.field]}'
    return said


def _describe_announced(leaf: Announced) -> str:
    named = {"new": leaf.new, "cross-listed": leaf.cross, "replaced": leaf.replaced}
    return f"announced as {' or '.join(name for name, is_wanted in named.items() if is_wanted)}"
