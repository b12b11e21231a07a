"""Vectors in memory give the same scores as Postgres for every paper, also after papers change."""

from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from service.papers.store.models import Paper
from service.platform.settings.settings import Settings
from service.similarity.domain.calibration import ReferenceScores, Target, scale_of_pool
from service.similarity.domain.vectors import LikeQueryView, PaperVectors, Sparse
from service.similarity.embed_papers import nearest_papers
from service.similarity.embeddings.embedders import MODEL_NAMES
from service.similarity.embeddings.vector_pool import ModelVectors, ReferencePool
from service.similarity.store.corpus import scan_pool
from service.similarity.store.vectors import find_nearest, like_condition, upsert_meanings
from service.topics.like_clauses import load_model_vectors, update_model_vectors

NOW = datetime(2026, 9, 18, 5, tzinfo=UTC)
POOL = 30


pytestmark = pytest.mark.settings(embedder="wordllama")


class Library:
    """Papers with invented vectors."""

    def __init__(self, session: Session, model: str) -> None:
        self.session = session
        self.model = model
        self.chance = Random(11)  # the same papers in every run
        self.ids: list[int] = []
        self.same = self.vector()  # asked again and again, also after papers changed

    def vector(self) -> bytes:
        return array("b", (self.chance.randint(-127, 127) for _ in range(6))).tobytes()

    def words(self, most: int) -> Sparse:
        keys = self.chance.sample(range(9), self.chance.randint(0, 5))
        return tuple((key, self.chance.randint(1, most)) for key in sorted(keys))

    def learn(self, ids: Sequence[int], model: str = "") -> None:
        papers = [
            PaperVectors(
                paper_id,
                model or self.model,
                self.vector() if self.chance.random() < 0.8 else b"",
                self.words(255),
            )
            for paper_id in ids
        ]
        upsert_meanings(self.session, papers, dict.fromkeys(ids, NOW))

    def add(self, count: int) -> list[int]:
        rows = [
            {"key": f"t:{len(self.ids) + n}", "source": "t", "identifier": "", "version": 1}
            | dict.fromkeys(("title", "title_raw", "abstract", "abstract_raw"), "x")
            | {"authors": [], "author_keys": [], "categories": []}
            | dict.fromkeys(("created_at", "updated_at"), NOW)
            for n in range(count)
        ]
        new = list(self.session.scalars(insert(Paper).returning(Paper.id), rows))
        self.ids += new
        return new

    def agrees(self, vectors: ModelVectors, known: Sequence[int]) -> bool:
        """Return whether memory and Postgres agree on targets and like queries of every kind."""
        for dense, sparse in (
            (self.vector(), self.words(1023)),
            (self.vector(), ()),
            (self.same, self.words(1023)),
            (b"", self.words(1023)),
        ):
            target = Target(dense, {str(key): float(weight) for key, weight in sparse})
            for without in ((), self.ids[-3:]):
                there = scan_pool(self.session, self.model, target, without, POOL)
                here = vectors.scan(target, without)
                if _scores_by_id(here) != _scores_by_id(there):
                    return False
            like_query = LikeQueryView(
                "t", self.model, 0, dense, sparse, 3, 5, self.chance.randint(1, 60_000)
            )
            found = {*self.session.scalars(select(Paper.id).where(like_condition(like_query)))}
            if found & {*known} != {*vectors.find_like(like_query)} & {*known}:
                return False
            one = self.ids[0]
            near = find_nearest(self.session, like_query, one, 100)
            held = [pair for pair in vectors.find_nearest(like_query, one, 100) if pair[0] in known]
            if [pair for pair in near if pair[0] in known] != held:
                return False
            if near[:5] != nearest_papers(self.session, like_query, one, 5, vectors):
                return False
        return True


def _scores_by_id(pool: ReferenceScores) -> dict[int, tuple[float, float]]:
    return {
        int(i): (float(d), float(s))
        for i, d, s in zip(pool.paper_ids, pool.dense, pool.sparse, strict=True)
    }


