"""Suggestions for a topic that brings too many papers, or none.

The functions propose topics from what the matching papers have in common; the caller counts the
papers of each, and `choose` selects the useful ones.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from operator import and_
from typing import Final

from service.papers.domain.categories import category_name, expand
from service.platform import linear_regex
from service.topics.domain.language import syntax_tree as syntax
from service.topics.domain.language.canonical import canonical, write_leaf
from service.topics.domain.matching.bitsets import PaperSet

MOST_SUGGESTIONS: Final = 6
# Each is a topic that is parsed and counted, so their number must not grow with the topic.
MOST_WIDER: Final = 8
MOST_RESPELLED: Final = 6
_MOST_CATEGORIES = 2
# A suggestion that leaves nearly all papers is no help; one that leaves few is another topic.
_SMALLEST_SHARE, _LARGEST_SHARE = 0.02, 0.85
# A word in a smaller share of the titles than this is not suggested.
_COMMON_SHARE = 0.03
# Kinds of papers that people exclude more often than subjects.
_KINDS: Final = ("survey", "review", "benchmark", "dataset", "challenge", "workshop")
# Words of titles that say nothing about the subject.
_EMPTY_WORDS = """
and for the with from via using towards toward based through under over into without beyond can are
not its their all you need new how what when why does between across among against approach method
methods study analysis framework efficient improving novel that this these those which while your our
our has have more than beyond toward upon one two only also both
"""
_EMPTY: Final = frozenset(_EMPTY_WORDS.split())
_LETTERS = linear_regex.compile(r"[^\W\d_]{3,}")
# Words with an equal beginning count as one word: "graph" beside "graphs" narrows nothing.
_STEM_LENGTH = 5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A suggested topic, its difference to the original in words, and how many papers it brings."""

    topic: str
    says: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class Companions:
    """Counts over the matching papers: papers per category, titles per word, and papers in all."""

    categories: Mapping[str, int]
    title_words: Mapping[str, int]
    total: int


def narrow(text: str, query: syntax.Query, found: Companions) -> list[Suggestion]:
    """Return narrower topics than `query`, which was written as `text`, with counts of 0."""
    proposed = [
        *_suggest_phrase(query),
        *_suggest_title(query),
        *_suggest_categories(text, query, found),
        *_suggest_words(text, query, found),
    ]
    return list({each.topic: each for each in proposed}.values())


def choose(counted: Iterable[Suggestion], total: int) -> tuple[Suggestion, ...]:
    """Return the suggestions that leave a useful share of `total`, at most six, in their order."""
    least, most = max(1, _SMALLEST_SHARE * total), _LARGEST_SHARE * total
    chosen = [each for each in counted if least <= each.count <= most]
    return tuple(chosen[:MOST_SUGGESTIONS])


def widen(query: syntax.Query, find: Callable[[syntax.Query], PaperSet]) -> list[Suggestion]:
    """Return `query` without one of its clauses, where the others leave a topic that finds papers.

    `find` returns the papers of one clause and is called once for each; at most `MOST_WIDER`
    topics are written.
    """
    return list(islice(_iterate_wider(query, find), MOST_WIDER))


def _iterate_wider(
    query: syntax.Query, find: Callable[[syntax.Query], PaperSet]
) -> Iterator[Suggestion]:
    if not isinstance(query, syntax.And):
        return
    operands = query.operands
    found = [find(each) for each in operands]
    # The papers of all clauses before and after each one: to leave one out is then a single AND.
    before = [*accumulate(found, and_, initial=-1)]
    after = [*accumulate(reversed(found), and_, initial=-1)][::-1]
    wanted_count = sum(not isinstance(each, syntax.Not) for each in operands)
    for place, left_out in enumerate(operands):
        has_wanted = wanted_count > (not isinstance(left_out, syntax.Not))
        if has_wanted and before[place] & after[place + 1]:
            rest = syntax.And((*operands[:place], *operands[place + 1 :]))
            yield Suggestion(canonical(rest), f"without {canonical(left_out)}")


def respell(
    query: syntax.Query,
    is_found: Callable[[syntax.Leaf], bool],
    closest: Callable[[str], Sequence[str]],
) -> list[Suggestion]:
    """Return `query` with words that were found nowhere replaced by ones of similar spelling."""
    texts = [leaf for leaf in syntax.iterate_leaves(query) if isinstance(leaf, syntax.Text)]
    wrong_words = dict.fromkeys(w for leaf in texts if not is_found(leaf) for w in _words(leaf))
    compared = islice(wrong_words, MOST_RESPELLED)
    pairs = [(wrong, right) for wrong in compared for right in closest(wrong)]
    # Two misspelt words are corrected in one suggestion: either alone would find nothing.
    likeliest = list(dict(reversed(pairs)).items())[::-1]
    changes = [likeliest, *([pair] for pair in pairs)] if pairs else []
    return [
        Suggestion(
            canonical(_respell(query, dict(change))),
            " and ".join(f"{right} instead of {wrong}" for wrong, right in change),
        )
        for change in changes
    ]


