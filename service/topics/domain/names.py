"""Names of topics: short, derived from the query, and different for all topics of a subscriber."""

from collections.abc import Sequence
from itertools import count
from typing import Final

from service.papers.domain.categories import category_name
from service.papers.domain.source_names import find_source
from service.platform import linear_regex
from service.platform.caches import cached
from service.topics.domain.language import QueryError, canonical, parse_query
from service.topics.domain.language import syntax_tree as syntax
from service.topics.domain.ready_made import READY_FIELDS

LONGEST_DERIVED: Final = 40
# Longer names fill a subject and break a heading.
LONGEST_NAME: Final = 60
_WITH = " with "
_BEFORE: Final[dict[type[syntax.Query], str]] = {
    syntax.Author: " by ",
    syntax.Category: " in ",
    syntax.FromSource: " on ",
    syntax.TrendLimit: ", ",
}
_NUMBER = linear_regex.compile(r" \(\d+\)$")
_COMPARISONS: Final = {">": "above", ">=": "above", "<": "below", "<=": "below"}


def name_topics(topics: Sequence[tuple[str, str]]) -> list[str]:
    """Return a name for each pair of a query and its chosen name, which is empty for none.

    No two names are equal in any letter case: later ones get a number, and derived names give way
    to chosen ones.
    """
    names = [""] * len(topics)
    taken: set[str] = set()
    for is_chosen in (True, False):
        for place, (query, chosen) in enumerate(topics):
            if bool(chosen) is is_chosen:
                names[place] = _number(chosen or derive_name(query), taken)
                taken.add(names[place].casefold())
    return names


def _number(name: str, taken: set[str]) -> str:
    if name.casefold() not in taken:
        return name
    suffixes = (f" ({number})" for number in count(2))
    numbered = (f"{name[: LONGEST_NAME - len(suffix)]}{suffix}" for suffix in suffixes)
    return next(each for each in numbered if each.casefold() not in taken)


def find_chosen_name(name: str, query: str) -> str:
    """Return the name if a subscriber chose it, or empty if it is derived from the words of `query`.

    A ready-made topic's name counts as chosen: it stays when the topic is edited.
    """
    if find_ready_name(query):
        return name
    return "" if _NUMBER.sub("", name) == derive_name(query) else name


def find_ready_name(query: str) -> str:
    """Return the name of the ready-made topic that `query` equals, or empty for none."""
    try:
        wanted = _drop_exclusions(syntax.push_negations(parse_query(query)))
    except QueryError:
        return ""
    return _ready_names().get(canonical(wanted), "") if wanted else ""


@cached("names of topics", maxsize=16_384)
def derive_name(query: str) -> str:
    """Return a ready-made topic's name, or else at most `LONGEST_DERIVED` characters of the words.

    What the topic excludes is left out, so a muted word does not change the name:
    `"prompt tuning" OR "continual learning" -survey` -> `Prompt tuning, continual learning`.
    """
    try:
        wanted = _drop_exclusions(syntax.push_negations(parse_query(query)))
    except QueryError:
        wanted = None
    if wanted is None:
        return _cut(" ".join(query.split()))
    return _ready_names().get(canonical(wanted)) or _capitalize(_write(wanted))


@cached("names of ready-made topics", maxsize=1)
def _ready_names() -> dict[str, str]:
    return {
        canonical(parse_query(topic.query)): topic.name
        for field in READY_FIELDS
        for topic in field.topics
    }


def _drop_exclusions(query: syntax.Query) -> syntax.Query | None:
    """Return a tree in negation normal form without its NOTs and kinds of announcement."""
    if isinstance(query, syntax.Not | syntax.Announced):
        return None
    if not isinstance(query, syntax.And | syntax.Or):
        return query
    kept = [each for each in map(_drop_exclusions, query.operands) if each is not None]
    return syntax.join(type(query), kept) if kept else None


def _write(query: syntax.Query) -> str:
    """Return the words, with the names of categories where they fit and their codes where not."""
    named = _label(query, is_brief=False)
    return named if len(named) <= LONGEST_DERIVED else _cut(_label(query, is_brief=True))


def _label(query: syntax.Query, *, is_brief: bool) -> str:
    match query:
        case syntax.Or():
            labels = (_label(each, is_brief=is_brief) for each in query.operands)
            label = ", ".join(dict.fromkeys(labels))
        case syntax.And():
            label = _label_all(query.operands, is_brief=is_brief)
        case syntax.Author():
            label = query.name
        case syntax.Category():
            code = query.pattern.removesuffix(".*")
            label = query.pattern if is_brief else category_name(code)
        case syntax.FromSource():
            label = find_source(query.name).title
        case syntax.TrendLimit():
            label = f"trending {_COMPARISONS[query.comparison]} {query.percent}%"
        case syntax.Like():
            label = f"like {query.text.replace(',', ', ')}" if query.is_key else query.text
        case syntax.Prefix():
            label = f"{query.text}*"
        case _:
            assert isinstance(query, syntax.Text)  # noqa: S101  # `_drop_exclusions` leaves no other
            label = query.text
    return " ".join(label.split())


def _label_all(operands: Sequence[syntax.Query], *, is_brief: bool) -> str:
    """Return `retrieval by Ada Lovelace in cs.CL`: subjects first, each kind with its preposition."""
    groups: dict[str, list[str]] = {before: [] for before in (_WITH, *_BEFORE.values())}
    is_after_word = False
    for each in operands:
        before, label = _preposition(each), _label(each, is_brief=is_brief)
        is_word = isinstance(each, syntax.Prefix) or (
            isinstance(each, syntax.Text) and not each.is_phrase
        )
        if is_word and is_after_word:
            groups[before][-1] += f" {label}"
        else:
            groups[before].append(label)
        is_after_word = is_word
    written = [
        (before, (_WITH if before == _WITH else " and ").join(dict.fromkeys(labels)))
        for before, labels in groups.items()
        if labels
    ]
    return "".join(
        f"{before if place else ''}{label}" for place, (before, label) in enumerate(written)
    )


def _preposition(query: syntax.Query) -> str:
    if isinstance(query, syntax.Or):
        kinds = {_preposition(each) for each in query.operands}
        return kinds.pop() if len(kinds) == 1 else _WITH
    return _BEFORE.get(type(query), _WITH)


def _cut(text: str) -> str:
    """Cut after an alternative, or else after a word."""
    if len(text) <= LONGEST_DERIVED:
        return text
    head = text[:LONGEST_DERIVED]
    whole = head.rpartition(", ")[0] or head.rpartition(" ")[0] or head[:-1]
    return f"{whole.rstrip(' ,')}…"


def _capitalize(text: str) -> str:
    """Capitalize a first word in small letters; one like `mRNA` stays as typed."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].islower() else text
