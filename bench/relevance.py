"""Relevance of `like:`, similar papers and written topics on judged papers, beside other methods.

    .venv/bin/python bench/relevance.py [--quick] [--embedder minilm] [--papers N] [--cache FILE]

The last line on stdout is one JSON object; its `groups` hold each measure of ours beside the best
rival's. The real papers are stored in an embedded PostgreSQL and embedded as in the service; `like:`
is the like query that a saved topic would get. `--cache` keeps the vectors between runs.

Rows. *description*: one text per topic. *1 example*, *5 examples*: judged papers, drawn with three
seeds, as `like:A,B,…`, and excluded from the measurement. *similar*: the page of a listed paper
should name others of its list. SVM is the method of arxiv-sanity-lite (LinearSVC over tf-idf of one
and two words, everything that is not an example counts as wrong); for a description the text is its
only example. BM25 is our sparse part alone, MiniLM our dense part alone, both together their sum of z-scores. Sets
are compared at equal size: rivals are cut at the size that `like:` returns. The standard error of a
row is that over its queries; the profile is one query, and has that over draws of its papers.
"""

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from similarity.cache import CachedEmbedder
from similarity.judged_topics import JudgedPaper, JudgedTopic, read_papers, read_topics
from similarity.measures import OURS, Found, Rows, cut, judge, resample
from similarity.rivals import Bm25, MiniLm, TfidfSvm, add_as_z_scores
from similarity.store import Stored, stored_papers
from sqlalchemy.orm import Session
from website.learn import read_memory_mib

from service.similarity.embed_papers import learn_meanings, similar_papers
from service.similarity.embeddings.embedders import load_embedder
from service.similarity.embeddings.vector_pool import ModelVectors
from service.topics.like_clauses import like_query_on, load_model_vectors

QUICK_PAPERS = 300
EXAMPLES = (1, 5)
SEEDS = (1, 2, 3)
FITTED = (
    "On these topics, by leaving out one topic after the other: how many examples' components are"
    " damped and how much, their words, and the share of words on pages. See docs/relevance.md."
)
# Papers of a list whose page is looked at.
PAGES = 25


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"--papers {QUICK_PAPERS}")
    parser.add_argument("--papers", type=int, help="that many papers beside those of the lists")
    parser.add_argument("--embedder", choices=("minilm", "wordllama"), default="minilm")
    parser.add_argument("--cache", type=Path, help="a .npz file of vectors, made if need be")
    given = parser.parse_args()
    folder = Path(os.environ.get("PAPERBOY_REAL_DATA", "../shared/data"))
    if not folder.is_dir():
        print(f"bench/relevance.py: no real data at {folder}", file=sys.stderr)
        return 2
    papers = read_papers(folder)
    count = given.papers or (QUICK_PAPERS if given.quick else len(papers))
    papers = thin(folder, papers, count)
    topics = [t for t in read_topics(folder, papers) if len(t.positives) > 2 * max(EXAMPLES)]
    before = read_memory_mib()
    model = load_embedder(given.embedder)
    model.embed([topics[0].description])
    model_mib = read_memory_mib() - before
    embedder = CachedEmbedder(model, given.cache)
    with (
        patch("service.similarity.like_paper.load_embedder", lambda _: embedder),
        tempfile.TemporaryDirectory() as home,
        stored_papers(Path(home), papers, given.embedder) as stored,
    ):
        figures = measure(stored, papers, topics, embedder, model_mib)
    machine = {"python": platform.python_version(), "cores": os.cpu_count()}
    figures |= {"embedder": embedder.name, "fitted": FITTED} | machine
    print(json.dumps(figures | {"cpu": platform.processor() or platform.machine()}))
    return 0


def thin(folder: Path, papers: dict[str, JudgedPaper], count: int) -> dict[str, JudgedPaper]:
    """Return every paper of the lists and the profile, and `count` of the others."""
    kept = {i for t in read_topics(folder, papers) if t.group != "categories" for i in t.positives}
    others = sorted(papers.keys() - kept)
    random.Random(0).shuffle(others)  # noqa: S311  # a sample, no secret
    kept.update(others[:count])
    return {i: papers[i] for i in papers if i in kept}


def measure(
    stored: Stored,
    papers: dict[str, JudgedPaper],
    topics: Sequence[JudgedTopic],
    embedder: CachedEmbedder,
    model_mib: float,
) -> dict[str, Any]:
    figures: dict[str, Any] = {"papers": len(papers), "topics": len(topics)}
    figures |= measure_speed(stored, list(papers.values()), topics, model_mib)
    embedder.save()
    say("tf-idf …")
    systems = Systems(stored, list(papers.values()))
    rows = Rows()
    for topic in topics:
        say(f"{topic.group} {topic.name}: {len(topic.positives)} of {len(topic.judged)}")
        rows.add(topic.group, "description", *by_description(systems, topic))
        for count in EXAMPLES:
            name = f"{count} example{'s' * (count > 1)}"
            for seed in SEEDS:
                draw = random.Random(seed)  # noqa: S311  # a draw, no secret
                examples = draw.sample(sorted(topic.positives), count)
                rows.add(topic.group, name, by_examples(systems, topic, examples))
        if topic.group == "lists":
            draw = random.Random(1)  # noqa: S311  # a draw, no secret
            for own in draw.sample(sorted(topic.positives), min(PAGES, len(topic.positives))):
                rows.add("similar", topic.name, by_page(systems, topic, own))
                rows.add("similar", "all lists", by_page(systems, topic, own))
    embedder.save()
    return figures | rows.means() | {"groups": rows.groups()}