@pytest.fixture
def library(session: Session, settings: Settings) -> Library:
    return Library(session, MODEL_NAMES[settings.embedder])


def test_vectors_in_memory_agree_with_postgres(library: Library, settings: Settings) -> None:
    ids = library.add(50)
    library.learn(ids[:-3])
    library.learn(ids[-3:-1], "another model")
    vectors = load_model_vectors(library.session, settings, ids[:10], POOL)
    # Older papers are there only if they were requested.
    assert library.agrees(vectors, [*ids[:10], *ids[20:]])
    assert vectors.find_like(LikeQueryView("t", "another model", 0, b"", (), 0, 0, 0)) == []


def test_more_vectors_than_are_multiplied_at_once_agree_with_postgres(
    library: Library, settings: Settings
) -> None:
    ids = library.add(600)
    library.learn(ids)
    assert library.agrees(load_model_vectors(library.session, settings, ids, POOL), ids)


def test_vectors_in_memory_follow_new_and_changed_papers(
    library: Library, settings: Settings
) -> None:
    ids = library.add(50)
    library.learn(ids[:40])
    vectors = load_model_vectors(library.session, settings, ids[:10], POOL)
    span = ids[:10]
    for changed in ([ids[45]], [ids[2], ids[39]], [ids[12]], [*library.add(3)], [ids[2]]):
        library.learn(changed)
        followed = update_model_vectors(library.session, vectors, changed, span)
        assert followed is not None
        assert library.agrees(followed, span)
        vectors = followed


def test_with_fewer_papers_than_the_pool_size_all_of_them_count(
    library: Library, settings: Settings
) -> None:
    ids = library.add(20)
    library.learn(ids[5:10])
    vectors = load_model_vectors(library.session, settings, [], POOL)
    library.learn(ids[:2])
    followed = update_model_vectors(library.session, vectors, ids[:2], [])
    assert followed is not None
    assert library.agrees(followed, ids)


def test_vectors_are_loaded_again_after_a_deleted_paper(
    library: Library, settings: Settings
) -> None:
    ids = library.add(40)
    library.learn(ids)
    vectors = load_model_vectors(library.session, settings, [], POOL)
    library.session.execute(delete(Paper).where(Paper.id == ids[35]))
    assert update_model_vectors(library.session, vectors, [ids[35]], []) is None
    # A deleted paper that was never in memory does not matter.
    library.session.execute(delete(Paper).where(Paper.id == ids[0]))
    assert update_model_vectors(library.session, vectors, [ids[0]], []) is not None


def test_vectors_of_many_blocks_are_loaded_again(library: Library, settings: Settings) -> None:
    ids = library.add(5)
    library.learn(ids)
    vectors: ModelVectors | None = load_model_vectors(library.session, settings, [], POOL)
    followed = 0
    while vectors is not None:
        vectors = update_model_vectors(library.session, vectors, ids[:1], [])
        followed += 1
    assert followed > 5


def test_there_may_be_no_vectors(library: Library, settings: Settings) -> None:
    library.add(1)
    vectors = load_model_vectors(library.session, settings, [], POOL)
    assert library.agrees(vectors, library.ids)


NUMBERS = st.lists(
    st.tuples(st.integers(-(2**18), 2**18), st.integers(0, 2**23)), min_size=1, max_size=60
)


@given(NUMBERS, st.integers(1, 12))
def test_arrays_and_lists_give_the_same_measures_and_best_papers(
    numbers: list[tuple[int, int]], count: int
) -> None:
    dense, sparse = ([float(value) for value in column] for column in zip(*numbers, strict=True))
    lists = ReferenceScores(range(len(numbers), 0, -1), dense, sparse)
    ids = np.arange(len(numbers), 0, -1)
    arrays = ReferencePool(ids, np.array(dense), np.array(sparse))  # type: ignore[arg-type]  # an array is no Sequence by name
    assert arrays.measure() == lists.measure()
    scale = scale_of_pool(lists, has_dense=True)
    assert scale_of_pool(arrays, has_dense=True) == scale
    assert arrays.find_best(scale, count) == lists.find_best(scale, count)
