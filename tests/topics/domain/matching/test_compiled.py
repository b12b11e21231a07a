"""Compiled topics: compiling a topic to clause ids and back keeps its meaning."""

import pytest

from service.topics.domain.language import QueryError, canonical, parse_query
from service.topics.domain.language.syntax_tree import Announced, Text
from service.topics.domain.matching.bitsets import phrase_offsets
from service.topics.domain.matching.bulk import CompiledTopics, StoredClauses
from service.topics.domain.matching.compiled import (
    DEFAULT_ANNOUNCEMENTS,
    CompiledClause,
    Lexicon,
    compile_clause,
    compile_group,
    iterate_inner_clauses,
    parse_clause,
    parse_places,
    split_topic,
)
from service.topics.domain.matching.paper_index import PaperIndex
from service.topics.domain.types import ClauseKind


@pytest.mark.parametrize(
    ("topic", "clauses"),
    [
        ("a", (DEFAULT_ANNOUNCEMENTS, "a")),
        ('"b c" cat:cs.CL -d', (DEFAULT_ANNOUNCEMENTS, '"b c"', "cat:cs.CL", "-d")),
        ("a OR b", (DEFAULT_ANNOUNCEMENTS, "(a OR b)")),
        ("(a OR b) c -d", (DEFAULT_ANNOUNCEMENTS, "(a OR b)", "c", "-d")),
        (
            "a (b OR c d) (e OR (f OR g) -h)",
            (DEFAULT_ANNOUNCEMENTS, "(b OR c d)", "((f OR g) -h OR e)", "a"),
        ),
        ('"(a" ")b OR"', (DEFAULT_ANNOUNCEMENTS, '"(a"', '")b or"')),
        ("a replaced:only", ("replaced:only", "a")),
        ("a cross:no replaced:", ("cross:no replaced:yes", "a")),
        (
            "cat:cs.CL (cat:math OR b) -cat:cs.LG cross:only",
            ("cross:only cat:cs.CL cat:math.*", "(b OR cat:math.*)", "cat:cs.CL", "-cat:cs.LG"),
        ),
        ("(a OR b) replaced:", ("replaced:yes", "(a OR b)")),
        ('like:"(a OR b)" src:hf', (DEFAULT_ANNOUNCEMENTS, 'like:"(a or b)"', "src:huggingface")),
    ],
)
def test_a_topic_is_split_into_its_conjunction(topic: str, clauses: tuple[str, ...]) -> None:
    announced, *rest = split_topic(canonical(parse_query(topic)))
    assert (announced, *sorted(rest)) == (clauses[0], *sorted(clauses[1:]))


def test_switches_are_followed_by_the_categories_of_the_topic() -> None:
    announced = split_topic(canonical(parse_query("a cat:math cat:cs.CL -cat:cs.LG cross:only")))
    assert parse_clause(announced[0]) == Announced(False, True, False, ("cs.CL", "math.*"))
    assert parse_clause("replaced:only") == Announced(False, False, True)


LEXICON: Lexicon = {
    "model": {"model": (1,)},
    "state of the art": {"art": (4,), "state": (1,)},
    "very very deep": {"deep": (3,), "veri": (1, 2)},
    "the": {},
}


@pytest.mark.parametrize(
    ("clause", "form"),
    [
        ("model", CompiledClause(ClauseKind.WORD, "model")),
        ("ti:model", CompiledClause(ClauseKind.PHRASE, "title\tmodel\t0")),
        ('"state of the art"', CompiledClause(ClauseKind.PHRASE, "any\tstate\t0\tart\t3")),
        (
            'abs:"very very deep"',
            CompiledClause(ClauseKind.PHRASE, "abstract\tveri\t0\tveri\t1\tdeep\t2"),
        ),
        ("the", CompiledClause(ClauseKind.PHRASE, "any")),
        ("au:bengio", CompiledClause(ClauseKind.AUTHOR, "g bengio\tt bengio")),
        ("cat:eess.SY", CompiledClause(ClauseKind.CATEGORY, "cs.SY\teess.SY")),
        ('like:"soft prompts"', CompiledClause(ClauseKind.LIKE, "soft prompts")),
        ("like:arxiv:2507.17189", CompiledClause(ClauseKind.LIKE, "arxiv:2507.17189")),
        ("optim*", CompiledClause(ClauseKind.OTHER)),
        ("trend>90", CompiledClause(ClauseKind.OTHER)),
        ("src:arxiv", CompiledClause(ClauseKind.OTHER)),
        ("cross:no cat:cs.CL", CompiledClause(ClauseKind.OTHER)),
    ],
)
def test_a_clause_is_compiled_to_its_look_up_keys(clause: str, form: CompiledClause) -> None:
    assert compile_clause(clause, LEXICON) == form


def test_a_compiled_group_keeps_its_structure_with_clause_ids() -> None:
    numbers = {"a": 7, "b": 8, '"c d"': 9}
    group = '(a OR b -"c d")'
    assert list(iterate_inner_clauses(group)) == ["a", "b", '"c d"']
    assert compile_group(group, numbers) == CompiledClause(ClauseKind.GROUP, "(\t7\tOR\t8\t-9\t)")


def test_an_invalid_clause_or_a_missing_lexeme_raises_an_error() -> None:
    with pytest.raises(QueryError):
        compile_clause("nosuchfield:x", LEXICON)
    with pytest.raises(KeyError, match="unheard"):
        compile_clause("unheard", LEXICON)


def test_kinds_without_keys_cannot_be_looked_up() -> None:
    index = PaperIndex([], {})
    with pytest.raises(ValueError, match="kind other"):
        index.clauses.find_compiled(CompiledClause(ClauseKind.OTHER))


def test_lexemes_and_distances_survive_a_round_trip() -> None:
    for clause in ("model", "ti:model", '"state of the art"', 'abs:"very very deep"'):
        leaf = parse_clause(clause)
        assert isinstance(leaf, Text)
        places = phrase_offsets(LEXICON[leaf.text])
        field, read = parse_places(compile_clause(clause, LEXICON))
        assert read == places
        assert field == leaf.field


def test_compiled_clauses_are_found_by_their_texts() -> None:
    forms = CompiledTopics()
    forms.add([StoredClauses(ClauseKind.WORD, [4, 5], ["a", "b"], ["a", "b"])])
    assert len(forms) == 2
    assert forms["b"] == CompiledClause(ClauseKind.WORD, "b")
    with pytest.raises(KeyError, match="c"):
        forms["c"]
