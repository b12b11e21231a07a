"""A topic means the same in memory and in Postgres: every pair of topic and paper agrees."""

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.orm import Session, aliased
from support.oracles import match_query

from service.papers.domain.author_keys import author_index_keys
from service.papers.domain.categories import canonical_category, is_known
from service.papers.domain.tsvector import Lexemes
from service.papers.domain.types import AnnounceType
from service.papers.store.models import PaperRow
from service.topics.domain.language import Query, QueryError, canonical, leaf_texts, parse_query
from service.topics.domain.matching.bitsets import Bits, iterate_bits
from service.topics.domain.matching.bulk import TopicSets
from service.topics.domain.matching.paper_index import IndexedPaper, PaperIndex, meaningless_leaves
from service.topics.store.index_rows import index_papers
from service.topics.store.read_compiled import get_stored_clauses, get_stored_topics
from service.topics.store.save_compiled import save_canonicals
from service.topics.store.to_sql import fetch_lexemes, to_sql

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


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How a paper came: nothing of it is in its text."""

    sources: tuple[str, ...] = ("test",)
    trend: float = 50.0
    primary_category: str = ""
    announced_as: AnnounceType | None = AnnounceType.NEW
    is_replaced: bool = False


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
SWITCHES = [
    *([""] * 5),
    *("cross:no", "new:no", "replaced:", "replaced:only", "cross:only", "replaced: new:no"),
]
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

Draft = tuple[str, str, Sequence[str], Sequence[str], Circumstances]
# Every third and every fourth paper, by its id: what really decides is tested with the meanings.
LIKES = {'like:"soft prompts"': (3, 1), "like:arxiv:2507.17189": (4, 1)}


def store_papers(session: Session, drafts: Iterable[Draft]) -> list[IndexedPaper]:
    """Fresh rows for these papers only, read back the way the day's index is read."""
    session.execute(text("TRUNCATE papers CASCADE"))
    rows = [_row(number, draft) for number, draft in enumerate(drafts)]
    ids = session.scalars(insert(PaperRow).returning(PaperRow.id), rows).all()
    return [
        replace(
            paper,
            is_first=row["first_announced_on"] is not None,
            is_replaced=row["replaced_on"] is not None,
        )
        for paper, row in zip(index_papers(session, ids), rows, strict=True)
    ]


def plain(title: str, abstract: str = "", categories: Sequence[str] = ()) -> Draft:
    return title, abstract, (), categories, Circumstances()