def _words(leaf: syntax.Text) -> list[str]:
    return _LETTERS.findall(syntax.fold_words(leaf.text))


def _respell(query: syntax.Query, words: Mapping[str, str]) -> syntax.Query:
    if isinstance(query, syntax.And | syntax.Or):
        return type(query)(tuple(_respell(each, words) for each in query.operands))
    if isinstance(query, syntax.Not):
        return syntax.Not(_respell(query.operand, words))
    if not isinstance(query, syntax.Text):
        return query
    text = _LETTERS.sub(lambda found: words.get(found[0], found[0]), syntax.fold_words(query.text))
    return replace(query, text=text)


def name_categories(codes: Iterable[str]) -> list[Suggestion]:
    """Return a topic for each whole category, for a topic that is the category's name in words."""
    return [Suggestion(f"cat:{code}", f"everything in {category_name(code)}") for code in codes]


def normalise_line(query: syntax.Query) -> str:
    """Return the wanted words without a field as one text, which may be a category's name."""
    if isinstance(query, syntax.And):
        return " ".join(filter(None, map(normalise_line, query.operands)))
    return (
        syntax.fold_words(query.text)
        if isinstance(query, syntax.Text) and query.field == "any"
        else ""
    )


def _suggest_phrase(query: syntax.Query) -> Iterator[Suggestion]:
    """Suggest neighbouring bare words as a phrase: `prompt tuning` may mean "prompt tuning"."""
    operands = query.operands if isinstance(query, syntax.And) else ()
    start = next((n for n, each in enumerate(operands) if _is_bare(each)), 0)
    run = []
    for each in operands[start:]:
        if not (isinstance(each, syntax.Text) and _is_bare(each)):
            break
        run.append(each.text)
    if len(run) > 1:
        phrase = syntax.Text("any", " ".join(run), is_phrase=True)
        rest = (*operands[:start], phrase, *operands[start + len(run) :])
        yield Suggestion(canonical(syntax.And(rest)), f"as a phrase: {write_leaf(phrase)}")


def _is_bare(query: syntax.Query) -> bool:
    return isinstance(query, syntax.Text) and query.field == "any" and not query.is_phrase


def _suggest_title(query: syntax.Query) -> Iterator[Suggestion]:
    """Suggest the same words in the title only."""
    in_titles = _move_to_titles(query)
    if in_titles != query:
        yield Suggestion(canonical(in_titles), "in the title only")


def _move_to_titles(query: syntax.Query) -> syntax.Query:
    """Move wanted words to the title; exclusions keep their field, or the topic would grow."""
    if isinstance(query, syntax.And | syntax.Or):
        return type(query)(tuple(_move_to_titles(each) for each in query.operands))
    if isinstance(query, syntax.Text) and query.field == "any":
        return replace(query, field="title")
    return query


def _suggest_categories(text: str, query: syntax.Query, found: Companions) -> Iterator[Suggestion]:
    """Suggest the categories that leave nearest to half of the papers."""
    leaves = (each for each in syntax.iterate_leaves(query) if isinstance(each, syntax.Category))
    patterns = (expand(leaf.pattern) for leaf in leaves)
    own = {code for members in patterns if len(members) < 4 for code in members}
    half = found.total / 2
    near = sorted(
        (abs(count - half), code) for code, count in found.categories.items() if code not in own
    )
    for _, code in near[:_MOST_CATEGORIES]:
        says = f"only in {code}, {category_name(code)}"
        yield Suggestion(_add(text, query, f"cat:{code}"), says)


def _suggest_words(text: str, query: syntax.Query, found: Companions) -> Iterator[Suggestion]:
    """Suggest the most frequent words of the titles: two to require, one to exclude."""
    titles = min(found.total, sum(found.title_words.values()))
    texts = (each for each in syntax.iterate_leaves(query) if isinstance(each, syntax.Text))
    own = {_stem(word) for leaf in texts for word in _words(leaf)}
    common = [
        word
        for word, count in sorted(found.title_words.items(), key=lambda pair: (-pair[1], pair[0]))
        if count >= max(2, _COMMON_SHARE * titles) and _stem(word) not in own
        if _LETTERS.fullmatch(word) and word not in _EMPTY
    ]
    for word in common[:2]:
        yield Suggestion(_add(text, query, f"ti:{word}"), f"with {word} in the title")
    kinds = [word for word in _KINDS if found.title_words.get(word, 0) > 1 and word not in own]
    for word in [*kinds, *common[2:]][:1]:
        yield Suggestion(_add(text, query, f"-{word}"), f"without {word}")


def _stem(word: str) -> str:
    return word[:_STEM_LENGTH]


def _add(text: str, query: syntax.Query, clause: str) -> str:
    """Append a clause to the topic as it was typed."""
    return f"({text}) {clause}" if isinstance(query, syntax.Or) else f"{text} {clause}"
