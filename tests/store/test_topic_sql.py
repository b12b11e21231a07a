"""A topic means the same in memory and in Postgres: every pair of topic and paper agrees."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session, aliased

from service.domain.author_index import author_index_keys
from service.domain.categories import canonical_category, is_known
from service.domain.matching import IndexedPaper, match_day, match_query, meaningless_leaves
from service.domain.query import Query, QueryError, leaf_texts, parse_query
from service.store.models import PaperRow
from service.store.reading import index_papers
from service.store.topic_sql import fetch_lexemes, to_sql

NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)

# Tokens at which a text search parser turns corners: compounds, numbers, addresses, markup.
PIECES = [
    *("the", "of", "and", "a", "is", "model", "Models", "modelling", "graph", "neural", "network"),
    *("pre-trained", "state-of-the-art", "GPT-4", "gpt-4o", "4", "3D", "2.5", "-1", "1e5", "x_y"),
    *("C++", "don't", "Schrödinger's", "ÉCOLE", "école", "世界", "α", "ΣΑΣ", "naïve-Bayes", "İ"),
    *("https://arxiv.org/abs/1", "arxiv.org", "me@example.org", "a/b/c", "v1.2.3", "AC/DC"),
    *("<b>bold</b>", "&amp;", "&", "...", "$x^2$", r"\alpha", "%", "(see", "x)", "--", "“so”", ":"),
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
    st.sampled_from([*AUTHORS, "bengio", "Smith, John", "y bengio", "HE"]).map(
        lambda name: f'au:"{name}"'
    ),
)
TOPICS = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.tuples(parts, parts).map(lambda pair: f"({pair[0]} {pair[1]})"),
        st.tuples(parts, parts).map(lambda pair: f"({pair[0]} OR {pair[1]})"),
        st.tuples(parts, parts).map(lambda pair: f"({pair[0]} -{pair[1]})"),
        st.tuples(parts, parts).map(lambda pair: f"(model OR {pair[0]}) NOT (graph {pair[1]})"),
    ),
    max_leaves=10,
).map(parse_query)

Draft = tuple[str, str, Sequence[str], Sequence[str]]


def store_papers(session: Session, drafts: Iterable[Draft]) -> list[IndexedPaper]:
    """Fresh rows for these papers only, read back the way the day's index is read."""
    session.execute(text("TRUNCATE papers CASCADE"))
    rows = [_row(number, *draft) for number, draft in enumerate(drafts)]
    ids = session.scalars(insert(PaperRow).returning(PaperRow.id), rows).all()
    return index_papers(session, ids)


def _row(
    number: int, title: str, abstract: str, authors: Sequence[str], categories: Sequence[str]
) -> dict[str, Any]:
    keys = {key for name in authors for key in author_index_keys(name)}
    return {
        "key": f"test:{number}",
        "source": "test",
        "identifier": str(number),
        "version": 1,
        "title": title,
        "title_raw": title,
        "abstract": abstract,
        "abstract_raw": abstract,
        "authors": list(authors),
        "author_keys": sorted(keys),
        "categories": sorted({canonical_category(code) for code in categories}),
        "created_at": NOW,
        "updated_at": NOW,
    }


def pairs_in_memory(
    session: Session, topics: Sequence[Query], papers: Sequence[IndexedPaper]
) -> set[tuple[int, int]]:
    lexicon = fetch_lexemes(session, {leaf for query in topics for leaf in leaf_texts(query)})
    return {(topic, paper) for topic, paper, _ in match_day(enumerate(topics), papers, lexicon)}


def pairs_in_postgres(session: Session, topics: Sequence[Query]) -> set[tuple[int, int]]:
    return {
        (topic, paper)
        for topic, query in enumerate(topics)
        for paper in session.scalars(select(PaperRow.id).where(to_sql(query)))
    }


def test_memory_and_postgres_agree_on_generated_papers(session: Session) -> None:
    @settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(PAPERS, st.lists(TOPICS, min_size=1, max_size=12))
    def agree(drafts: list[Draft], topics: list[Query]) -> None:
        papers = store_papers(session, drafts)
        assert pairs_in_memory(session, topics, papers) == pairs_in_postgres(session, topics)

    agree()


def test_the_corners_of_the_text_parser_are_found_by_their_own_words(session: Session) -> None:
    papers = store_papers(session, [(f"a {piece} z", piece, (), ()) for piece in PIECES])
    silent = set()
    for piece, paper in zip(PIECES, papers, strict=True):
        query = parse_query(f'"{piece}"' if "“" not in piece else piece)
        lexicon = fetch_lexemes(session, leaf_texts(query))
        if meaningless_leaves(query, lexicon):
            silent.add(piece)
        else:
            assert match_query(query, paper, lexicon) is not None, piece
    # Stop words, in any guise, and bare marks.
    assert silent == {
        *("the", "of", "and", "a", "is", "don't", "“so”", "İ"),
        *("&amp;", "&", "...", "%", "--", ":"),
    }