class Systems:
    """`like:` and what it is held against."""

    def __init__(self, stored: Stored, papers: Sequence[JudgedPaper]) -> None:
        self.stored = stored
        self._svm, self._bm25 = TfidfSvm(papers), Bm25(stored)
        # The vectors of another model say nothing about MiniLM.
        self._minilm = MiniLm(stored) if stored.settings.embedder == "minilm" else None

    def score(self, clauses: Sequence[str], *, with_svm: bool = True) -> dict[str, Found]:
        """Return the rivals' scores for a description, or for papers."""
        found = {"bm25": Found(self._bm25.score(clauses))}
        if self._minilm:
            found["minilm"] = Found(self._minilm.score(clauses))
            both = add_as_z_scores(found["bm25"].scores, found["minilm"].scores)
            found["bm25+minilm"] = Found(both)
        if with_svm:
            places = [self.stored.place[i] for i in clauses if i in self.stored.place]
            svm = self._svm
            scores = svm.score_examples(places) if places else svm.score_text(clauses[0])
            found["svm"] = Found(scores)
        return found


def measure_speed(
    stored: Stored, papers: Sequence[JudgedPaper], topics: Sequence[JudgedTopic], model_mib: float
) -> dict[str, float]:
    say("learning …")
    embedder = load_embedder(stored.settings.embedder)
    texts = [f"{paper.title}\n{paper.abstract}" for paper in papers[:200]]
    began = time.process_time()
    embedder.embed(texts)
    embedding = time.process_time() - began
    learning = timed(lambda: learn_meanings(stored.sessions, stored.settings))
    stored.count()
    ids = random.Random(1).sample(stored.ids, 30)  # noqa: S311  # a sample, no secret
    with stored.sessions() as session:
        waits = sorted(
            timed(partial(similar_papers, session, stored.settings, i, 6)) * 1000 for i in ids
        )
        vectors = load_model_vectors(session, stored.settings, [])
        previews = sorted(
            timed(partial(preview, session, stored, topic.description, vectors)) * 1000
            for topic in topics
        )
    return {
        "model_mib": round(model_mib),
        "like_preview_p50_ms": round(previews[len(previews) // 2], 1),
        "like_preview_p95_ms": round(previews[int(len(previews) * 0.95)], 1),
        "embedded_per_cpu_s": round(len(texts) / embedding, 1),
        "learned_per_s": round(len(papers) / learning),
        "similar_p50_ms": round(waits[len(waits) // 2], 1),
        "similar_p95_ms": round(waits[int(len(waits) * 0.95)], 1),
    }


def preview(session: Session, stored: Stored, text: str, vectors: ModelVectors) -> list[int]:
    """Do what the live preview does for a clause that nobody has saved."""
    return vectors.find_like(like_query_on(session, stored.settings, text, vectors))


def by_description(
    systems: Systems, topic: JudgedTopic
) -> tuple[dict[str, dict[str, float]], dict[str, float] | None]:
    """Return the figures of each system, and our standard errors where no other topic gives any."""
    stored = systems.stored
    likeness = stored.like(topic.description)
    answers = {
        OURS: Found(*likeness),
        "written": Found(likeness[0], stored.written(topic.written)),
        **systems.score([topic.description]),
    }
    errors = None
    if topic.group == "silver":
        judged, is_right = find_judged(stored, topic)
        errors = resample(likeness[0][judged], likeness[1][judged], is_right)
    return compare(stored, topic, answers), errors


def by_examples(
    systems: Systems, topic: JudgedTopic, examples: Sequence[str]
) -> dict[str, dict[str, float]]:
    likeness = systems.stored.like(",".join(examples))
    answers = {OURS: Found(*likeness), **systems.score(examples)}
    return compare(systems.stored, topic, answers, frozenset(examples))


def by_page(systems: Systems, topic: JudgedTopic, own: str) -> dict[str, dict[str, float]]:
    """Compare what the page of a paper lists, and as many of each rival's."""
    scores = systems.stored.similar(own)
    answers = {OURS: Found(scores, cut(scores, 20)), **systems.score([own], with_svm=False)}
    return compare(systems.stored, topic, answers, frozenset([own]))


def find_judged(
    stored: Stored, topic: JudgedTopic, without: frozenset[str] = frozenset()
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which papers are judged, and of these which are right."""
    judged = np.array([i in topic.judged and i not in without for i in stored.identifiers])
    return judged, np.array([i in topic.positives for i in stored.identifiers])[judged]


def compare(
    stored: Stored,
    topic: JudgedTopic,
    answers: dict[str, Found],
    without: frozenset[str] = frozenset(),
) -> dict[str, dict[str, float]]:
    judged, is_right = find_judged(stored, topic, without)
    like = answers[OURS].is_in
    assert like is not None
    size = int(like[judged].sum())
    compared = {}
    for name, found in answers.items():
        scores = found.scores[judged]
        is_in = cut(scores, size) if found.is_in is None else found.is_in[judged]
        compared[name] = judge(scores, is_in, is_right, ranks_set=name == "written")
    return compared


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def say(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
