"""Small papers and topics made by hypothesis, and what topics mean, as plainly as it can be said."""

from collections import defaultdict

from hypothesis import strategies as st

from service.topics.domain.language import (
    And,
    Category,
    Not,
    Or,
    Query,
    Text,
    canonical,
    leaf_texts,
    parse_query,
)
from service.topics.domain.matching.clause_index import IndexedPaper
from service.topics.domain.matching.compiled import Lexicon

STOP_WORDS = {"the", "of", "and", "is"}
Lexemes = dict[str, tuple[int, ...]]


def lexemes_of(text: str) -> Lexemes:
    """What Postgres would make of plain words that have no endings; stop words leave a gap."""
    found: dict[str, list[int]] = defaultdict(list)
    for position, word in enumerate(text.split(), start=1):
        if word not in STOP_WORDS:
            found[word].append(position)
    return {word: tuple(positions) for word, positions in found.items()}


def paper_of(
    title: str = "",
    abstract: str = "",
    authors: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    paper_id: int = 1,
) -> IndexedPaper:
    return IndexedPaper(
        paper_id, lexemes_of(title), lexemes_of(abstract), authors, frozenset(categories)
    )


def lexicon_of(*queries: Query) -> Lexicon:
    return {text: lexemes_of(text) for query in queries for text in leaf_texts(query)}


WORDS = st.lists(st.sampled_from(["a", "b", "c", "the"]), max_size=6).map(" ".join)
CATEGORIES = st.sets(st.sampled_from(["cs.CL", "cs.LG", "math-ph", "hep-th"]))
PAPERS = st.lists(
    st.builds(
        lambda title, abstract, categories: (title, abstract, tuple(sorted(categories))),
        WORDS,
        WORDS,
        CATEGORIES,
    ),
    max_size=8,
)
LEAVES = ["a", "b", "c", "the", '"a b"', '"a the b"', '"a a"', "ti:a", 'abs:"b c"']
LEAVES += ["cat:cs", "cat:cs.CL", "cat:math.MP"]
TOPICS = st.recursive(
    st.sampled_from(LEAVES),
    lambda parts: st.one_of(
        st.tuples(parts, parts).map(lambda pair: f"({pair[0]} {pair[1]})"),
        st.tuples(parts, parts).map(lambda pair: f"({pair[0]} OR {pair[1]})"),
        st.tuples(parts, parts).map(lambda pair: f"({pair[0]} -{pair[1]})"),
        st.tuples(parts, parts).map(lambda pair: f"({pair[0]} NOT (c OR {pair[1]}))"),
    ),
    max_leaves=8,
).map(parse_query)


def naive_match(query: Query, title: str, abstract: str, categories: tuple[str, ...]) -> bool:
    """The meaning, as slowly and plainly as it can be said."""
    if isinstance(query, And):
        return all(naive_match(each, title, abstract, categories) for each in query.operands)
    if isinstance(query, Or):
        return any(naive_match(each, title, abstract, categories) for each in query.operands)
    if isinstance(query, Not):
        return not naive_match(query.operand, title, abstract, categories)
    if isinstance(query, Category):
        archive = {"cat:cs.*": {"cs.CL", "cs.LG"}}
        return bool(archive.get(canonical(query), {canonical(query)[4:]}) & set(categories))
    assert isinstance(query, Text)
    fields = {"any": [title, abstract], "title": [title], "abstract": [abstract]}[query.field]
    return any(naive_phrase(query.text.split(), field.split()) for field in fields)


def naive_phrase(phrase: list[str], words: list[str]) -> bool:
    wanted = [(at, word) for at, word in enumerate(phrase) if word not in STOP_WORDS]
    return bool(wanted) and any(
        all(0 <= base + at < len(words) and words[base + at] == word for at, word in wanted)
        for base in range(-len(phrase), len(words))
    )