def test_a_phrase_of_the_greatest_length_agrees(session: Session) -> None:
    phrases = ["x " * 127 + "x", "x " * 127 + "y", "x-" * 127 + "x", "/a" * 127, "a." * 127 + "a"]
    papers = store_papers(session, [(phrase, "x " * 300, (), ()) for phrase in phrases])
    topics = [parse_query(f'"{phrase}"') for phrase in phrases]
    pairs = pairs_in_postgres(session, topics)
    assert pairs_in_memory(session, topics, papers) == pairs
    assert {(number, paper.paper_id) for number, paper in enumerate(papers)} <= pairs


def test_a_topic_may_ask_an_alias_of_the_table(session: Session) -> None:
    first, second = store_papers(session, [("graph", "", (), ("cs.CL",)), ("x", "", (), ())])
    other = aliased(PaperRow)
    found = session.scalars(select(other.id).where(to_sql(parse_query("graph cat:cs"), other)))
    assert found.all() == [first.paper_id]
    assert second.paper_id != first.paper_id


def test_lexemes_come_back_under_the_text_that_was_asked(session: Session) -> None:
    lexicon = fetch_lexemes(session, ["pre-trained models", "of the", "models"])
    assert lexicon == {
        "pre-trained models": {"pre-train": (1,), "pre": (2,), "train": (3,), "model": (4,)},
        "of the": {},
        "models": {"model": (1,)},
    }
    assert fetch_lexemes(session, []) == {}


def test_a_topic_can_use_the_indexes(session: Session) -> None:
    """Without sequential scans the plan must go through every GIN index, so each is usable."""
    session.execute(text("SET LOCAL enable_seqscan = off"))
    for clause, index in [
        ("ti:graph", "ix_papers_title_lexemes"),
        ('abs:"neural network"', "ix_papers_abstract_lexemes"),
        ("cat:cs", "ix_papers_categories"),
        ("au:bengio", "ix_papers_author_keys"),
    ]:
        statement = select(PaperRow.id).where(to_sql(parse_query(clause)))
        compiled = statement.compile(session.get_bind())
        plan = session.connection().exec_driver_sql(
            f"EXPLAIN {compiled.string}", compiled.construct_params()
        )
        assert index in "\n".join(line for (line,) in plan), clause


# --- real papers ------------------------------------------------------------------------------


def _real_drafts(real_data: Path, count: int) -> list[Draft]:
    with gzip.open(real_data / "bulk/dev/arxiv_cs.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in islice(lines, 0, 40 * count, 40)]
    return [
        (
            record["title"],
            record["abstract"],
            tuple(record["authors"]),
            # Some records carry MSC and ACM classes beside arXiv's own categories.
            tuple(code for code in record["categories"] if is_known(code)),
        )
        for record in records
    ]


def _real_topics(drafts: Sequence[Draft], count: int) -> Iterator[Query]:
    """Topics made of pieces of the papers themselves, so that many of them match."""
    chance = random.Random(11)  # the same topics in every run
    while count:
        topic = _real_topic(chance, drafts)
        try:
            query = parse_query(topic)
        except QueryError:
            continue
        count -= 1
        yield query


def _real_topic(chance: random.Random, drafts: Sequence[Draft]) -> str:
    shapes = ["{}", "{} {}", "{} -{}", "({} OR {}) {}", "{} NOT ({} OR {})", "({} {}) OR ({} -{})"]
    shape = chance.choice(shapes)
    return shape.format(*(_real_clause(chance, chance.choice(drafts)) for _ in range(5)))


def _real_clause(chance: random.Random, draft: Draft) -> str:
    title, abstract, authors, categories = draft
    kind = chance.random()
    if kind < 0.15 and categories:
        return f"cat:{chance.choice(categories)}"
    if kind < 0.3 and authors:
        name = chance.choice(authors)
        return f'au:"{chance.choice([name, name.split()[-1], name[0] + ". " + name.split()[-1]])}"'
    words = chance.choice([title, abstract]).split()
    start = chance.randrange(len(words))
    phrase = " ".join(words[start : start + chance.choice([1, 1, 2, 3])])
    return f'{chance.choice(["", "", "ti:", "abs:"])}"{phrase.translate(_NO_QUOTES)}"'


_NO_QUOTES = str.maketrans("", "", '"“”„‟')


@pytest.mark.real
def test_memory_and_postgres_agree_on_real_papers(session: Session, real_data: Path) -> None:
    drafts = _real_drafts(real_data, 400)
    papers = store_papers(session, drafts)
    topics = list(_real_topics(drafts, 600))
    pairs = pairs_in_postgres(session, topics)
    assert pairs_in_memory(session, topics, papers) == pairs
    # The comparison is worth something only where much was found.
    assert len({topic for topic, _ in pairs}) > 300
    assert len(pairs) > 3000
