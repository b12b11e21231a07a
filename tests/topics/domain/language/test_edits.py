"""Edits of topics: muting a clause excludes exactly that clause and keeps the text as typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.topics.domain.language import (
    And,
    Author,
    Category,
    Leaf,
    Not,
    Or,
    Query,
    QueryError,
    Text,
    canonical,
    parse_query,
)
from service.topics.domain.language.edits import (
    finds_all,
    follow_author,
    leaves_nothing,
    mute_clause,
    muted_clauses,
    parse_clause,
    write_muted,
)
from service.topics.domain.language.parser import MAX_CHARACTERS, MAX_CLAUSES, MAX_NESTING

SURVEY = Text("any", "survey")

WORDS = ["survey", "Prompt", "pre-trained", "or", "C++", "naïve"]
TEXTS = st.one_of(
    st.builds(Text, st.sampled_from(["any", "title", "abstract"]), st.sampled_from(WORDS)),
    st.builds(
        Text,
        st.sampled_from(["any", "title", "abstract"]),
        st.sampled_from(["prompt tuning", "OR", "x: y", "a (b)", "state-of-the-art *"]),
        st.just(True),
    ),
)
LEAVES: st.SearchStrategy[Leaf] = st.one_of(
    TEXTS,
    st.sampled_from(
        [Author("Y. Bengio"), Category("cs.*"), Category("cs.CL"), Category("math.MP")]
    ),
)
QUERIES: st.SearchStrategy[Query] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


def spell(query: Query) -> str:
    """Write a topic as a person might type it, with redundant parentheses."""
    if isinstance(query, Not):
        return f"NOT ({spell(query.operand)})"
    if isinstance(query, And):
        return " AND ".join(f"({spell(each)})" for each in query.operands)
    if isinstance(query, Or):
        return " OR ".join(spell(each) for each in query.operands)
    return canonical(query)


@given(QUERIES, LEAVES)
def test_a_muted_topic_means_the_topic_without_the_clause(query: Query, clause: Leaf) -> None:
    try:
        query = parse_query(spell(query))
    except QueryError:
        return  # a topic that only excludes is invalid
    text = spell(query)
    changed = write_muted(text, clause)
    assert canonical(parse_query(changed)) == canonical(mute_clause(parse_query(text), clause))
    assert text in changed
    assert write_muted(changed, clause) == changed


@given(QUERIES, LEAVES)
def test_leaves_nothing_is_true_only_if_no_paper_could_match(query: Query, clause: Leaf) -> None:
    """Checked on every possible paper, which is every consistent set of leaves."""
    if leaves_nothing(query, clause):
        leaves = sorted({*find_leaves(query), clause}, key=str)
        for chosen in range(2 ** len(leaves)):
            held = {leaf for n, leaf in enumerate(leaves) if chosen >> n & 1}
            if is_possible(held, leaves):
                assert not (holds(query, held) and not holds(clause, held))


def find_leaves(query: Query) -> set[Leaf]:
    if isinstance(query, And | Or):
        return set().union(*(find_leaves(each) for each in query.operands))
    return find_leaves(query.operand) if isinstance(query, Not) else {query}


def same(leaf: Leaf) -> str:
    return canonical(leaf)


def is_possible(held: set[Leaf], leaves: list[Leaf]) -> bool:
    """Return whether a paper can satisfy just these: a word in a field is also a word anywhere."""
    named = {same(leaf) for leaf in held}
    for leaf in leaves:
        is_held = leaf in held
        if is_held is not (same(leaf) in named):
            return False
        if (
            is_held
            and isinstance(leaf, Text)
            and leaf.field != "any"
            and any(
                isinstance(other, Text)
                and other not in held
                and same(other) == same(Text("any", leaf.text, leaf.is_phrase))
                for other in leaves
            )
        ):
            return False
    return True


def holds(query: Query, held: set[Leaf]) -> bool:
    if isinstance(query, And):
        return all(holds(each, held) for each in query.operands)
    if isinstance(query, Or):
        return any(holds(each, held) for each in query.operands)
    return not holds(query.operand, held) if isinstance(query, Not) else query in held


@pytest.mark.parametrize(
    ("topic", "words", "after"),
    [
        ("Retrieval", "survey", "Retrieval -survey"),
        ("retrieval OR Agents", "survey", "(retrieval OR Agents) -survey"),
        ("(retrieval OR agents)", "survey", "(retrieval OR agents) -survey"),
        ("(a) (b OR c)", "survey", "(a) (b OR c) -survey"),
        ("llm, agents;", "survey", "llm, agents; -survey"),
        ("“Prompt  tuning”", "Soft prompts", '“Prompt  tuning” -"Soft prompts"'),
        ("retrieval", '"soft prompts"', 'retrieval -"soft prompts"'),
        ("retrieval", "ti:Survey", "retrieval -ti:Survey"),
        ("retrieval", "cat:cs.CV", "retrieval -cat:cs.CV"),
        ("retrieval", "au:Bengio", "retrieval -au:Bengio"),
        ("retrieval", "OR", "retrieval -or"),
        ("retrieval", "a -b (c", 'retrieval -"a -b (c"'),
        ("retrieval -survey", "Survey", "retrieval -survey"),
        ("NOT (survey OR x) y", "survey", "NOT (survey OR x) y"),
        ("retrieval NOT NOT agents", "survey", "retrieval NOT NOT agents -survey"),
    ],
)
def test_the_text_of_the_topic_stays_as_typed(topic: str, words: str, after: str) -> None:
    assert write_muted(topic, parse_clause(words)) == after


def test_a_topic_nested_too_deep_is_written_in_its_canonical_text() -> None:
    deep = "(" * MAX_NESTING + "b" + ")" * MAX_NESTING
    assert write_muted(f"a OR {deep}", SURVEY) == "(a OR b) -survey"


@pytest.mark.parametrize(
    "topic",
    [
        " ".join(f"{n:09d}" for n in range(MAX_CHARACTERS // 10)),
        " ".join(f"w{n}" for n in range(MAX_CLAUSES)),
    ],
)
def test_a_topic_of_the_greatest_length_refuses_another_clause(topic: str) -> None:
    parse_query(" ".join(topic.split()[:MAX_CLAUSES]))
    with pytest.raises(QueryError, match="at most"):
        write_muted(topic, SURVEY)


@pytest.mark.parametrize("words", ["", '""', " , ", "“”", "x" * 300, "-", "()"])
def test_text_that_is_no_clause_is_refused_or_quoted_as_a_phrase(words: str) -> None:
    if words.strip() in {"-", "()", ","}:
        assert parse_clause(words) == Text("any", words.strip(), is_phrase=True)
    else:
        with pytest.raises(QueryError):
            parse_clause(words)


def test_every_kind_of_clause_is_parsed() -> None:
    assert parse_clause("survey") == SURVEY
    assert parse_clause("prompt tuning") == Text("any", "prompt tuning", is_phrase=True)
    assert parse_clause('ti:"prompt tuning"') == Text("title", "prompt tuning", is_phrase=True)
    assert parse_clause("cat:cs.CV") == Category("cs.CV")
    assert parse_clause('say "cheese" now') == Text("any", "say cheese now", is_phrase=True)


@pytest.mark.parametrize(
    ("topic", "words", "is_nothing"),
    [
        ("survey", "Survey", True),
        ("retrieval survey", "survey", True),
        ("ti:survey OR abs:survey x", "survey", True),
        ("survey", "ti:survey", False),
        ("retrieval OR survey", "survey", False),
        ("retrieval -survey", "survey", False),
        ("surveys", "survey", False),
        ("au:Bengio", "au:Bengio", True),
        ("cat:cs.CL", "survey", False),
    ],
)
def test_muting_a_required_clause_leaves_nothing(topic: str, words: str, is_nothing: bool) -> None:
    assert leaves_nothing(parse_query(topic), parse_clause(words)) is is_nothing


def test_clauses_excluded_from_the_whole_topic_are_muted() -> None:
    topic = parse_query("a -survey NOT (ti:x OR cat:cs.CV) (b OR c -d)")
    assert muted_clauses(topic) == {SURVEY, Text("title", "x"), Category("cs.CV")}
    assert muted_clauses(parse_query("a OR b -c")) == frozenset()


def test_following_an_author_makes_a_new_topic() -> None:
    assert follow_author(' Yoshua "Y."  Bengio ') == 'au:"Yoshua Y. Bengio"'
    topic = parse_query(follow_author("Bengio, Yoshua"))
    assert finds_all(parse_query('au:"yoshua bengio"'), topic)
    assert finds_all(parse_query('au:"Yoshua Bengio" OR cat:cs.CL'), topic)
    assert not finds_all(parse_query('au:"Yoshua Bengio" cat:cs.CL'), topic)
    assert not finds_all(parse_query("au:Bengio"), topic)
    for name in ("", "  ", '""', "x" * 300):
        with pytest.raises(QueryError):
            follow_author(name)
