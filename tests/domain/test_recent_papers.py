"""The last days as sets of papers."""

from __future__ import annotations

from datetime import date

import pytest

from service.domain.paper_sets import Bits
from service.domain.query import Query, parse_query
from service.domain.recent_papers import FEWEST_TITLES, RecentIndex, RecentPaper

MONDAY, TUESDAY = date(2026, 9, 14), date(2026, 9, 15)


def make_papers(count: int) -> list[RecentPaper]:
    """Newest first; every second one is in cs.CV, all but the last speak of cats."""
    return [
        RecentPaper(
            paper_id=100 - n,
            announced_on=TUESDAY if n < 2 else MONDAY,
            title="Dogs" if n == count - 1 else f"Cats number {n}",
            categories=("cs.CL", "cs.CV") if n % 2 else ("cs.CL",),
            title_lexemes=("dog",) if n == count - 1 else ("cat", "number"),
        )
        for n in range(count)
    ]


def nothing_known(_query: Query) -> Bits | None:
    return None


INDEX = RecentIndex(make_papers(FEWEST_TITLES + 2))
ALL = set(INDEX.ids)


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
def test_clauses_are_joined_as_sets(topic: str, found: set[int]) -> None:
    answers = {"a": INDEX.bits_of([100, 99]), "b": INDEX.bits_of([99, 98]), "c": 0}
    papers = INDEX.find(parse_query(topic), nothing_known, lambda leaf: answers[leaf.text])
    assert set(INDEX.ids_of(papers)) == found


def test_what_is_known_of_a_part_spares_its_leaves() -> None:
    part = parse_query("a OR b")
    known = {part: INDEX.bits_of([100]), parse_query("c"): INDEX.bits_of([100, 99])}
    query = parse_query("(a OR b) c")
    assert INDEX.ids_of(INDEX.find(query, known.get, lambda _: pytest.fail("asked"))) == [100]


def test_ids_come_newest_first_and_strangers_are_left_out() -> None:
    papers = INDEX.bits_of([97, 100, 4711])
    assert INDEX.ids_of(papers) == [100, 97]
    assert INDEX.ids_of(papers, 1) == [100]
    assert INDEX.ids_of(INDEX.bits_of([])) == []


def test_papers_are_counted_by_day_category_and_title_word() -> None:
    papers = INDEX.bits_of([100, 99, 98])
    assert INDEX.count_by_day(papers) == {TUESDAY: 2, MONDAY: 1}
    assert INDEX.count_by_category(papers) == {"cs.CL": 3, "cs.CV": 1}
    assert INDEX.count_by_category(INDEX.bits_of([100])) == {"cs.CL": 1}
    assert INDEX.count_title_words(papers) == {"cats": 3, "number": 3}
    assert INDEX.title_words["dogs"] == 1
    assert INDEX.days_known == 2


def test_categories_are_found_here_and_other_clauses_only_where_that_is_exact() -> None:
    cat = {"cat": (1,)}
    (category, title, rare, anywhere, abstract, author) = (
        parse_query(text)
        for text in ("cat:cs.CV", "ti:cats", "ti:dogs", "cats", "abs:cats", "au:x")
    )
    found = INDEX.find_here(category, {})
    assert found is not None
    assert INDEX.ids_of(found) == [99, 97, 95]
    in_titles = INDEX.find_here(title, cat)
    assert in_titles is not None
    assert set(INDEX.ids_of(in_titles)) == ALL - {min(ALL)}
    # "cat cat" is one lexeme at two places: a phrase, which only Postgres can find.
    assert INDEX.find_here(title, {"cat": (1, 2)}) is None
    assert INDEX.find_here(title, {"cat": (1,), "number": (2,)}) is None
    assert INDEX.find_here(rare, {"dog": (1,)}) == INDEX.bits_of([min(ALL)])
    assert INDEX.find_here(rare, {"unicorn": (1,)}) == 0
    for unknown in (anywhere, abstract, author):
        assert INDEX.find_here(unknown, cat) is None


def test_words_of_many_papers_can_be_learned_later() -> None:
    index = RecentIndex(make_papers(3))
    index.learn_words({"cat": index.bits_of([99])})
    index.learn_spellings()
    assert index.find_here(parse_query("cats"), {"cat": (1,)}) == index.bits_of([99])


def test_no_papers_are_an_index_too() -> None:
    empty = RecentIndex([])
    assert (empty.everything, empty.days_known) == (0, 0)
    assert empty.find(parse_query("-a b"), nothing_known, lambda _: 0) == 0
