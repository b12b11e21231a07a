"""Matching in memory and in Postgres agree on every pair of topic and paper."""

from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.orm import Session, aliased
from support.matching import SWITCHES, Circumstances, Draft, Memory, pairs_in_postgres, store_papers
from support.oracles import match_query

from service.papers.domain.types import AnnounceType
from service.papers.store.models import Paper
from service.topics.domain.language import Query, leaf_texts, parse_query
from service.topics.domain.matching.paper_index import meaningless_leaves
from service.topics.store.to_sql import fetch_lexemes, to_sql

# Tokens that are edge cases of the text search parser: compounds, numbers, addresses, markup.
PIECES = [
    *("the", "of", "and", "a", "is", "model", "Models", "modelling", "graph", "neural", "network"),
    *("pre-trained", "state-of-the-art", "GPT-4", "gpt-4o", "4", "3D", "2.5", "-1", "1e5", "x_y"),
    *("C++", "don't", "Schrödinger's", "ÉCOLE", "école", "世界", "α", "ΣΑΣ", "naïve-Bayes", "İ"),
    *("https://arxiv.org/abs/1", "arxiv.org", "me@example.org", "a/b/c", "v1.2.3", "AC/DC"),
    *("<b>bold</b>", "&amp;", "&", "...", "$x^2$", r"\alpha", "%", "(see", "x)", "--", "“so”", ":"),
    *("“graph”", "model—network", "‘neural’", "state‑of‑the‑art", "∼4", "graph…", "don’t"),
]
CATEGORIES = ["cs.CL", "cs.LG", "math.NA", "eess.SY", "math-ph", "hep-th", "stat.ML"]
AUTHORS = [
    *("Yoshua Bengio", "Samy Bengio", "Y. Bengio", "Bengio", "Ludwig van Beethoven", "J. Smith"),
    *(
        "John A. Smith",
        "J. A. Smith",
        "John Smith Jr.",
        "José García-Márquez",
        "ATLAS Collaboration",
    ),
    *("Yann LeCun", "Kaiming He", "K. He", "Jean-Pierre Serre", "J.-P. Serre", "Madonna", "O'Neil"),
]


TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join)
PAPERS = st.lists(
    st.tuples(
        TEXTS,
        TEXTS,
        st.lists(st.sampled_from(AUTHORS), max_size=3),
        st.lists(st.sampled_from(CATEGORIES), max_size=3, unique=True),
        st.builds(
            Circumstances,
            st.sampled_from([("test",), ("arxiv",), ("arxiv", "huggingface")]),
            st.sampled_from([0.0, 50.0, 90.0, 90.0 + 5e-7, 91.5, 100.0]),
            st.sampled_from(["", *CATEGORIES]),
            st.sampled_from([None, AnnounceType.NEW, AnnounceType.CROSS, AnnounceType.LISTED]),
            st.booleans(),
        ),
    ),
    min_size=1,
    max_size=30,
)


def _clause(prefix: str) -> st.SearchStrategy[str]:
    phrases = st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map(" ".join)
    return phrases.map(lambda phrase: f'{prefix}"{phrase.replace("“", "").replace("”", "")}"')


LEAVES = st.one_of(
    _clause(""),
    _clause("ti:"),
    _clause("abs:"),
    st.sampled_from(["model", "graph", "the", "pre-trained", "c++", "arxiv.org", "2.5"]),
    st.sampled_from(["cat:cs", "cat:cs.*", "cat:cs.NA", "cat:math", "cat:math.MP", "cat:stat.ML"]),
    st.sampled_from(["mod*", "ti:pre-t*", "abs:gp*", "graph*", "schröd*", "x_*", "v1*", "ar*"]),
    st.sampled_from(
        ["src:arxiv", "src:hf", "src:biorxiv", 'like:"soft prompts"', "like:2507.17189"]
    ),
    st.sampled_from([f"trend{sign}{at}" for sign in (">", ">=", "<", "<=") for at in (50, 90)]),
    st.sampled_from([*AUTHORS, "bengio", "Smith, John", "y bengio", "HE"]).map(
        lambda name: f'au:"{name}"'
    ),
)
_UNSWITCHED = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.tuples(parts, parts).map(lambda pair: f"({pair[0]} {pair[1]})"),
        st.tuples(parts, parts).map(lambda pair: f"({pair[0]} OR {pair[1]})"),
        st.tuples(parts, parts).map(lambda pair: f"({pair[0]} -{pair[1]})"),
        st.tuples(parts, parts).map(lambda pair: f"(model OR {pair[0]}) NOT (graph {pair[1]})"),
    ),
    max_leaves=10,
)
TOPICS = st.tuples(_UNSWITCHED, st.sampled_from(SWITCHES)).map(" ".join).map(parse_query)


