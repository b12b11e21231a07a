"""Compiled topics that are matched in one pass find the same papers as their trees."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.newsletter.plain_topics import PAPERS, TOPICS, lexicon_of, naive_match, paper_of

from service.topics.domain.language import Query, canonical
from service.topics.domain.matching.bulk import (
    CompiledTopics,
    StoredClauses,
    StoredTopics,
    TopicSets,
)
from service.topics.domain.matching.compiled import (
    DEFAULT_ANNOUNCEMENTS,
    Lexicon,
    compile_clause,
    compile_group,
    is_group,
    iterate_inner_clauses,
    number_of,
    split_topic,
)
from service.topics.domain.matching.paper_index import PaperIndex
from service.topics.domain.types import ClauseKind


def store(queries: list[Query], lexicon: Lexicon) -> tuple[list[StoredTopics], list[StoredClauses]]:
    """Return these topics and their clauses as the database would, with ids."""
    topics = {text: split_topic(text) for text in {canonical(query) for query in queries}}
    clauses = {c.removeprefix("-") for parts in topics.values() for c in parts} - {
        DEFAULT_ANNOUNCEMENTS
    }
    clauses |= {inner for c in clauses if is_group(c) for inner in iterate_inner_clauses(c)}
    numbers = {clause: number for number, clause in enumerate(sorted(clauses), start=1)}
    forms = {
        clause: compile_group(clause, numbers)
        if is_group(clause)
        else compile_clause(clause, lexicon)
        for clause in numbers
    }
    stored = [
        StoredTopics([at], [text], [[number_of(part, numbers)] for part in parts])
        for at, (text, parts) in enumerate(topics.items())
    ]
    kinds = [
        StoredClauses(
            kind, [numbers[clause] for clause in own], own, [forms[clause].keys for clause in own]
        )
        for kind in ClauseKind
        if (own := [clause for clause in numbers if forms[clause].kind is kind])
    ]
    return stored, kinds


@settings(deadline=None)
@given(st.lists(TOPICS, max_size=6), PAPERS)
def test_compiled_topics_find_what_their_trees_find(
    queries: list[Query], papers: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    indexed = [
        paper_of(title, abstract, categories=categories, paper_id=number)
        for number, (title, abstract, categories) in enumerate(papers)
    ]
    stored, clauses = store(queries, lexicon_of(*queries))
    # No lexicon: all lexemes must come from the compiled clauses.
    forms = CompiledTopics()
    forms.add(clauses)
    assert dict(forms) == {
        text: form for c in clauses for text, form in zip(c.texts, c.forms(), strict=True)
    }
    index = PaperIndex(indexed, {}, forms=forms)
    sets = TopicSets(index)
    inner = sets.lacking_inside(clauses)
    numbers = {number for some in clauses for number in some.ids}
    assert sets.lacking(stored) | inner == numbers
    sets.learn(clauses)
    assert not sets.lacking(stored)
    found = {some.texts[0]: sets.find_all(some)[0] for some in stored}
    for query in queries:
        wanted = {at for at, fields in enumerate(papers) if naive_match(query, *fields)}
        bits = found[canonical(query)]
        assert {at for at in range(len(papers)) if bits >> at & 1} == wanted
        assert index.find(canonical(query)) == bits
        for at in wanted:  # reasons need no lexicon either
            assert index.explain(canonical(query), at)


def test_many_topics_of_one_length_are_found_at_once() -> None:
    papers = [paper_of("a b", paper_id=1), paper_of("b c", paper_id=2)]
    index = PaperIndex(papers, {})
    sets = TopicSets(index)
    sets.learn([StoredClauses(ClauseKind.WORD, [4, 5, 6], ["a", "b", "c"], ["a", "b", "c"])])
    topics = StoredTopics([1, 2, 3], ["a b", "b -a", "c -b"], [[0, 0, 0], [4, 5, 6], [5, -4, -5]])
    assert sets.find_all(topics) == [0b01, 0b10, 0]
    with pytest.raises(KeyError):
        sets.find_all(StoredTopics([4], ["d"], [[0], [7]]))