def _row(number: int, draft: Draft) -> dict[str, Any]:
    title, abstract, authors, categories, came = draft
    keys = {key for name in authors for key in author_index_keys(name)}
    return {
        "key": f"test:{number}",
        "source": "test",
        "sources": list(came.sources),
        "trend": came.trend,
        "primary_category": canonical_category(came.primary_category or "cs.CL")
        if came.primary_category
        else "",
        "announced_as": came.announced_as,
        "first_announced_on": NOW.date() if came.announced_as else None,
        "replaced_on": NOW.date() if came.is_replaced else None,
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


class Memory:
    """Some papers as the morning's match holds them, asked by texts and by stored forms."""

    def __init__(self, papers: Sequence[IndexedPaper]) -> None:
        likes = {
            clause: sum(1 << at for at, paper in enumerate(papers) if paper.paper_id % by < rest)
            for clause, (by, rest) in _likes()
        }
        self._lexicon: dict[str, Lexemes] = {}
        self._index = PaperIndex(papers, self._lexicon, likes)
        # Without a lexicon: what is found here, is found by the forms alone.
        self._sets = TopicSets(PaperIndex(papers, {}, likes))

    def find_pairs(self, session: Session, topics: Sequence[Query]) -> set[tuple[int, int]]:
        asked = {leaf for query in topics for leaf in leaf_texts(query)}
        self._lexicon.update(fetch_lexemes(session, asked - self._lexicon.keys()))
        found = [self._index.find(canonical(query)) for query in topics]
        assert self._find_stored(session, topics) == found
        ids = self._index.ids
        return {(number, ids[at]) for number, bits in enumerate(found) for at in iterate_bits(bits)}

    def _find_stored(self, session: Session, topics: Sequence[Query]) -> list[Bits]:
        """What composing finds: by the forms that were stored when the topics were saved."""
        texts, sets = [canonical(query) for query in topics], self._sets
        numbers = save_canonicals(session, texts)
        stored = get_stored_topics(session, numbers.values())
        clauses = get_stored_clauses(session, sets.lacking(stored))
        clauses += get_stored_clauses(session, sets.lacking_inside(clauses))
        sets.learn(clauses)
        found = {
            text: bits
            for some in stored
            for text, bits in zip(some.texts, sets.find_all(some), strict=True)
        }
        return [found[text] for text in texts]


def _likes() -> list[tuple[str, tuple[int, int]]]:
    return [(clause, (by, rest)) for clause, (by, rest) in LIKES.items()]


def pairs_in_postgres(session: Session, topics: Sequence[Query]) -> set[tuple[int, int]]:
    return {
        (topic, paper)
        for topic, query in enumerate(topics)
        for paper in session.scalars(
            select(PaperRow.id).where(
                to_sql(
                    query,
                    likes={clause: PaperRow.id % by < rest for clause, (by, rest) in _likes()},
                )
            )
        )
    }


def test_memory_and_postgres_agree_on_generated_papers(session: Session) -> None:
    @settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(PAPERS, st.lists(TOPICS, min_size=1, max_size=12))
    def agree(drafts: list[Draft], topics: list[Query]) -> None:
        papers = store_papers(session, drafts)
        assert Memory(papers).find_pairs(session, topics) == pairs_in_postgres(session, topics)

    agree()


def test_the_corners_of_the_text_parser_are_found_by_their_own_words(session: Session) -> None:
    papers = store_papers(session, [plain(f"a {piece} z", piece) for piece in PIECES])
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
    papers = store_papers(session, [plain(phrase, "x " * 300) for phrase in phrases])
    topics = [parse_query(f'"{phrase}"') for phrase in phrases]
    pairs = pairs_in_postgres(session, topics)
    assert Memory(papers).find_pairs(session, topics) == pairs
    assert {(number, paper.paper_id) for number, paper in enumerate(papers)} <= pairs


def test_a_topic_may_ask_an_alias_of_the_table(session: Session) -> None:
    first, second = store_papers(session, [plain("graph", "", ("cs.CL",)), plain("x")])
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
    # Among a handful of rows any index will do, and this one would serve every topic.
    session.execute(text("DROP INDEX ix_papers_first_announced_on"))
    for clause, index in [
        ("ti:graph", "ix_papers_title_lexemes"),
        ('abs:"neural network"', "ix_papers_abstract_lexemes"),
        ("ti:graph*", "ix_papers_title_words"),
        ("abs:net*", "ix_papers_abstract_words"),
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
        step = 36_000 // count
        records = [json.loads(line) for line in islice(lines, 0, step * count, step)]
    return [_real_draft(number, record) for number, record in enumerate(records)]


def _real_draft(number: int, record: dict[str, Any]) -> Draft:
    """A real paper; how it came is not in the archive and is made up, the same in every run."""
    # Some records carry MSC and ACM classes beside arXiv's own categories.
    categories = tuple(code for code in record["categories"] if is_known(code))
    came = Circumstances(
        sources=("arxiv", "huggingface") if number % 7 == 0 else ("arxiv",),
        trend=number * 37 % 1000 / 10,
        primary_category=categories[0] if categories else "",
        announced_as=[AnnounceType.NEW, AnnounceType.NEW, AnnounceType.CROSS, None][number % 4],
        is_replaced=number % 5 == 0,
    )
    return record["title"], record["abstract"], tuple(record["authors"]), categories, came


def real_topics(drafts: Sequence[Draft]) -> st.SearchStrategy[str]:
    """Topics made of pieces of the papers themselves, so that many of them match."""
    # By number: as values the papers would be printed whole for every topic made of them.
    chosen, made = st.integers(0, len(drafts) - 1), _Pieces(drafts)
    leaves = st.one_of(
        st.builds(
            made.words, chosen, st.integers(0, 300), st.sampled_from([1, 1, 1, 2, 3]), _FIELDS
        ),
        st.builds(made.prefix, chosen, st.integers(0, 300), st.integers(2, 7), _FIELDS),
        st.builds(made.author, chosen, st.integers(0, 20), st.integers(0, 2)),
        st.builds(made.category, chosen, st.integers(0, 5), is_archive=st.booleans()),
        st.sampled_from(["src:hf", "src:arxiv", *LIKES]),
        st.builds(lambda sign, at: f"trend{sign}{at}", st.sampled_from("<>"), st.integers(0, 100)),
    )
    nested = st.recursive(leaves, _join_real, max_leaves=8)
    return st.tuples(nested, st.sampled_from(SWITCHES)).map(" ".join)


def _join_real(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    shapes = ["({} {})", "({} OR {})", "({} -{})", "({} NOT ({} OR {}))", "(({} {}) OR ({} -{}))"]
    return st.builds(
        lambda shape, four: shape.format(*four),
        st.sampled_from(shapes),
        st.lists(parts, min_size=4, max_size=4),
    )


_FIELDS = st.sampled_from(["", "", "ti:", "abs:"])


class _Pieces:
    """Clauses that hold for the paper they are made of."""

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self._drafts = drafts

    def words(self, number: int, at: int, count: int, field: str) -> str:
        title, abstract, *_ = self._drafts[number]
        words = f"{title} {abstract}".translate(_NO_QUOTES).split()
        start = at % len(words)
        return f'{field}"{" ".join(words[start : start + count])}"'

    def prefix(self, number: int, at: int, length: int, field: str) -> str:
        abstract = self._drafts[number][1]
        words = [word for word in abstract.split() if word.isalpha() and len(word) > 2]
        return f"{field}{words[at % len(words)][:length]}*" if words else "model*"

    def author(self, number: int, at: int, form: int) -> str:
        authors = self._drafts[number][2]
        if not authors:
            return 'au:"Y. Bengio"'
        name = authors[at % len(authors)].translate(_NO_QUOTES)
        return f'au:"{[name, name.split()[-1], name[0] + ". " + name.split()[-1]][form]}"'

    def category(self, number: int, at: int, *, is_archive: bool) -> str:
        categories = self._drafts[number][3]
        if not categories:
            return "cat:cs.*"
        code = categories[at % len(categories)]
        return f"cat:{code.partition('.')[0]}.*" if is_archive else f"cat:{code}"


_NO_QUOTES = str.maketrans("", "", '"“”„‟')


@pytest.mark.real
@pytest.mark.timeout(1800)
def test_memory_and_postgres_agree_on_real_papers(session: Session, real_data: Path) -> None:
    """5,000 topics over 10,000 papers where the whole is asked for, a tenth of both elsewhere."""
    whole = bool(os.environ.get("PAPERBOY_TEST_WHOLE"))
    drafts = _real_drafts(real_data, 10_000 if whole else 1_500)
    papers = store_papers(session, drafts)
    session.execute(text("ANALYZE papers"))
    memory = Memory(papers)
    matched: list[int] = []

    @settings(
        max_examples=100 if whole else 16,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(real_topics(drafts), min_size=50, max_size=50))
    def agree(texts: list[str]) -> None:
        topics = list(_readable(texts))
        pairs = pairs_in_postgres(session, topics)
        assert memory.find_pairs(session, topics) == pairs
        found = Counter(topic for topic, _ in pairs)
        matched.extend(found[number] for number in range(len(topics)))

    agree()
    # The comparison is worth something only where much was found.
    assert len(matched) > (4_500 if whole else 600)
    assert sum(count > 0 for count in matched) > len(matched) / 3
    assert sum(matched) > 20 * len(matched)


def _readable(texts: Iterable[str]) -> Iterator[Query]:
    for each in texts:
        with suppress(QueryError):
            yield parse_query(each)
