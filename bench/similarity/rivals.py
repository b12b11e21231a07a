"""The peers of `like:`: arxiv-sanity-lite's SVM, BM25, MiniLM, and BM25 with MiniLM."""

from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC
from sqlalchemy import select

from service.similarity.domain.bm25 import weigh_text
from service.similarity.domain.calibration import Target
from service.similarity.domain.vectors import WORDS_ONLY, PaperVectors
from service.similarity.embeddings.embedders import load_embedder
from service.similarity.like_paper import load_corpus, target_of_paper
from service.similarity.store.models import PaperMeaning
from service.similarity.store.vectors import dot_columns
from service.topics.store.to_sql import fetch_lexemes
from similarity.judged_topics import JudgedPaper
from similarity.store import Stored


class TfidfSvm:
    """LinearSVC over tf-idf, as arxiv-sanity-lite ranks by tag.

    The vectorizer has the parameters of its `compute.py`; its first release had C = 0.1, which is
    worse here in nearly every row.
    """

    def __init__(self, papers: Sequence[JudgedPaper]) -> None:
        self._vectorizer = TfidfVectorizer(
            strip_accents="unicode",
            token_pattern=r"(?u)\b[a-zA-Z_][a-zA-Z0-9_]+\b",  # noqa: S106  # no password
            stop_words="english",
            ngram_range=(1, 2),
            max_features=20_000,
            sublinear_tf=True,
            max_df=0.1,
            min_df=5,
        )
        self._rows = self._vectorizer.fit_transform(f"{p.title} {p.abstract}" for p in papers)

    def score_examples(self, places: Sequence[int]) -> NDArray[np.float64]:
        wanted = np.zeros(self._rows.shape[0])
        wanted[list(places)] = 1
        return self._fit(self._rows, wanted)

    def score_text(self, text: str) -> NDArray[np.float64]:
        """Return the scores with the text as the only example."""
        rows = vstack([self._vectorizer.transform([text]), self._rows]).tocsr()
        wanted = np.zeros(rows.shape[0])
        wanted[0] = 1
        return self._fit(rows, wanted)

    def _fit(self, rows: object, wanted: NDArray[np.float64]) -> NDArray[np.float64]:
        machine = LinearSVC(class_weight="balanced", max_iter=10_000, tol=1e-6, C=0.01)
        machine.fit(rows, wanted)
        scores: NDArray[np.float64] = machine.decision_function(self._rows)
        return scores


class Bm25:
    """Our sparse part alone, without feedback; several papers are one long description."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored

    def score(self, clauses: Sequence[str]) -> NDArray[np.float64]:
        columns = []
        with self._stored.sessions() as session:
            for clause in clauses:
                place = self._stored.place.get(clause)
                if place is None:
                    lexemes = fetch_lexemes(session, [clause])[clause]
                    target = Target(b"", weigh_text(lexemes, load_corpus(session, lexemes)))
                else:
                    paper = PaperVectors(self._stored.ids[place], WORDS_ONLY, b"", ())
                    target = target_of_paper(session, paper)
                columns.append(dot_columns(b"", target.sparse, PaperMeaning)[1])
            found = session.execute(select(PaperMeaning.paper_id, reduce(add, columns))).tuples()
            by_id = dict(found.all())
        return np.array([by_id[paper_id] for paper_id in self._stored.ids])


class MiniLm:
    """The vectors of the model alone: the cosine with the description, or with the mean paper."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        with stored.sessions() as session:
            rows = session.execute(select(PaperMeaning.paper_id, PaperMeaning.dense))
            by_id = {paper_id: _as_array(dense or b"") for paper_id, dense in rows}
        self._vectors = np.array([by_id[paper_id] for paper_id in stored.ids])

    def score(self, clauses: Sequence[str]) -> NDArray[np.float64]:
        places = [self._stored.place.get(clause) for clause in clauses]
        embedder = load_embedder(self._stored.settings.embedder)
        wanted = sum(
            _as_array(embedder.embed([clause])[0]) if place is None else self._vectors[place]
            for clause, place in zip(clauses, places, strict=True)
        )
        scores: NDArray[np.float64] = (self._vectors @ wanted).astype(np.float64)
        return scores


def _as_array(vector: bytes) -> NDArray[np.float32]:
    return np.frombuffer(vector, np.int8).astype(np.float32)


def add_as_z_scores(*scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of the scores, each in standard deviations above its mean."""
    total = np.zeros(len(scores[0]))
    for each in scores:
        total += (each - each.mean()) / (each.std() or 1.0)
    return total
