"""The topic language: valid topics, errors with positions, and one canonical text for equal topics."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.topics.domain.language import (
    And,
    Announced,
    Author,
    Category,
    Leaf,
    Like,
    Not,
    Or,
    Query,
    QueryError,
    Text,
    TrendLimit,
    canonical,
    canonical_pattern,
    like_leaves,
    parse_query,
    wants_replaced,
)
from service.topics.domain.language.canonical import normalize
from service.topics.domain.language.parser import MAX_NESTING
from service.topics.domain.language.syntax_tree import (
    COMPARE,
    fold_words,
    iterate_leaves,
    push_negations,
)

A, B, C, D = (Text("any", name) for name in "abcd")


@pytest.mark.parametrize(
    ("topic", "tree"),
    [
        ("a", A),
        ("a b", And((A, B))),
        ("a AND b", And((A, B))),
        ("a and b", And((A, Text("any", "and"), B))),
        ("a OR b", Or((A, B))),
        ("a b OR c d", Or((And((A, B)), And((C, D))))),
        ("a (b OR c) d", And((A, Or((B, C)), D))),
        ("a -b", And((A, Not(B)))),
        ("a NOT b", And((A, Not(B)))),
        ("a AND NOT (b OR c)", And((A, Not(Or((B, C)))))),
        ("a -(b c)", And((A, Not(And((B, C)))))),
        ("NOT NOT a", A),
        ("a (b (c d))", And((A, B, C, D))),
        ("pre-trained", Text("any", "pre-trained")),
        ("llm, agents;", And((Text("any", "llm"), Text("any", "agents")))),
        ("a , b", And((A, B))),
        ("10:30", Text("any", "10:30")),
        ('"prompt  tuning"', Text("any", "prompt tuning", is_phrase=True)),
        ("“prompt tuning”", Text("any", "prompt tuning", is_phrase=True)),
        ("„prompt\ttuning“", Text("any", "prompt tuning", is_phrase=True)),
        ('"NOT ti:x* (y)"', Text("any", "NOT ti:x* (y)", is_phrase=True)),
        ('a"b"-c', And((A, Text("any", "b", is_phrase=True), Not(C)))),
        ("ti:AND", Text("title", "AND")),
        ("TI:a", Text("title", "a")),
        ('ti:"a b"', Text("title", "a b", is_phrase=True)),
        ("-abs:a b", And((Not(Text("abstract", "a")), B))),
        ('au:"Bengio, Yoshua"', Author("Bengio, Yoshua")),
        ("au:bengio", Author("bengio")),
        ("cat:cs.CL", Category("cs.CL")),
        ('cat:"cs.CL"', Category("cs.CL")),
        ("cat:cs.*", Category("cs.*")),
        ("cat:cs", Category("cs")),
        ("a\x00b", And((A, B))),
        ("a\u200bb\ufeff", And((A, B))),
    ],
)
def test_a_topic_is_parsed_as_written(topic: str, tree: Query) -> None:
    assert parse_query(topic) == tree


@pytest.mark.parametrize(
    ("topic", "position", "length", "message", "suggestion"),
    [
        ("", 0, 1, "empty", "Say what you want"),
        (" \t\x00, ", 0, 1, "empty", "Say what you want"),
        ("-foo", 0, 1, "only says what it excludes", "then what you don't"),
        ("NOT (a b)", 0, 3, "only says what it excludes", "then what you don't"),
        ("a OR -b", 5, 1, "only says what it excludes", "then what you don't"),
        ("-cat:cs.CL -a", 0, 1, "only says what it excludes", "then what you don't"),
        ("a AND", 2, 3, "AND needs something after it", ""),
        ("a OR (b AND)", 8, 3, "AND needs something after it", ""),
        ("a NOT", 2, 3, "NOT needs something after it", ""),
        ("a NOT OR b", 2, 3, "NOT needs something after it", ""),
        ("OR a", 0, 2, "OR needs something before it", ""),
        ("a (AND b)", 3, 3, "AND needs something before it", ""),
        ("a OR OR b", 2, 2, "OR needs something after it", ""),
        ("a (b", 2, 1, "never closed", ""),
        ("a (", 2, 1, "never closed", ""),
        ("a)", 1, 1, "never opened", ""),
        (")", 0, 1, "never opened", ""),
        ("a ()", 2, 1, "nothing between these parentheses", ""),
        ("a - b", 2, 1, "minus", "-survey"),
        ("a --b", 2, 1, "minus", "-survey"),
        ("(a -)", 3, 1, "minus", "-survey"),
        ("a -", 2, 1, "minus", "-survey"),
        ('a "b', 2, 1, "quote is never closed", 'Add a "'),
        ('a ""', 2, 2, "nothing between these quotes", ""),
        ("a foo:b", 2, 4, "no field foo:", '"foo:b"'),
        ("title:a", 0, 6, "no field title:", "Did you mean ti:?"),
        ("authr:a", 0, 6, "no field authr:", "Did you mean au:?"),
        ("abd:a", 0, 4, "no field abd:", "Did you mean abs:?"),
        ("foo:a", 0, 4, "the fields are ti: abs: au: cat:", ""),
        ('like:"..."', 0, 10, "like: needs words", "like:2507.17189"),
        ("like:" + "ab" * 1001, 0, 2007, "at most 2,000 characters", ""),
        (
            "like:" + ",".join(f"2507.{n:05d}" for n in range(1, 22)),
            0,
            235,
            "names at most 20 papers",
            "",
        ),
        ("a similar:b", 2, 8, "no field similar:", "Did you mean like:?"),
        ("src:arxv", 4, 4, "no source arxv", "Did you mean src:arxiv?"),
        ("a src:zzz", 6, 3, "arxiv, biorxiv, huggingface, medrxiv", "src:arxiv"),
        ("(a cross:no)", 3, 8, "concerns the whole topic", "outside the parentheses"),
        ("a cross:maybe", 2, 11, "yes, no or only", "cross:only"),
        ("a -cross:no", 3, 8, "yes, no or only", "cross:no"),
        ("a -cross:only", 3, 10, "yes, no or only", "cross:no"),
        ("a new:no -cross:", 10, 6, "exclude every announcement", "Leave one"),
        ("replaced:only", 0, 13, "only says how its papers are announced", "what you want"),
        ("cross: -a", 7, 1, "only says what it excludes", "what you want"),
        ("ti: a", 0, 3, "right after it", "ti:word"),
        ("a ti:(b)", 2, 3, "right after it", "ti:word"),
        ("ti:,", 0, 3, "right after it", "ti:word"),
        ("trans*form", 5, 1, "star", '"trans*form"'),
        ("ti:*form", 3, 1, "star", "optimi*"),
        ("a t*", 2, 2, "at least 2 letters", ""),
        ("au:beng*", 7, 1, "star", "au:bengio"),
        ("a year>5", 2, 6, "only condition", '"year>5"'),
        ("a trend>x", 2, 7, "only condition", '"trend>x"'),
        ("a trend > 5.5", 2, 7, "only condition", "trend>90"),
        ("trend>101", 6, 3, "from 0 to 100", "trend>90"),
        ("a cat:cs.CLL", 6, 6, "no category cs.CLL", "Did you mean cat:cs.CL?"),
        ("cat:cs.CL.*", 4, 7, "no category cs.CL.*", "Did you mean cat:cs.CL?"),
        ("cat:zzzzzzzzz", 4, 9, "no category zzzzzzzzz", "cat:hep-th"),
        ("au:...", 0, 6, "no name", ""),
        ("a \ud800", 2, 1, "half a character", ""),
        ("a " + "x" * 256, 2, 256, "at most 255 characters", ""),
        ("a " + "\U0001d160" * 100, 2, 100, "at most 255 characters", ""),
        ("au:" + "\ufdfa" * 20, 0, 23, "at most 255 characters", ""),
        ("a " * 200 + "b", 400, 1, "at most 200", ""),
        ("(" * 51 + "a" + ")" * 51, 50, 1, "at most 50 deep", ""),
        ("x" * 4097, 4096, 1, "at most 4,096 characters", ""),
    ],
)
def test_an_error_has_its_position_and_reason(
    topic: str, position: int, length: int, message: str, suggestion: str
) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(topic)
    error = caught.value
    assert (error.position, error.length) == (position, length)
    assert message in error.message
    assert suggestion in error.suggestion
    assert bool(suggestion) <= bool(error.suggestion)
    assert f"(character {position + 1})" in str(error)


def test_an_error_without_a_similar_word_has_no_wrong_suggestion() -> None:
    with pytest.raises(QueryError) as caught:
        parse_query("a AND")
    assert caught.value.suggestion == ""
    assert str(caught.value) == "AND needs something after it (character 3)."


@pytest.mark.parametrize(
    ("topic", "rendered"),
    [
        ("a b)", "a b)\n   ^"),
        ("a\tfoo:b", "a foo:b\n  ^^^^"),
        ("世界 foo:b", "世界 foo:b\n     ^^^^"),
        ("e\u0301e foo:b", "e\u0301e foo:b\n   ^^^^"),
        ("世界:b", "世界:b\n^^^^^"),
        ("", "\n^"),
        ("b" * 50 + ")" + "c" * 50, "… " + "b" * 36 + ")" + "c" * 35 + " …\n" + " " * 38 + "^"),
        ('"' + "a" * 256 + '"', '"' + "a" * 35 + " …\n" + "^" * 24),
    ],
)
def test_the_caret_is_under_the_error(topic: str, rendered: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(topic)
    assert caught.value.render() == rendered


@pytest.mark.parametrize(
    ("topic", "text"),
    [
        ("b a", "a b"),
        ("b AND a AND b", "a b"),
        ("b OR (a OR b)", "a OR b"),
        ("a -b c", "a c -b"),
        ("a NOT (c OR b)", "a -b -c"),
        ("a -(b c)", "a (-b OR -c)"),
        ("c OR a b", "a b OR c"),
        ("a (b a)", "a b"),
        ("(a OR b) (b OR a)", "a OR b"),
        ("c OR (a OR b) (b OR a)", "a OR b OR c"),
        ("Prompt PROMPT prompt", "prompt"),
        ('"GPT" gpt "and" "AND"', "and gpt"),
        ('ti:"Prompt  Tuning"', 'ti:"prompt tuning"'),
        ("cafe\u0301 CAFÉ", "café"),
        ('"C++" c#', "c# c++"),
        ('x "-y"', '"-y" x'),
        ("cat:cs cat:CS.*", "cat:cs.*"),
        ("cat:cs.NA OR cat:math.NA", "cat:math.NA"),
        ("cat:math.MP", "cat:math-ph"),
        ("cat:hep-th", "cat:hep-th"),
        ("cat:cmp-lg", "cat:cs.CL"),
        ('au:"Yoshua BENGIO" au:"yoshua  bengio"', 'au:"yoshua bengio"'),
        ("abs:a ti:a a", "a abs:a ti:a"),
        ("OPTIMI* ti:Pre-Train*", "optimi* ti:pre-train*"),
        ('"optimi*"', '"optimi*"'),
        ("trend > 090 Trend<=5%", "trend<=5 trend>90"),
        ("-trend>90 a", "a -trend>90"),
        ("src:HF OR src:arXiv", "src:arxiv OR src:huggingface"),
        ('like:"Soft  Prompts" like:soft', 'like:"soft prompts" like:"soft"'),
        ("like:https://arxiv.org/abs/2507.17189v2", "like:arxiv:2507.17189"),
        ("like:2507.17189", "like:arxiv:2507.17189"),
        ("like:2508.00002,2507.17189v2,", "like:arxiv:2507.17189,arxiv:2508.00002"),
        ('like:"2508.00002, 2507.17189"', "like:arxiv:2507.17189,arxiv:2508.00002"),
        ("like:arxiv:math.CA/0611800", "like:arxiv:math/0611800"),
        ("-like:soft a", 'a -like:"soft"'),
        ("like:biorxiv:10.1101/2020.01.02.123456", "like:biorxiv:10.1101/2020.01.02.123456"),
        ("like:speech:recognition", 'like:"speech:recognition"'),
        ('like:"note: a text"', 'like:"note: a text"'),
        ("(a cat:cs.CL OR b cat:cs.LG) new:no", "(a cat:cs.CL OR b cat:cs.LG) cross:only"),
        ("a new: cross:yes replaced:off", "a"),
        ("cross:no a", "a new:only"),
        ("a OR b -cross:", "(a OR b) new:only"),
        ("a AND cross:no AND b", "a b new:only"),
        ("a AND replaced:", "a replaced:yes"),
        ("a replaced:only", "a replaced:only"),
        ("a new:no", "a cross:only"),
        ("a cross:no replaced:on", "a cross:no replaced:yes"),
        ("a NOT NOT cross: new:no replaced:", "a new:no replaced:yes"),
    ],
)
def test_equal_topics_have_one_canonical_text(topic: str, text: str) -> None:
    assert canonical(parse_query(topic)) == text
    assert canonical(parse_query(text)) == text


def test_a_topic_too_long_in_its_canonical_text_is_refused() -> None:
    # The NFC form of U+1D160 is three times as long, so 4,096 characters may become more.
    topic = " ".join("\U0001d160" * 19 + f"{number:03}" for number in range(150))
    assert len(topic) < 4096 < len(fold_words(topic))
    with pytest.raises(QueryError, match="too long once it is written out"):
        parse_query(topic)


def test_an_archive_pattern_and_its_bare_name_are_one_category() -> None:
    assert canonical_pattern("astro-ph") == canonical_pattern("ASTRO-PH.*") == "astro-ph.*"
    assert canonical_pattern("quant-ph.*") == canonical_pattern("quant-ph") == "quant-ph"


def test_the_categories_of_a_topic_are_its_home_wherever_they_stand() -> None:
    query = normalize(parse_query("(a cat:cs.CL OR b cat:math.MP) -cat:cs.LG cross:no"))
    (announced,) = [leaf for leaf in iterate_leaves(query) if isinstance(leaf, Announced)]
    assert announced == Announced(cross=False, home=("cs.CL", "math-ph"))


def test_like_clauses_are_returned_by_canonical_text() -> None:
    query = parse_query('a like:"Soft  Prompts" -like:2507.17189')
    assert like_leaves(query) == {
        'like:"soft prompts"': Like("soft prompts"),
        "like:arxiv:2507.17189": Like("arxiv:2507.17189", is_key=True),
    }
    assert like_leaves(parse_query("a OR b")) == {}


@pytest.mark.parametrize(
    ("topic", "is_wanted"), [("a", False), ("a cross:", False), ("a replaced:", True)]
)
def test_only_a_topic_that_says_so_wants_replacements(topic: str, is_wanted: bool) -> None:
    assert wants_replaced(parse_query(topic)) is is_wanted


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("trend>90", [91.5, 100.0]),
        ("trend>=90", [90.0, 90.0 + 5e-7, 91.5, 100.0]),
        ("trend<90", [0.0]),
        ("trend<=90", [0.0, 90.0, 90.0 + 5e-7]),
    ],
)
def test_the_tie_breaker_of_trends_changes_no_comparison(
    condition: str, wanted: list[float]
) -> None:
    leaf = parse_query(condition)
    assert isinstance(leaf, TrendLimit)
    trends = [0.0, 90.0, 90.0 + 5e-7, 91.5, 100.0]
    compare = COMPARE[leaf.comparison]
    assert [trend for trend in trends if compare(trend, leaf.limit)] == wanted


LEAVES = [
    *("a", "b", "c", '"d e"', "ti:a", 'abs:"f-g h"', "au:smith", 'au:"J. Smith"', "cat:cs.CL"),
    *("op*", "abs:op*", "src:arxiv", "trend>90", "trend<=5", 'like:"a text"', "like:2507.17189"),
]


def _nested(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.tuples(parts, parts)
    return st.one_of(
        pairs.map(lambda pair: f"({pair[0]} {pair[1]})"),
        pairs.map(lambda pair: f"{pair[0]} AND {pair[1]}"),
        pairs.map(lambda pair: f"({pair[0]} OR {pair[1]})"),
        parts.map(lambda part: f"(w -({part}))"),
        parts.map(lambda part: f"(w OR x NOT ({part}))"),
    )


TOPICS = st.recursive(st.sampled_from(LEAVES), _nested, max_leaves=25)


def _is_true(query: Query, true_clauses: set[str]) -> bool:
    if isinstance(query, And):
        return all(_is_true(each, true_clauses) for each in query.operands)
    if isinstance(query, Or):
        return any(_is_true(each, true_clauses) for each in query.operands)
    if isinstance(query, Not):
        return not _is_true(query.operand, true_clauses)
    return canonical(query) in true_clauses


def _clauses(query: Query) -> set[str]:
    if isinstance(query, And | Or):
        return {clause for each in query.operands for clause in _clauses(each)}
    return _clauses(query.operand) if isinstance(query, Not) else {canonical(query)}


@given(TOPICS, st.randoms(use_true_random=False))
def test_canonical_text_keeps_the_meaning(topic: str, chance: random.Random) -> None:
    query = parse_query(topic)
    again = parse_query(canonical(query))
    for _ in range(20):
        true_clauses = {clause for clause in sorted(_clauses(query)) if chance.random() < 0.5}
        assert _is_true(query, true_clauses) == _is_true(again, true_clauses)


@given(TOPICS)
def test_canonical_text_is_a_fixed_point(topic: str) -> None:
    text = canonical(parse_query(topic))
    assert canonical(parse_query(text)) == text


@given(TOPICS)
def test_negations_end_up_on_leaves(topic: str) -> None:
    def check(query: Query) -> None:
        if isinstance(query, And | Or):
            for each in query.operands:
                assert type(each) is not type(query)
                check(each)
        elif isinstance(query, Not):
            assert isinstance(query.operand, Leaf)

    check(push_negations(parse_query(topic)))


@pytest.mark.parametrize("opening", ["a OR b (", "a b OR (", "a -b OR NOT (", "a NOT (b OR c ("])
def test_a_topic_nested_to_the_limit_has_a_canonical_text(opening: str) -> None:
    per_level = opening.count("(")
    levels = MAX_NESTING // per_level
    text = canonical(parse_query(opening * levels + "z" + ")" * (levels * per_level)))
    assert canonical(parse_query(text)) == text