def plain(title: str, abstract: str = "", categories: Sequence[str] = ()) -> Draft:
    return title, abstract, (), categories, Circumstances()


def test_memory_and_postgres_agree_on_generated_papers(session: Session) -> None:
    @settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(PAPERS, st.lists(TOPICS, min_size=1, max_size=12))
    def agree(drafts: list[Draft], topics: list[Query]) -> None:
        papers = store_papers(session, drafts)
        assert Memory(papers).find_pairs(session, topics) == pairs_in_postgres(session, topics)

    agree()


def test_edge_cases_of_the_text_search_parser_are_found_by_their_own_words(
    session: Session,
) -> None:
    papers = store_papers(session, [plain(f"a {piece} z", piece) for piece in PIECES])
    silent = set()
    for piece, paper in zip(PIECES, papers, strict=True):
        query = parse_query(f'"{piece}"' if "“" not in piece else piece)
        lexicon = fetch_lexemes(session, leaf_texts(query))
        if meaningless_leaves(query, lexicon):
            silent.add(piece)
        else:
            assert match_query(query, paper, lexicon) is not None, piece
    # Stop words in any spelling, and bare punctuation.
    assert silent == {
        *("the", "of", "and", "a", "is", "don't", "don’t", "“so”", "İ"),
        *("&amp;", "&", "...", "%", "--", ":"),
    }


def test_typographic_signs_are_no_part_of_a_word(session: Session) -> None:
    title = "“Graphs” and ‘models’—neural… ≈4 state‑of‑the‑art «networks»，世界"
    store_papers(session, [plain(title)])
    for topic in (
        'graph "models neural" 4 network 世界 "state-of-the-art" mode*',
        "“graphs and models”",
        'ti:"models—neural"',
    ):
        query = parse_query(topic)
        assert len(pairs_in_postgres(session, [query])) == 1, topic


def test_a_phrase_of_the_greatest_length_agrees(session: Session) -> None:
    phrases = ["x " * 127 + "x", "x " * 127 + "y", "x-" * 127 + "x", "/a" * 127, "a." * 127 + "a"]
    papers = store_papers(session, [plain(phrase, "x " * 300) for phrase in phrases])
    topics = [parse_query(f'"{phrase}"') for phrase in phrases]
    pairs = pairs_in_postgres(session, topics)
    assert Memory(papers).find_pairs(session, topics) == pairs
    assert {(number, paper.paper_id) for number, paper in enumerate(papers)} <= pairs


def test_a_topic_can_be_compiled_for_an_alias_of_the_table(session: Session) -> None:
    first, second = store_papers(session, [plain("graph", "", ("cs.CL",)), plain("x")])
    other = aliased(Paper)
    found = session.scalars(select(other.id).where(to_sql(parse_query("graph cat:cs"), other)))
    assert found.all() == [first.paper_id]
    assert second.paper_id != first.paper_id


def test_lexemes_are_returned_by_the_given_text(session: Session) -> None:
    lexicon = fetch_lexemes(session, ["pre-trained models", "of the", "models"])
    assert lexicon == {
        "pre-trained models": {"pre-train": (1,), "pre": (2,), "train": (3,), "model": (4,)},
        "of the": {},
        "models": {"model": (1,)},
    }
    assert fetch_lexemes(session, []) == {}


def test_a_topic_can_use_the_indexes(session: Session) -> None:
    """Without sequential scans the plan must use every GIN index, so each one is usable."""
    session.execute(text("SET LOCAL enable_seqscan = off"))
    # With few rows the planner may use any index, and this one would do for every topic.
    session.execute(text("DROP INDEX ix_papers_first_announced_on"))
    for clause, index in [
        ("ti:graph", "ix_papers_title_lexemes"),
        ('abs:"neural network"', "ix_papers_abstract_lexemes"),
        ("ti:graph*", "ix_papers_title_words"),
        ("abs:net*", "ix_papers_abstract_words"),
        ("cat:cs", "ix_papers_categories"),
        ("au:bengio", "ix_papers_author_keys"),
    ]:
        statement = select(Paper.id).where(to_sql(parse_query(clause)))
        compiled = statement.compile(session.get_bind())
        plan = session.connection().exec_driver_sql(
            f"EXPLAIN {compiled.string}", compiled.construct_params()
        )
        assert index in "\n".join(line for (line,) in plan), clause


# --- real papers ------------------------------------------------------------------------------
