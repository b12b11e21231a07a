"""The canonical form of a topic: one tree and one text for all topics of equal meaning."""

from collections.abc import Iterator

from service.papers.domain.author_names import author_key
from service.papers.domain.categories import canonical_category, expand
from service.platform import linear_regex
from service.platform.caches import cached
from service.platform.work_budget import spend
from service.topics.domain.language import syntax_tree as syntax
from service.topics.domain.language.announcement_filters import bind_home, write_switches

_FIELD_PREFIX = {"any": "", "title": "ti:", "abstract": "abs:"}
# Texts that parse back as one plain word; everything else is quoted, which is always right.
_BARE = linear_regex.compile(r"\w(?:[\w.+#/&'’-]*[\w+#])?")


def canonical(query: syntax.Query) -> str:
    """Return the text that equal topics share. Idempotent: its own canonical text is the same.

    Topics are equal with the same operands in any order or number, any letter case, any alias of a
    category, any spelling of NOT over a group. The text is folded and not for display.
    """
    return write(normalize(query))


def normalize(query: syntax.Query) -> syntax.Query:
    """Return the tree with NOT on leaves only, operands flat, distinct and sorted, leaves folded.

    An `Announced` leaf gets the category patterns of the topic as its `home`.
    """
    normal = _normalize(syntax.push_negations(query))
    if any(isinstance(leaf, syntax.Announced) for leaf in syntax.iterate_leaves(normal)):
        normal = bind_home(normal, tuple(sorted({*_iterate_wanted_patterns(normal)})))
    return normal


def _iterate_wanted_patterns(query: syntax.Query) -> Iterator[str]:
    if isinstance(query, syntax.And | syntax.Or):
        for each in query.operands:
            yield from _iterate_wanted_patterns(each)
    elif isinstance(query, syntax.Category):
        yield query.pattern


def _normalize(query: syntax.Query) -> syntax.Query:
    if isinstance(query, syntax.And | syntax.Or):
        return _join_distinct(type(query), query.operands)
    if isinstance(query, syntax.Not):
        return syntax.Not(_normalize(query.operand))
    return _normalize_leaf(query)


def _join_distinct(kind: syntax.Joining, operands: tuple[syntax.Query, ...]) -> syntax.Query:
    # A normalized operand may become part of its parent, so duplicates are removed after that.
    flat = syntax.flatten(kind, (_normalize(each) for each in operands))
    spend(len(flat))
    distinct = {write(each): each for each in flat}
    ordered = sorted(distinct, key=lambda text: (text.startswith("-"), text))
    return syntax.join(kind, (distinct[text] for text in ordered))


def _normalize_leaf(leaf: syntax.Leaf) -> syntax.Leaf:
    if isinstance(leaf, syntax.Author):
        return syntax.Author(author_key(leaf.name))
    if isinstance(leaf, syntax.Category):
        return syntax.Category(canonical_pattern(leaf.pattern))
    if isinstance(leaf, syntax.Like):
        return leaf if leaf.is_key else syntax.Like(syntax.fold_words(leaf.text))
    if not isinstance(leaf, syntax.Text):
        return leaf
    folded = syntax.fold_words(leaf.text)
    return syntax.Text(leaf.field, folded, is_phrase=not _is_bare(folded))


@cached("category patterns", maxsize=512)
def canonical_pattern(pattern: str) -> str:
    """Return `cs` and `cs.*` as `cs.*`, and an alias as the category it stands for."""
    code = canonical_category(pattern.strip().removesuffix(".*"))
    members = {canonical_category(member) for member in expand(code)}
    return code if members == {code} else f"{code}.*"


def write(query: syntax.Query) -> str:
    """Return the text of a normalized tree, without redundant parentheses."""
    if isinstance(query, syntax.Or):
        return " OR ".join(write(each) for each in query.operands)
    if isinstance(query, syntax.And):
        return " ".join(
            f"({write(each)})" if isinstance(each, syntax.Or) else write(each)
            for each in query.operands
        )
    if isinstance(query, syntax.Not):
        return f"-{write(query.operand)}"
    return write_leaf(query)


def write_leaf(leaf: syntax.Leaf) -> str:
    """Return one clause in the topic language: `ti:"prompt tuning"`, `cat:cs.CL`."""
    match leaf:
        case syntax.Category():
            clause = f"cat:{leaf.pattern}"
        case syntax.Author():
            clause = f"au:{_quote(leaf.name)}"
        case syntax.FromSource():
            clause = f"src:{leaf.name}"
        case syntax.TrendLimit():
            clause = f"trend{leaf.comparison}{leaf.percent}"
        case syntax.Like():
            clause = f"like:{leaf.text}" if leaf.is_key else f'like:"{leaf.text}"'
        case syntax.Announced():
            clause = write_switches(leaf)
        case syntax.Prefix():
            clause = f"{_FIELD_PREFIX[leaf.field]}{leaf.text}*"
        case _:
            clause = f"{_FIELD_PREFIX[leaf.field]}{_quote(leaf.text)}"
    return clause


def _quote(words: str) -> str:
    return words if _is_bare(words) else f'"{words}"'


def _is_bare(words: str) -> bool:
    # Most clauses are one plain word, for which no pattern is needed.
    return (words.isascii() and words.isalnum()) or _BARE.fullmatch(words) is not None
