"""The index of the last days' papers as bitsets."""

from collections.abc import Iterable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.topics.domain.language import Query, parse_query, wants_replaced
from service.topics.domain.language.canonical import normalize
from service.topics.domain.language.syntax_tree import And, Leaf, Not, Or, Text
from service.topics.domain.matching.bitsets import PaperSet
from service.topics.domain.matching.recent_index import FEWEST_TITLES, RecentIndex, RecentPaper

MONDAY, TUESDAY = date(2026, 9, 14), date(2026, 9, 15)


def make_papers(count: int) -> list[RecentPaper]:
    """Make papers, newest first: every second one in cs.CV, all but the last about cats."""
    return [
        RecentPaper(
            paper_id=100 - n,
            key=f"arxiv:{100 - n:05}",
            announced_on=TUESDAY if n < 2 else MONDAY,
            title="Dogs" if n == count - 1 else f"Cats number {n}",
            categories=("cs.CL", "cs.CV") if n % 2 else ("cs.CL",),
            title_lexemes=("dog",) if n == count - 1 else ("cat", "number"),
        )
        for n in range(count)
    ]


def nothing_known(_query: Query) -> PaperSet | None:
    return None


def parse_leaf(topic: str) -> Leaf:
    query = parse_query(topic)
    assert not isinstance(query, And | Or | Not)
    return query


INDEX = RecentIndex(make_papers(FEWEST_TITLES + 2))
ALL = set(INDEX.paper_ids)
REACH = INDEX.reach()


@pytest.mark.parametrize(
    ("topic", "found"),
    [
        ("a", {100, 99}),
        ("a b", {99}),
        ("a OR b", {100, 99, 98}),
        ("b -a", {98}),
        ("a c b", set()),
        ("a -(b OR c)", {100}),
    ],
)
def test_clauses_are_combined_as_sets(topic: str, found: set[int]) -> None:
    answers = {"a": INDEX.bits_of([100, 99]), "b": INDEX.bits_of([99, 98]), "c": 0}

    def look_up(leaf: Leaf) -> PaperSet:
        assert isinstance(leaf, Text)
        return answers[leaf.text]

    papers = INDEX.find(parse_query(topic), REACH.papers, nothing_known, look_up)
    assert set(INDEX.ids_of(papers, REACH)) == found


def test_a_cached_result_of_a_part_saves_evaluating_its_leaves() -> None:
    part = parse_query("a OR b")
    known = {part: INDEX.bits_of([100]), parse_query("c"): INDEX.bits_of([100, 99])}
    query = parse_query("(a OR b) c")
    found = INDEX.find(query, REACH.papers, known.get, lambda _: pytest.fail("asked"))
    assert INDEX.ids_of(found, REACH) == [100]


def test_ids_come_newest_first_and_unknown_ids_are_left_out() -> None:
    papers = INDEX.bits_of([97, 100, 4711])
    assert INDEX.ids_of(papers, REACH) == [100, 97]
    assert INDEX.ids_of(papers, REACH, 1) == [100]
    assert INDEX.ids_of(INDEX.bits_of([]), REACH) == []


def test_papers_are_counted_by_day_category_and_title_word() -> None:
    papers = INDEX.bits_of([100, 99, 98])
    assert REACH.count_by_day(papers) == {TUESDAY: 2, MONDAY: 1}
    assert INDEX.count_by_category(papers) == {"cs.CL": 3, "cs.CV": 1}
    assert INDEX.count_by_category(INDEX.bits_of([100])) == {"cs.CL": 1}
    assert INDEX.count_title_words(papers, REACH) == {"cats": 3, "number": 3}
    assert INDEX.title_words["dogs"] == 1
    assert REACH.days_known == 2


def test_only_clauses_with_an_exact_result_are_evaluated_in_memory() -> None:
    cat = {"cat": (1,)}
    (category, title, rare, anywhere, abstract, author) = (
        parse_leaf(text) for text in ("cat:cs.CV", "ti:cats", "ti:dogs", "cats", "abs:cats", "au:x")
    )
    found = INDEX.find_here(category, {})
    assert found is not None
    assert INDEX.ids_of(found, REACH) == [99, 97, 95]
    in_titles = INDEX.find_here(title, cat)
    assert in_titles is not None
    assert set(INDEX.ids_of(in_titles, REACH)) == ALL - {min(ALL)}
    # "cat cat" is one lexeme at two positions, a phrase, which only Postgres can find.
    assert INDEX.find_here(title, {"cat": (1, 2)}) is None
    assert INDEX.find_here(title, {"cat": (1,), "number": (2,)}) is None
    assert INDEX.find_here(rare, {"dog": (1,)}) == INDEX.bits_of([min(ALL)])
    assert INDEX.find_here(rare, {"unicorn": (1,)}) == 0
    for unknown in (anywhere, abstract, author):
        assert INDEX.find_here(unknown, cat) is None


