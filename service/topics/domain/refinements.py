"""Other ways to write a topic that brings too many papers, or none.

Candidates are proposed here from what the matching papers have in common; whoever calls counts
what each would leave, and `choose` keeps those that are worth a click.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from service.papers.domain.categories import category_name, expand
from service.topics.domain.language.canonical import canonical, write_leaf
from service.topics.domain.language.syntax_tree import (
    And,
    Category,
    Leaf,
    Not,
    Or,
    Query,
    Text,
    fold_words,
    iterate_leaves,
)

MOST_SUGGESTIONS: Final = 6
_MOST_CATEGORIES = 2
# What leaves nearly everything is no help, and what leaves nearly nothing is another topic.
_SMALLEST_SHARE, _LARGEST_SHARE = 0.02, 0.85
# A word in fewer of the titles than this is no common companion.
_COMMON_SHARE = 0.03
# Kinds of papers that readers leave out more readily than subjects.
_KINDS: Final = ("survey", "review", "benchmark", "dataset", "challenge", "workshop")
# Words of titles that say nothing about the subject; Postgres' own stop words come on top.
_EMPTY_WORDS = """
and for the with from via using towards toward based through under over into without beyond can are
not its their all you need new how what when why does between across among against approach method
methods study analysis framework efficient improving novel that this these those which while your our
our has have more than beyond toward upon one two only also both
"""
_EMPTY: Final = frozenset(_EMPTY_WORDS.split())
_LETTERS = re.compile(r"[^\W\d_]{3,}")
# Words that begin alike are forms of one word here: "graph" beside "graphs" narrows nothing.
_STEM_LENGTH = 5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Another topic, what it does to the first one in words, and how many papers it brings."""

    topic: str
    says: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class Companions:
    """What the matching papers have: papers a category, titles a word, and how many there are."""

    categories: Mapping[str, int]
    title_words: Mapping[str, int]
    total: int


def narrow(text: str, query: Query, found: Companions) -> list[Suggestion]:
    """Narrower topics than `query`, which was written as `text`; their counts are not known yet."""
    proposed = [
        *_by_phrase(query),
        *_by_title(query),
        *_by_category(text, query, found),
        *_by_word(text, query, found),
    ]
    return list({each.topic: each for each in proposed}.values())


def choose(counted: Iterable[Suggestion], total: int) -> tuple[Suggestion, ...]:
    """Those that leave a part of `total` worth having, in the order they came."""
    least, most = max(1, _SMALLEST_SHARE * total), _LARGEST_SHARE * total
    kept = [each for each in counted if least <= each.count <= most]
    return tuple(kept[:MOST_SUGGESTIONS])


def widen(query: Query) -> list[Suggestion]:
    """`query` with one of its clauses left out, for each whose absence leaves a topic."""
    if not isinstance(query, And):
        return []
    without: list[Suggestion] = []
    for left_out in query.operands:
        rest = tuple(each for each in query.operands if each is not left_out)
        if any(not isinstance(each, Not) for each in rest):
            says = f"without {canonical(left_out)}"
            without.append(Suggestion(canonical(And(rest)), says))
    return without


def respell(
    query: Query, is_found: Callable[[Leaf], bool], closest: Callable[[str], Sequence[str]]
) -> list[Suggestion]:
    """`query` with a word that was found nowhere replaced by one that is nearly the same."""
    lost = [leaf for leaf in iterate_leaves(query) if isinstance(leaf, Text) and not is_found(leaf)]
    wrong_words = dict.fromkeys(word for leaf in lost for word in _words(leaf))
    pairs = [(wrong, right) for wrong in wrong_words for right in closest(wrong)]
    # One letter wrong in each of two words is one suggestion: either alone would find nothing.
    likeliest = list(dict(reversed(pairs)).items())[::-1]
    changes = [likeliest, *([pair] for pair in pairs)] if pairs else []
    return [
        Suggestion(
            canonical(_respell(query, dict(change))),
            " and ".join(f"{right} instead of {wrong}" for wrong, right in change),
        )
        for change in changes
    ]


def _words(leaf: Text) -> list[str]:
    return _LETTERS.findall(fold_words(leaf.text))


