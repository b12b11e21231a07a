"""Like queries in Postgres and in memory agree on every pair of like query and paper."""

import gzip
import json
from array import array
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, not_, or_, select, text
from sqlalchemy.orm import Session, aliased

from service.papers.store.models import Paper
from service.platform.settings.settings import Settings
from service.similarity.domain.bm25 import Corpus, ShippedCorpus, weigh_text
from service.similarity.domain.calibration import (
    Origin,
    Target,
    build_like_query,
    pick_threshold,
    scale_of_pool,
    scale_of_shipped,
)
from service.similarity.domain.vectors import (
    FACTOR_LIMIT,
    LIKE_QUERY_LIMIT,
    SPARSE_DIMENSIONS,
    SPARSE_LIMIT,
    LikeQueryView,
    PaperVectors,
    Sparse,
    is_like,
    score_paper,
)
from service.similarity.embeddings.embedders import load_embedder
from service.similarity.embeddings.scoring import like_sets
from service.similarity.like_paper import load_meanings
from service.similarity.store.corpus import (
    count_meanings,
    get_corpus,
    get_generation,
    open_generation,
    scan_pool,
)
from service.similarity.store.vectors import (
    count_unlearned,
    find_nearest,
    find_unembedded,
    get_meanings,
    like_condition,
    select_texts,
    upsert_meanings,
)
from service.topics.store.like_queries import (
    find_like_queries,
    find_stale_like_queries,
    insert_like_query,
)
from service.topics.store.to_sql import fetch_lexemes

NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
MODELS = {"small": 4, "large": 7, "words": 0}
KEYS = st.sampled_from([0, 1, 2, 17, SPARSE_DIMENSIONS - 1])


def store(session: Session, texts: Sequence[tuple[str, str]]) -> list[int]:
    """Insert papers with these titles and abstracts; returns their ids."""
    rows: list[dict[str, Any]] = [
        {
            "key": f"test:{number}",
            "source": "test",
            "identifier": str(number),
            "version": 1,
            "title": title,
            "title_raw": title,
            "abstract": abstract,
            "abstract_raw": abstract,
            "authors": [],
            "author_keys": [],
            "categories": ["cs.CL"] if number % 2 else ["math.NA"],
            "created_at": NOW,
            "updated_at": NOW,
        }
        for number, (title, abstract) in enumerate(texts)
    ]
    return list(session.scalars(insert(Paper).returning(Paper.id), rows))


def learn(session: Session, meanings: Sequence[PaperVectors]) -> None:
    upsert_meanings(session, meanings, {meaning.paper_id: NOW for meaning in meanings})


def found_in_sql(session: Session, like_query: LikeQueryView) -> set[int]:
    return set(session.scalars(select(Paper.id).where(like_condition(like_query))))


# -- the same in SQL as in memory ----------------------------------------------------------------


def sparse(most: int) -> st.SearchStrategy[Sparse]:
    weights = st.dictionaries(KEYS, st.integers(1, most), max_size=5)
    return weights.map(lambda by_key: tuple(sorted(by_key.items())))


def dense(model: str) -> st.SearchStrategy[bytes]:
    length = MODELS[model]
    vector = st.lists(st.integers(-127, 127), min_size=length, max_size=length)
    return st.one_of(st.just(b""), vector.map(lambda values: array("b", values).tobytes()))


@st.composite
def meanings(draw: st.DrawFn) -> PaperVectors:
    model = draw(st.sampled_from([*MODELS]))
    return PaperVectors(0, model, draw(dense(model)), draw(sparse(SPARSE_LIMIT)))


@st.composite
def like_queries(draw: st.DrawFn) -> LikeQueryView:
    model = draw(st.sampled_from([*MODELS]))
    factors = st.one_of(st.integers(0, 9), st.just(FACTOR_LIMIT))
    made = LikeQueryView(
        "t",
        model,
        0,
        draw(dense(model)),
        draw(sparse(LIKE_QUERY_LIMIT)),
        draw(factors),
        draw(factors),
        0,
    )
    near = score_paper(made, draw(meanings())) + draw(st.integers(-1, 1))
    return replace(made, threshold=near)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(like_queries(), min_size=1, max_size=8),
    st.lists(st.one_of(st.none(), meanings()), min_size=1, max_size=12),
)
def test_postgres_and_memory_agree_on_every_pair(
    session: Session, some: list[LikeQueryView], day: list[PaperVectors | None]
) -> None:
    """Includes papers without embedding, vectors of other lengths and scores at the threshold."""
    session.execute(text("TRUNCATE papers CASCADE"))
    ids = store(session, [("t", "a")] * len(day))
    learn(
        session,
        [PaperVectors(i, m.model, m.dense, m.sparse) for i, m in zip(ids, day, strict=True) if m],
    )
    papers = get_meanings(session, ids)
    for like_query, bits in zip(some, like_sets(some, papers), strict=True):
        in_memory = {i for n, i in enumerate(ids) if bits >> n & 1}
        assert found_in_sql(session, like_query) == in_memory
        assert in_memory == {p.paper_id for p in papers if is_like(like_query, p)}


