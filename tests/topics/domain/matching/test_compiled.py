"""Compiled topics: nothing of a topic's meaning is lost on the way into numbers and back."""

import pytest

from service.topics.domain.language import QueryError, canonical, parse_query
from service.topics.domain.language.syntax_tree import Announced, Text
from service.topics.domain.matching.bitsets import lay_out
from service.topics.domain.matching.bulk import StoredClauses, StoredForms
from service.topics.domain.matching.compiled import (
    USUAL,
    ClauseForm,
    Lexicon,
    compile_clause,
    compile_group,
    iterate_inner_clauses,
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
        ("a (b OR c d) (e OR (f OR g) -h)", (USUAL, "(b OR c d)", "((f OR g) -h OR e)", "a")),
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


def test_places_survive_being_written() -> None:
    for clause in ("model", "ti:model", '"state of the art"', 'abs:"very very deep"'):
        leaf = read_clause(clause)
        assert isinstance(leaf, Text)
        places = lay_out(LEXICON[leaf.text])
        field, read = read_places(compile_clause(clause, LEXICON))
        assert read == places
        assert field == leaf.field


def test_stored_forms_are_found_by_the_texts_of_their_clauses() -> None:
    forms = StoredForms()
    forms.add([StoredClauses(ClauseKind.WORD, [4, 5], ["a", "b"], ["a", "b"])])
    assert len(forms) == 2
    assert forms["b"] == ClauseForm(ClauseKind.WORD, "b")
    with pytest.raises(KeyError, match="c"):
        forms["c"]
