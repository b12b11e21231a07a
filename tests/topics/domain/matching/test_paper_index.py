"""Matching in memory: what a clause finds, the reasons, and agreement with a naive evaluation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.newsletter.plain_topics import (
    PAPERS,
    TOPICS,
    Lexemes,
    lexemes_of,
    lexicon_of,
    naive_match,
    paper_of,
)
from support.oracles import match_query

from service.papers.domain.tsvector import parse_tsvector
from service.topics.domain.language import And, Not, Or, Query, Text, canonical, parse_query
from service.topics.domain.matching.clause_index import IndexedPaper
from service.topics.domain.matching.compiled import clause_texts
from service.topics.domain.matching.paper_index import PaperIndex, match_papers, meaningless_leaves
from service.topics.domain.types import Reason


def reasons_for(topic: str, paper: IndexedPaper) -> tuple[Reason, ...] | None:
    query = parse_query(topic)
    return match_query(query, paper, lexicon_of(query))


# --- what Postgres prints ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lexemes"),
    [
        ("", {}),
        ("'a':1", {"a": (1,)}),
        ("'a':1,20 'b c':3", {"a": (1, 20), "b c": (3,)}),
        ("'a':1A,2B,3C,4 'b':5A", {"a": (1, 2, 3, 4), "b": (5,)}),
        ("'a' 'b'", {"a": (), "b": ()}),
        (
            r"'a\\b':1 'it''s':2 '''':3 '\\\\':4",
            {"a\\b": (1,), "it's": (2,), "'": (3,), "\\\\": (4,)},
        ),
        ("'''a':1 'a'':b':2", {"'a": (1,), "a':b": (2,)}),
    ],
)
def test_a_printed_tsvector_is_parsed(text: str, lexemes: Lexemes) -> None:
    assert parse_tsvector(text) == lexemes


@pytest.mark.parametrize("text", ["a", "'a", "'a':", "'a':x", "'a':1,", "'a':1 b", "''", "'a':1;"])
def test_an_invalid_tsvector_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a tsvector at character"):
        parse_tsvector(text)


@given(
    st.dictionaries(
        st.text(st.sampled_from("ab '\\:,é世"), min_size=1),
        st.lists(st.integers(1, 16383), max_size=4).map(tuple),
    )
)
def test_any_lexeme_survives_a_round_trip(lexemes: Lexemes) -> None:
    def printed(lexeme: str, positions: tuple[int, ...]) -> str:
        quoted = "'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'"
        return quoted + (":" + ",".join(map(str, positions)) if positions else "")

    assert parse_tsvector(" ".join(printed(*each) for each in lexemes.items())) == lexemes


# --- one paper --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "is_match"),
    [
        ("prompt", True),
        ("prompt tuning", True),
        ("tuning prompt", True),
        ('"prompt tuning"', True),
        ('"tuning prompt"', False),
        ('"soft prompt tuning"', True),
        ('"soft tuning"', False),
        ('"state of the art"', True),
        ('"the state of the art"', True),
        ('"state the art"', False),
        ('"of state art"', False),
        ('"art the"', True),
        ('"very very deep"', True),
        ('"very deep very"', False),
        ("ti:prompt", True),
        ("abs:prompt", False),
        ("ti:state", False),
        ("abs:state", True),
        # A phrase must stand whole in one field; the title ends where the abstract begins.
        ('"tuning state"', False),
        ("prompt -state", False),
        ("prompt -graph", True),
        ("graph OR state", True),
        ("prompt NOT (graph OR state)", False),
        ("prompt NOT (graph state)", True),
        ("graph", False),
        ("prompt the", False),
        ("prompt -the", True),
        ("cat:cs.CL", True),
        ("cat:cs.*", True),
        ("cat:math", False),
        ("prompt -cat:cs", False),
        ("prompt -cat:math", True),
    ],
)
def test_a_topic_matches_the_papers_it_describes(topic: str, is_match: bool) -> None:
    paper = paper_of(
        "soft prompt tuning", "state of the art very very deep", categories=("cs.CL", "cs.LG")
    )
    assert (reasons_for(topic, paper) is not None) is is_match


def test_a_leaf_with_missing_lexemes_raises_an_error() -> None:
    with pytest.raises(KeyError, match="prompt"):
        match_query(parse_query("prompt"), paper_of("prompt"), {})


def test_only_leaves_without_a_lexeme_are_meaningless() -> None:
    query = parse_query('prompt The "of the" "state of the art" -(x OR y) cat:cs.CL')
    assert meaningless_leaves(query, lexicon_of(query)) == (
        Text("any", "The"),
        Text("any", "of the", is_phrase=True),
    )


# --- why --------------------------------------------------------------------------------------


def test_words_found_in_both_fields_give_a_reason_for_each() -> None:
    assert reasons_for("Deep", paper_of("deep", "very deep")) == (
        Reason("deep", "title", ("deep",)),
        Reason("deep", "abstract", ("deep",)),
    )


def test_a_reason_names_the_clause_the_field_and_the_words() -> None:
    paper = paper_of("a", "prompt tuning", categories=("cs.CL", "cs.LG", "math.NA"))
    assert reasons_for('abs:"Prompt Tuning" cat:cs ti:A', paper) == (
        Reason('abs:"prompt tuning"', "abstract", ("prompt tuning",)),
        Reason("cat:cs.*", "category", ("cs.CL", "cs.LG", "math.NA")),
        Reason("ti:a", "title", ("a",)),
    )


def test_a_clause_that_a_paper_lacks_is_no_reason() -> None:
    assert reasons_for("a -b", paper_of("a c")) == (Reason("a", "title", ("a",)),)


CIRCUMSTANCES = IndexedPaper(
    7,
    lexemes_of("optimal control"),
    lexemes_of("optimistic bounds"),
    ("Ada Lovelace",),
    frozenset({"cs.CL", "cs.LG"}),
    title_words=("control", "optimal"),
    abstract_words=("bounds", "optimistic"),
    sources=frozenset({"arxiv", "huggingface"}),
    primary_category="cs.LG",
    trend=94.4,
    is_cross=False,
    is_replaced=True,
)


@pytest.mark.parametrize(
    ("topic", "reasons"),
    [
        ("optim*", [("optim*", "title", ("optimal",)), ("optim*", "abstract", ("optimistic",))]),
        ("ti:optim*", [("ti:optim*", "title", ("optimal",))]),
        ("abs:optimi*", [("abs:optimi*", "abstract", ("optimistic",))]),
        ("src:hf", [("src:huggingface", "source", ("huggingface",))]),
        ("trend>90", [("trend>90", "trend", ("94",))]),
        ('like:"a text"', [('like:"a text"', "meaning", ())]),
        ("cat:cs.CL new:no", [("cat:cs.CL", "category", ("cs.CL",))]),
        ("(control OR x) replaced:only", [("control", "title", ("control",))]),
        ("control cross:no", [("control", "title", ("control",))]),
    ],
)
def test_clauses_other_than_words_give_reasons(
    topic: str, reasons: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    query = parse_query(topic)
    index = PaperIndex((CIRCUMSTANCES,), lexicon_of(query), {'like:"a text"': 1})
    ((paper_id, found),) = index.match(query)
    assert paper_id == 7
    assert [(reason.clause, reason.field, reason.words) for reason in found] == reasons


@pytest.mark.parametrize(
    "topic",
    [
        *("optimu*", "ti:optimi*", "src:biorxiv", "trend<90", 'bounds -like:"a text"'),
        *("cat:cs.LG cross:only", "cat:cs.CL new:only", "control cross:only"),
    ],
)
def test_a_clause_that_does_not_hold_does_not_match(topic: str) -> None:
    query = parse_query(topic)
    index = PaperIndex((CIRCUMSTANCES,), lexicon_of(query), {'like:"a text"': 1})
    assert list(index.match(query)) == []


def test_like_results_may_be_added_after_the_index_is_built() -> None:
    likes: dict[str, int] = {}
    index = PaperIndex((CIRCUMSTANCES,), {}, likes)
    query = parse_query("like:2507.17189")
    with pytest.raises(KeyError, match="like:arxiv:2507"):
        list(index.match(query))
    likes["like:arxiv:2507.17189"] = 1
    assert [paper_id for paper_id, _ in index.match(query)] == [7]


def test_clause_texts_are_taken_from_canonical_topics() -> None:
    topics = ["a -b", '(ti:"c d" OR abs:e*) au:"x y"', 'f* like:"g" cat:cs.CL trend>5 src:arxiv']
    assert clause_texts(topics) == {"a", "b", "c d"}


def test_a_branch_that_failed_gives_no_reason() -> None:
    assert reasons_for("(a b) OR c", paper_of("a c")) == (Reason("c", "title", ("c",)),)


def test_every_branch_that_held_gives_its_reasons() -> None:
    found = reasons_for("(a b) OR c OR d", paper_of("a b c"))
    assert found is not None
    assert [reason.clause for reason in found] == ["a", "b", "c"]


def test_an_author_is_found_by_name_and_by_initials() -> None:
    paper = paper_of("a", authors=("Yoshua Bengio", "Samy Bengio"))
    assert reasons_for('au:"Yoshua Bengio"', paper) == (
        Reason('au:"yoshua bengio"', "author", ("Yoshua Bengio",)),
    )
    assert reasons_for('au:"Y. Bengio"', paper) == (
        Reason('au:"y bengio"', "author", ("Yoshua Bengio",), is_guess=True),
    )
    assert reasons_for("au:bengio", paper) == (
        Reason("au:bengio", "author", ("Yoshua Bengio", "Samy Bengio"), is_guess=True),
    )
    assert reasons_for("au:hinton", paper) is None
    assert reasons_for("a -au:hinton", paper) == (Reason("a", "title", ("a",)),)


# --- a day ------------------------------------------------------------------------------------


def test_matches_come_in_the_order_of_topics_repeated_ones_included() -> None:
    papers = [paper_of("a b", paper_id=7), paper_of("b c", paper_id=9)]
    topics = [(3, parse_query("b a")), (1, parse_query("c")), (2, parse_query("A b"))]
    lexicon = lexicon_of(*(query for _, query in topics))
    assert [(topic, paper) for topic, paper, _ in match_papers(topics, papers, lexicon)] == [
        (3, 7),
        (1, 9),
        (2, 7),
    ]


def test_an_edition_without_papers_matches_nothing() -> None:
    query = parse_query("a -b")
    assert list(match_papers([(1, query)], [], lexicon_of(query))) == []


def test_an_edition_of_many_papers_matches_all_of_them() -> None:
    papers = [paper_of("a" if number % 7 else "b", paper_id=number) for number in range(500)]
    query = parse_query("a OR (b -c)")
    found = [paper for _, paper, _ in match_papers([(1, query)], papers, lexicon_of(query))]
    assert sorted(found) == list(range(500))


def test_a_tree_that_only_excludes_finds_no_bits_past_the_papers() -> None:
    """No subscriber can write this tree, but code can build it."""
    query = Not(Text("any", "a"))
    papers = [paper_of("a"), paper_of("b", paper_id=2)]
    assert list(match_papers([(1, query)], papers, lexicon_of(query))) == [(1, 2, ())]


def test_the_order_of_topics_changes_no_result() -> None:
    queries = [parse_query(topic) for topic in ("a OR b", "a", "a OR b")]
    index = PaperIndex([paper_of("a"), paper_of("b", paper_id=2)], lexicon_of(*queries))
    answers = [sorted(index.match(query)) for query in queries]
    assert answers[0] == answers[2]
    assert [paper for paper, _ in answers[0]] == [1, 2]


@given(st.lists(TOPICS, max_size=6), PAPERS)
def test_matching_agrees_with_a_naive_evaluation(
    topics: list[Query], papers: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    indexed = [
        paper_of(title, abstract, categories=categories, paper_id=number)
        for number, (title, abstract, categories) in enumerate(papers)
    ]
    matched = {
        (topic, paper)
        for topic, paper, _ in match_papers(enumerate(topics), indexed, lexicon_of(*topics))
    }
    assert matched == {
        (topic, paper)
        for topic, query in enumerate(topics)
        for paper, fields in enumerate(papers)
        if naive_match(query, *fields)
    }


@given(TOPICS, PAPERS)
def test_reasons_are_sufficient_and_distinct(
    query: Query, papers: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    """The topic holds if only the clauses given as reasons are true."""
    for title, abstract, categories in papers:
        reasons = match_query(
            query, paper_of(title, abstract, categories=categories), lexicon_of(query)
        )
        if reasons is not None:
            assert reasons
            assert len(set(reasons)) == len(reasons)
            assert holds_with(query, {reason.clause for reason in reasons})


def holds_with(query: Query, clauses: set[str]) -> bool:
    if isinstance(query, And):
        return all(holds_with(each, clauses) for each in query.operands)
    if isinstance(query, Or):
        return any(holds_with(each, clauses) for each in query.operands)
    if isinstance(query, Not):
        return not holds_with(query.operand, clauses)
    return canonical(query) in clauses