def test_a_condition_can_be_negated_combined_and_used_on_an_alias(session: Session) -> None:
    ids = store(session, [("t", "a")] * 4)
    learn(session, [PaperVectors(i, "words", b"", ((1, n),)) for n, i in enumerate(ids[:3], 1)])
    like_query = LikeQueryView("t", "words", 0, b"", ((1, 1),), 0, 1, 2)
    other = aliased(Paper)
    is_math = Paper.categories == ["math.NA"]
    assert found_in_sql(session, like_query) == set(ids[1:3])
    denied = select(Paper.id).where(not_(like_condition(like_query)))
    assert set(session.scalars(denied)) == {ids[0], ids[3]}
    joined = select(Paper.id).where(or_(like_condition(like_query), is_math))
    assert set(session.scalars(joined)) == {ids[0], ids[1], ids[2]}
    assert set(session.scalars(select(other.id).where(like_condition(like_query, other)))) == set(
        ids[1:3]
    )


def _read_real(folder: Path, count: int) -> list[tuple[str, str]]:
    papers = []
    for name in ("arxiv_cs", "arxiv_astro", "arxiv_hep"):
        with gzip.open(folder / "bulk" / "dev" / f"{name}.jsonl.gz", "rt") as lines:
            papers += [(paper["title"], paper["abstract"]) for paper in map(json.loads, lines)]
    return papers[:: len(papers) // count][:count]


@pytest.mark.real
@pytest.mark.slow
def test_postgres_and_memory_agree_on_real_papers(session: Session, real_data: Path) -> None:
    """2,000 papers by 300 like queries: titles, fragments of abstracts, and papers themselves."""
    texts = _read_real(real_data, 2000)
    ids = store(session, texts)
    settings_ = Settings()
    learn(session, load_meanings(settings_, select_texts(session, ids)))
    papers = get_meanings(session, ids)
    some = _real_like_queries(session, texts, papers)
    pairs = 0
    for like_query, bits in zip(some, like_sets(some, papers), strict=True):
        in_memory = {i for n, i in enumerate(ids) if bits >> n & 1}
        assert found_in_sql(session, like_query) == in_memory
        pairs += len(in_memory)
    assert len(some) == 300
    assert pairs > 1000


def _real_like_queries(
    session: Session, texts: Sequence[tuple[str, str]], papers: Sequence[PaperVectors]
) -> list[LikeQueryView]:
    queries = [title for title, _ in texts[:150]] + [
        abstract[:300] for _, abstract in texts[150:300]
    ]
    lexicon = fetch_lexemes(session, queries)
    vectors = load_embedder("wordllama").embed(queries)
    made = []
    for wanted, vector in zip(queries, vectors, strict=True):
        target = Target(vector, weigh_text(lexicon[wanted], ShippedCorpus()))
        pool = scan_pool(session, papers[0].model, target)
        scale = scale_of_pool(pool, has_dense=True)
        made.append(
            build_like_query(
                Origin(wanted, papers[0].model), target, scale, pick_threshold(pool, scale)
            )
        )
    return made


# -- stored vectors ------------------------------------------------------------------------------


def test_stored_vectors_are_returned_unchanged_in_the_given_order(session: Session) -> None:
    ids = store(session, [("t", "a")] * 3)
    first = PaperVectors(
        ids[0], "m", array("b", [-127, 0, 127]).tobytes(), ((0, 1), (999_999_999, 255))
    )
    second = PaperVectors(ids[1], "words", b"", ())
    learn(session, [second, first])
    unknown = PaperVectors(ids[2], "", b"", ())
    assert get_meanings(session, [ids[2], ids[1], ids[0]]) == [unknown, second, first]


def test_an_upsert_overwrites_and_skips_a_deleted_paper(session: Session) -> None:
    (paper_id,) = store(session, [("t", "a")])
    learn(session, [PaperVectors(paper_id, "old", b"", ())])
    again = PaperVectors(paper_id, "new", b"\x01", ((1, 2),))
    learn(session, [again, PaperVectors(paper_id + 1000, "new", b"\x01", ())])
    assert get_meanings(session, [paper_id]) == [again]
    assert count_meanings(session, "new") == 1


def test_a_paper_is_unlearned_if_new_changed_or_of_another_model(session: Session) -> None:
    ids = store(session, [("t", "a")] * 4)
    learn(session, [PaperVectors(i, "m", b"", ()) for i in ids[:2]])
    learn(session, [PaperVectors(ids[2], "other", b"", ())])
    session.execute(
        text("UPDATE papers SET updated_at = updated_at + interval '1 s' WHERE id = :i"),
        {"i": ids[1]},
    )
    assert find_unembedded(session, "m", 10) == [ids[3], ids[2], ids[1]]
    assert find_unembedded(session, "m", 2) == [ids[3], ids[2]]
    assert find_unembedded(session, "m", 10, among=ids[:2]) == [ids[1]]
    assert count_unlearned(session, "m") == 3


def test_the_nearest_papers_come_best_first_then_by_id_above_the_threshold(
    session: Session,
) -> None:
    ids = store(session, [("t", "a")] * 6)
    weights = [5, 9, 9, 1, 7, 8]
    learn(
        session,
        [PaperVectors(i, "words", b"", ((1, w),)) for i, w in zip(ids, weights, strict=True)],
    )
    like_query = LikeQueryView("t", "words", 0, b"", ((1, 2),), 0, 10, 100)
    expected = [(ids[2], 180), (ids[1], 180), (ids[4], 140), (ids[0], 100)]
    assert find_nearest(session, like_query, ids[5], 10) == expected
    assert find_nearest(session, like_query, ids[5], 2) == expected[:2]


# -- the corpus and its like queries -------------------------------------------------------------


def test_the_pool_has_the_embedded_papers_of_one_model_without_the_excluded_one(
    session: Session,
) -> None:
    ids = store(session, [("t", "a")] * 4)
    vector = array("b", [2, 1]).tobytes()
    learn(session, [PaperVectors(i, "m", vector, ((1, 10),)) for i in ids[:2]])
    learn(session, [PaperVectors(ids[2], "m", b"", ()), PaperVectors(ids[3], "other", b"", ())])
    target = Target(array("b", [3, -1]).tobytes(), {})
    found = scan_pool(session, "m", target)
    assert dict(zip(found.paper_ids, found.dense, strict=True)) == {ids[0]: 5, ids[1]: 5, ids[2]: 0}
    assert set(found.sparse) == {0}
    assert set(scan_pool(session, "m", target, without=ids[:1]).paper_ids) == set(ids[1:3])
    assert scan_pool(session, "nobody", target).paper_ids == ()


def test_a_generation_counts_document_frequencies(session: Session) -> None:
    store(session, [("Graph models", "model model")] * 4 + [("Rare", "words")] * 2)
    assert get_generation(session) is None
    assert get_corpus(session, ["graph"]) is None
    assert open_generation(session, "m", 6)
    newest = get_generation(session)
    assert newest is not None
    assert (newest.generation, newest.model, newest.paper_count) == (1, "m", 6)
    corpus = get_corpus(session, ["graph", "model", "rare", "unknown"])
    assert corpus is not None
    assert corpus.paper_count == 6
    assert {word: corpus.count(word) for word in ("graph", "model", "unknown")} == {
        "graph": 4,
        "model": 4,
        "unknown": 0,
    }
    assert corpus.count("rare") == 0, "two papers are as rare as none"
    assert get_corpus(session, ["unknown"]) == Corpus(6, {})


def test_the_next_generation_replaces_the_counts(session: Session) -> None:
    store(session, [("Graph", "old")] * 4)
    open_generation(session, "m", 4)
    session.execute(text("UPDATE papers SET abstract = 'fresh'"))
    open_generation(session, "m", 8)
    newest = get_generation(session)
    assert newest is not None
    assert newest.generation == 2
    corpus = get_corpus(session, ["old", "fresh"])
    assert corpus == Corpus(8, {"fresh": 4})


def test_only_one_process_counts_at_a_time(session: Session, engine: Any) -> None:
    assert open_generation(session, "m", 4)
    with Session(engine) as other:
        assert not open_generation(other, "m", 4)
    session.rollback()


def make(words: str, generation: int, model: str = "words") -> LikeQueryView:
    target = Target(b"", {words: 1.0})
    return build_like_query(
        Origin(words, model, generation), target, scale_of_shipped(target), generation
    )


def test_the_newest_generation_of_a_like_query_replaces_older_ones(session: Session) -> None:
    first, second = make("graph", 1), make("graph", 2)
    assert insert_like_query(session, first) == first
    assert find_like_queries(session, "words", ["graph", "other"]) == {"graph": first}
    assert insert_like_query(session, second) == second
    assert find_like_queries(session, "words", ["graph"]) == {"graph": second}
    assert session.execute(text("SELECT count(*) FROM probes")).scalar_one() == 1


def test_in_a_race_the_first_like_query_is_stored(session: Session) -> None:
    first = insert_like_query(session, make("graph", 1))
    other = replace(first, threshold=99)
    assert insert_like_query(session, other) == first


def test_stale_like_queries_are_of_older_generations_or_other_models(session: Session) -> None:
    for like_query in (make("old", 1), make("fresh", 2), make("elsewhere", 2, "m")):
        insert_like_query(session, like_query)
    assert sorted(find_stale_like_queries(session, "words", 2, 10)) == ["elsewhere", "old"]
    assert len(find_stale_like_queries(session, "words", 2, 1)) == 1
