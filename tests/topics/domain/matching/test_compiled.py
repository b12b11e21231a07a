"""Compiled topics: nothing of a topic's meaning is lost on the way into numbers and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.newsletter.plain_topics import PAPERS, TOPICS, lexicon_of, naive_match, paper_of

from service.topics.domain.language import Query, QueryError, canonical, parse_query
from service.topics.domain.language.syntax_tree import Announced, Text
from service.topics.domain.matching.bitsets import PhraseIndex, lay_out
from service.topics.domain.matching.bulk import StoredClauses, StoredForms, StoredTopics, TopicSets
from service.topics.domain.matching.compiled import (
    USUAL,
    ClauseForm,
    Lexicon,
    compile_clause,
    compile_group,
    is_group,
    iterate_inner_clauses,
    number_of,
    read_clause,
    read_places,
    split_topic,
)
from service.topics.domain.matching.paper_index import PaperIndex
from service.topics.domain.types import ClauseKind


@pytest.mark.parametrize(
    ("topic", "clauses"),
    [
        ("a", (USUAL, "a")),
        ('"b c" cat:cs.CL -d', (USUAL, '"b c"', "cat:cs.CL", "-d")),
        ("a OR b", (USUAL, "(a OR b)")),
        ("(a OR b) c -d", (USUAL, "(a OR b)", "c", "-d")),
        (
            "a (b OR c d) (e OR (f OR g) -h)",
            (USUAL, "(b OR c d)", "((f OR g) -h OR e)", "a"),
        ),
        ('"(a" ")b OR"', (USUAL, '"(a"', '")b or"')),
        ("a replaced:only", ("replaced:only", "a")),
        ("a cross:no replaced:", ("cross:no replaced:yes", "a")),
        (
            "cat:cs.CL (cat:math OR b) -cat:cs.LG cross:only",
            ("cross:only cat:cs.CL cat:math.*", "(b OR cat:math.*)", "cat:cs.CL", "-cat:cs.LG"),
        ),
        ("(a OR b) replaced:", ("replaced:yes", "(a OR b)")),
        ('like:"(a OR b)" src:hf', (USUAL, 'like:"(a or b)"', "src:huggingface")),
    ],
)
def test_a_topic_is_split_into_what_must_all_hold(topic: str, clauses: tuple[str, ...]) -> None:
    announced, *rest = split_topic(canonical(parse_query(topic)))
    assert (announced, *sorted(rest)) == (clauses[0], *sorted(clauses[1:]))


def test_switches_keep_the_categories_that_are_the_topics_own() -> None:
    announced = split_topic(canonical(parse_query("a cat:math cat:cs.CL -cat:cs.LG cross:only")))
    assert read_clause(announced[0]) == Announced(False, True, False, ("cs.CL", "math.*"))
    assert read_clause("replaced:only") == Announced(False, False, True)


LEXICON: Lexicon = {
    "model": {"model": (1,)},
    "state of the art": {"art": (4,), "state": (1,)},
    "very very deep": {"deep": (3,), "veri": (1, 2)},
    "the": {},
}


@pytest.mark.parametrize(
    ("clause", "form"),
    [
        ("model", ClauseForm(ClauseKind.WORD, "model")),
        ("ti:model", ClauseForm(ClauseKind.PHRASE, "title\tmodel\t0")),
        ('"state of the art"', ClauseForm(ClauseKind.PHRASE, "any\tstate\t0\tart\t3")),
        (
            'abs:"very very deep"',
            ClauseForm(ClauseKind.PHRASE, "abstract\tveri\t0\tveri\t1\tdeep\t2"),
        ),
        ("the", ClauseForm(ClauseKind.PHRASE, "any")),
        ("au:bengio", ClauseForm(ClauseKind.AUTHOR, "g bengio\tt bengio")),
        ("cat:eess.SY", ClauseForm(ClauseKind.CATEGORY, "cs.SY\teess.SY")),
        ('like:"soft prompts"', ClauseForm(ClauseKind.LIKE, "soft prompts")),
        ("like:arxiv:2507.17189", ClauseForm(ClauseKind.LIKE, "arxiv:2507.17189")),
        ("optim*", ClauseForm(ClauseKind.OTHER)),
        ("trend>90", ClauseForm(ClauseKind.OTHER)),
        ("src:arxiv", ClauseForm(ClauseKind.OTHER)),
        ("cross:no cat:cs.CL", ClauseForm(ClauseKind.OTHER)),
    ],
)
def test_a_clause_is_compiled_to_what_it_is_looked_up_by(clause: str, form: ClauseForm) -> None:
    assert compile_clause(clause, LEXICON) == form


def test_a_group_keeps_its_shape_with_numbers_for_its_clauses() -> None:
    numbers = {"a": 7, "b": 8, '"c d"': 9}
    group = '(a OR b -"c d")'
    assert list(iterate_inner_clauses(group)) == ["a", "b", '"c d"']
    assert compile_group(group, numbers) == ClauseForm(ClauseKind.GROUP, "(\t7\tOR\t8\t-9\t)")


def test_what_is_no_clause_is_refused_and_what_has_no_lexemes_is_an_error() -> None:
    with pytest.raises(QueryError):
        compile_clause("nosuchfield:x", LEXICON)
    with pytest.raises(KeyError, match="unheard"):
        compile_clause("unheard", LEXICON)


def test_a_form_that_is_read_by_its_text_has_no_look_up() -> None:
    index = PaperIndex([], {})
    with pytest.raises(ValueError, match="kind other"):
        index.clauses.find_form(ClauseForm(ClauseKind.OTHER))


# --- phrases ----------------------------------------------------------------------------------

POSITIONS = st.lists(st.integers(1, 12), min_size=1, max_size=4, unique=True).map(
    lambda positions: tuple(sorted(positions))
)
# Several lexemes may stand at one position: the last that Postgres counts, for one.
DOCUMENTS = st.lists(st.dictionaries(st.sampled_from("abc"), POSITIONS, max_size=3), max_size=6)


@settings(deadline=None)
@given(DOCUMENTS, st.dictionaries(st.sampled_from("abcd"), POSITIONS, max_size=3))
def test_a_phrase_is_found_where_all_stand_at_their_distances(
    documents: list[dict[str, tuple[int, ...]]], phrase: dict[str, tuple[int, ...]]
) -> None:
    places = lay_out(phrase)
    papers = {
        number
        for number, document in enumerate(documents)
        if places
        and any(
            all(base + distance in document.get(lexeme, ()) for lexeme, distance in places)
            for base in range(-20, 40)
        )
    }
    found = PhraseIndex(documents).find_phrase(places)
    assert {number for number in range(len(documents)) if found >> number & 1} == papers


def test_a_distance_never_reaches_into_another_paper() -> None:
    index = PhraseIndex([{"a": (16_383,), "b": (1,)}, {"b": (1, 16_383), "a": (1,)}])
    far = 16_382
    assert index.find_phrase((("b", 0), ("a", far))) == 0b01
    assert index.find_phrase((("a", 0), ("b", far))) == 0b10
    assert index.find_phrase((("a", 0), ("b", far - 1))) == 0


def test_places_survive_being_written() -> None:
    for clause in ("model", "ti:model", '"state of the art"', 'abs:"very very deep"'):
        leaf = read_clause(clause)
        assert isinstance(leaf, Text)
        places = lay_out(LEXICON[leaf.text])
        field, read = read_places(compile_clause(clause, LEXICON))
        assert read == places
        assert field == leaf.field


# --- topics -----------------------------------------------------------------------------------


def store(queries: list[Query], lexicon: Lexicon) -> tuple[list[StoredTopics], list[StoredClauses]]:
    """What a database would give back of these topics, numbers and all."""
    topics = {text: split_topic(text) for text in {canonical(query) for query in queries}}
    clauses = {c.removeprefix("-") for parts in topics.values() for c in parts} - {USUAL}
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
            kind,
            [numbers[clause] for clause in own],
            own,
            [forms[clause].keys for clause in own],
        )
        for kind in ClauseKind
        if (own := [clause for clause in numbers if forms[clause].kind is kind])
    ]
    return stored, kinds


@settings(deadline=None)
@given(st.lists(TOPICS, max_size=6), PAPERS)
def test_compiled_topics_mean_what_their_trees_mean(
    queries: list[Query], papers: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    indexed = [
        paper_of(title, abstract, categories=categories, paper_id=number)
        for number, (title, abstract, categories) in enumerate(papers)
    ]
    stored, clauses = store(queries, lexicon_of(*queries))
    # No lexicon: whatever is asked must come from the forms.
    forms = StoredForms()
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


def test_stored_forms_are_found_by_the_texts_of_their_clauses() -> None:
    forms = StoredForms()
    forms.add([StoredClauses(ClauseKind.WORD, [4, 5], ["a", "b"], ["a", "b"])])
    assert len(forms) == 2
    assert forms["b"] == ClauseForm(ClauseKind.WORD, "b")
    with pytest.raises(KeyError, match="c"):
        forms["c"]
