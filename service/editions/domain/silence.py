"""Why a digest has no papers, where its subscriber's categories could not be read."""

from collections.abc import Iterable, Sequence

from service.editions.domain.coverage import Coverage, GapKind
from service.editions.domain.day_report import listed
from service.papers.domain.categories import UnknownCategory, expand
from service.topics.domain.language import And, Category, Or, Query, parse_query

_WORDS = {
    GapKind.UNREACHED: "{} could not be reached {}; what it announced will come late, marked.",
    GapKind.UNREAD: "{} could not be read {}; what it announced will come late, marked.",
    GapKind.SILENT: "Nothing that we could confirm was announced in {} {}.",
}


def explain_silence(
    coverage: Coverage, topics: Sequence[str], watched: Iterable[str], when: str
) -> str:
    """Return the sentence for a subscriber who got no paper since every category of theirs is missing.

    `topics` are in canonical form, none for all papers; `watched` are the categories of the
    installation; `when` is "today" or "this week". It is "" where any of their categories was read.
    """
    lost = {gap.category: gap.kind for gap in coverage.gaps if gap.kind.is_lost}
    if not lost:
        return ""
    # A source with a single list has no categories: its name stands for all papers.
    names = tuple(watched) or tuple(lost)
    wanted = _wanted(topics, names)
    if not wanted or not lost.keys() >= set(wanted):
        return ""
    if len(wanted) == len(names) > 1:
        # The coverage says why.
        return f"Nothing could be checked for your topics {when}."
    kinds = {lost[name] for name in wanted}
    kind = next(kind for kind in _WORDS if kind in kinds)
    return _WORDS[kind].format(listed(wanted), when)


def _wanted(topics: Sequence[str], watched: Sequence[str]) -> tuple[str, ...]:
    """Return the watched categories to which the topics are limited."""
    limits = [find_limit(parse_query(topic)) for topic in topics]
    if not limits or None in limits:
        return tuple(watched)
    codes = frozenset().union(*(limit for limit in limits if limit is not None))
    return tuple(name for name in watched if codes & _codes(name))


def find_limit(query: Query) -> frozenset[str] | None:
    """Return the categories of which a paper must have one to match, or None without such a limit."""
    if isinstance(query, Category):
        return _codes(query.pattern)
    if isinstance(query, And):
        limits = [limit for each in query.operands if (limit := find_limit(each)) is not None]
        return min(limits, key=len, default=None)
    if isinstance(query, Or):
        found = [find_limit(each) for each in query.operands]
        known = [limit for limit in found if limit is not None]
        return frozenset().union(*known) if len(known) == len(found) else None
    return None


def _codes(pattern: str) -> frozenset[str]:
    try:
        return expand(pattern)
    except UnknownCategory:
        return frozenset({pattern})