def _respell(query: Query, words: Mapping[str, str]) -> Query:
    if isinstance(query, And | Or):
        return type(query)(tuple(_respell(each, words) for each in query.operands))
    if isinstance(query, Not):
        return Not(_respell(query.operand, words))
    if not isinstance(query, Text):
        return query
    text = _LETTERS.sub(lambda found: words.get(found[0], found[0]), fold_words(query.text))
    return replace(query, text=text)


def name_categories(codes: Iterable[str]) -> list[Suggestion]:
    """A topic for each whole category, for whoever typed its name as words."""
    return [Suggestion(f"cat:{code}", f"everything in {category_name(code)}") for code in codes]


def plain_words(query: Query) -> str:
    """The wanted words that may stand anywhere, as one text: what may be a category's name."""
    if isinstance(query, And):
        return " ".join(filter(None, map(plain_words, query.operands)))
    return fold_words(query.text) if isinstance(query, Text) and query.field == "any" else ""


def _by_phrase(query: Query) -> Iterator[Suggestion]:
    """Neighbouring bare words as a phrase: `prompt tuning` may have meant "prompt tuning"."""
    operands = query.operands if isinstance(query, And) else ()
    start = next((n for n, each in enumerate(operands) if _is_bare(each)), 0)
    run = []
    for each in operands[start:]:
        if not (isinstance(each, Text) and _is_bare(each)):
            break
        run.append(each.text)
    if len(run) > 1:
        phrase = Text("any", " ".join(run), is_phrase=True)
        rest = (*operands[:start], phrase, *operands[start + len(run) :])
        yield Suggestion(canonical(And(rest)), f"as a phrase: {write_leaf(phrase)}")


def _is_bare(query: Query) -> bool:
    return isinstance(query, Text) and query.field == "any" and not query.is_phrase


def _by_title(query: Query) -> Iterator[Suggestion]:
    """The same words in the title instead of anywhere."""
    in_titles = _move_to_titles(query)
    if in_titles != query:
        yield Suggestion(canonical(in_titles), "in the title only")


def _move_to_titles(query: Query) -> Query:
    """What is excluded stays excluded wherever it stands, or the topic would grow."""
    if isinstance(query, And | Or):
        return type(query)(tuple(_move_to_titles(each) for each in query.operands))
    if isinstance(query, Text) and query.field == "any":
        return replace(query, field="title")
    return query


def _by_category(text: str, query: Query, found: Companions) -> Iterator[Suggestion]:
    """The categories that leave nearest to half."""
    asked: set[str] = set()
    for leaf in iterate_leaves(query):
        if isinstance(leaf, Category):
            members = expand(leaf.pattern)
            asked |= members if len(members) < 4 else set()
    half = found.total / 2
    near = sorted(
        (abs(count - half), code) for code, count in found.categories.items() if code not in asked
    )
    for _, code in near[:_MOST_CATEGORIES]:
        says = f"only in {code}, {category_name(code)}"
        yield Suggestion(_add(text, query, f"cat:{code}"), says)


def _by_word(text: str, query: Query, found: Companions) -> Iterator[Suggestion]:
    """The title words that most often come with the topic: one to ask for, one to leave out."""
    titles = min(found.total, sum(found.title_words.values()))
    own = {_stem(word) for word in _own_words(query)}
    common = [
        word
        for word, count in sorted(found.title_words.items(), key=lambda pair: (-pair[1], pair[0]))
        if count >= max(2, _COMMON_SHARE * titles) and _is_telling(word) and _stem(word) not in own
    ]
    for word in common[:2]:
        yield Suggestion(_add(text, query, f"ti:{word}"), f"with {word} in the title")
    kinds = [word for word in _KINDS if found.title_words.get(word, 0) > 1 and word not in own]
    for word in [*kinds, *common[2:]][:1]:
        yield Suggestion(_add(text, query, f"-{word}"), f"without {word}")


def _own_words(query: Query) -> Iterator[str]:
    for leaf in iterate_leaves(query):
        if isinstance(leaf, Text):
            yield from _words(leaf)


def _is_telling(word: str) -> bool:
    return _LETTERS.fullmatch(word) is not None and word not in _EMPTY


def _stem(word: str) -> str:
    return word[:_STEM_LENGTH]


def _add(text: str, query: Query, clause: str) -> str:
    """The reader's own words with a clause after them."""
    return f"({text}) {clause}" if isinstance(query, Or) else f"{text} {clause}"