def test_common_words_can_be_added_later() -> None:
    index = RecentIndex(make_papers(3))
    index.learn_words({"cat": index.bits_of([99])})
    index.learn_spellings()
    assert index.find_here(parse_leaf("cats"), {"cat": (1,)}) == index.bits_of([99])


def test_an_index_may_be_empty() -> None:
    empty = RecentIndex([])
    reach = empty.reach()
    assert (reach.papers, reach.days_known, len(empty), empty.stale_share) == (0, 0, 0, 0.0)
    assert empty.find(parse_query("-a b"), reach.papers, nothing_known, lambda _: 0) == 0


NAMES = st.sampled_from(["cat", "dog", "fish"])
CHANGES = st.lists(
    st.builds(
        RecentPaper,
        paper_id=st.integers(1, 12),
        announced_on=st.sampled_from([None, MONDAY, TUESDAY]),
        title=NAMES,
        categories=st.lists(st.sampled_from(["cs.CL", "cs.CV"]), max_size=2, unique=True).map(
            tuple
        ),
        title_lexemes=st.lists(NAMES, max_size=2, unique=True).map(tuple),
        key=st.integers(1, 99).map("{:02}".format),
        counted_on=st.sampled_from([None, MONDAY, TUESDAY]),
        primary_category=st.sampled_from(["cs.CL", "cs.CV"]),
        is_first=st.booleans(),
        is_cross=st.booleans(),
        is_replaced=st.booleans(),
        abstract_lexemes=st.lists(NAMES, max_size=2, unique=True).map(tuple),
    ),
    max_size=9,
    unique_by=lambda paper: paper.paper_id,
)
TOPICS = (
    *("cat:cs.CL", "ti:cat", "ti:fish", "cat", "dog", "cat dog", "cat -dog"),
    *("cat cross:no", "ti:cat new:no", "dog replaced:", "cat replaced:only", "cat:cs.CV cross:no"),
    *("cat:cs.CV -ti:cat replaced:", "(cat OR ti:fish) replaced:"),
)


def summarize(index: RecentIndex, topic: str) -> tuple[list[int], dict[date, int], dict[str, int]]:
    query = normalize(parse_query(topic))
    reach = index.reach(is_replaced=wants_replaced(query))

    def known(part: Query) -> PaperSet | None:
        if isinstance(part, And | Or | Not):
            return None
        return index.find_here(part, {part.text: (1,)} if isinstance(part, Text) else {})

    found = index.find(query, reach.papers, known, lambda _: 0)
    counts = {on: count for on, count in reach.count_by_day(found).items() if count}
    return index.ids_of(found, reach), counts, index.count_by_category(found)


@given(CHANGES, st.lists(st.tuples(CHANGES, st.frozensets(st.integers(1, 12)))))
def test_an_updated_index_equals_a_new_one(
    papers: list[RecentPaper], changes: list[tuple[list[RecentPaper], frozenset[int]]]
) -> None:
    there = {paper.paper_id: paper for paper in papers}
    first = RecentIndex(papers)
    index = first
    index.learn_words(words_of(index, papers))
    before = [summarize(first, topic) for topic in TOPICS]
    for more, gone in changes:
        index = index.with_changes(more, gone)
        there = {i: paper for i, paper in there.items() if i not in gone}
        there |= {paper.paper_id: paper for paper in more}
    fresh = RecentIndex(there.values())
    fresh.learn_words(words_of(fresh, there.values()))
    for topic in TOPICS:
        (ids, *counts), (expected, *expected_counts) = (
            summarize(index, topic),
            summarize(fresh, topic),
        )
        # Papers with an equal day and key, which a database cannot contain, have no order.
        assert (sorted(ids), counts) == (sorted(expected), expected_counts), topic
        assert [there[i].key for i in ids] == [there[i].key for i in expected], topic
    assert len(index) == len(there)
    assert 0.0 <= index.stale_share < 1.0 or not there
    assert [summarize(first, topic) for topic in TOPICS] == before


def words_of(index: RecentIndex, papers: Iterable[RecentPaper]) -> dict[str, PaperSet]:
    """Return the papers that have each of two words, in title or abstract; no third word."""
    lexemes = [(p.paper_id, {*p.title_lexemes, *p.abstract_lexemes}) for p in papers]
    return {
        word: index.bits_of(paper_id for paper_id, known_words in lexemes if word in known_words)
        for word in ("cat", "dog")
    }


def test_words_of_added_papers_are_known_as_spellings() -> None:
    index = RecentIndex(make_papers(3))
    index.learn_spellings()
    later = RecentPaper(200, TUESDAY, "Axolotls", (), ("axolotl",))
    assert index.with_changes([later], ()).title_words["axolotls"] == 1
    assert "axolotls" not in index.title_words
