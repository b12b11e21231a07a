"""Describe a topic in words for people."""

from service.papers.domain.source_names import find_source
from service.topics.domain.language import syntax_tree as syntax
from service.topics.domain.language.canonical import canonical_pattern


def describe(query: syntax.Query) -> str:
    """Return the topic in words, for people: `"prompt tuning" in cs.CL, not "survey"`."""
    return _describe(query, is_inner=False)


_FIELD_WORDS = {"any": "", "title": " in the title", "abstract": " in the abstract"}


def _describe(query: syntax.Query, *, is_inner: bool) -> str:
    if isinstance(query, syntax.Or):
        listed = " or ".join(_describe(each, is_inner=True) for each in query.operands)
        return f"({listed})" if is_inner else _with_subject(listed)
    if isinstance(query, syntax.And):
        described = _describe_all(query)
        return f"({described})" if is_inner else described
    if isinstance(query, syntax.Not):
        return f"not {_describe(query.operand, is_inner=True)}"
    return _describe_leaf(query) if is_inner else _with_subject(_describe_leaf(query))


def _describe_all(query: syntax.And) -> str:
    """Describe words, authors, categories, sources, trend, announcements, then exclusions."""
    unwanted = [each for each in query.operands if isinstance(each, syntax.Not)]
    last = (syntax.Author, syntax.Category, syntax.FromSource, syntax.TrendLimit, syntax.Announced)
    words = [each for each in query.operands if not isinstance(each, (syntax.Not, *last))]
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


def _describe_leaf(leaf: syntax.Leaf) -> str:
    match leaf:
        case syntax.Author():
            text = f"by {leaf.name}"
        case syntax.Category():
            text = f"in {canonical_pattern(leaf.pattern)}"
        case syntax.FromSource():
            text = f"from {find_source(leaf.name).title}"
        case syntax.TrendLimit():
            text = f"with a trend {_COMPARISONS[leaf.comparison]} {leaf.percent} %"
        case syntax.Like():
            text = f"like {leaf.text}" if leaf.is_key else f"like “{leaf.text}”"
        case syntax.Announced():
            text = _describe_announced(leaf)
        case syntax.Prefix():
            text = f'words in "{leaf.text}…"{_FIELD_WORDS[leaf.field]}'
        case _:
            text = f'"{leaf.text}"{_FIELD_WORDS[leaf.field]}'
    return text


def _describe_announced(leaf: syntax.Announced) -> str:
    named = {"new": leaf.new, "cross-listed": leaf.cross, "replaced": leaf.replaced}
    return f"announced as {' or '.join(name for name, is_wanted in named.items() if is_wanted)}"
