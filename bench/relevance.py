"""Relevance of `like:` and written topics on judged papers, beside a linear SVM over tf-idf and BM25.

    .venv/bin/python bench/relevance.py [--quick]

The last line on stdout is one JSON object. The real papers are stored in an embedded PostgreSQL and
embedded as in the service; `like:` is the like query that a saved topic would get.

Rows. *description*: one text per topic. *examples*: five judged papers, drawn with three seeds and
excluded from the measurement. SVM is the method of arxiv-sanity-lite (LinearSVC over tf-idf of
one and two words, everything that is not an example counts as wrong); for a description the text is
its only example. BM25 is our sparse part alone. Sets are compared at equal size: SVM and BM25 are
cut at the size that `like:` returns.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from similarity.judged_topics import JudgedPaper, JudgedTopic, read_papers, read_topics
from similarity.rivals import Bm25, TfidfSvm
from similarity.store import Stored, stored_papers

from service.similarity.embed_papers import learn_meanings, similar_papers
from service.similarity.embeddings.embedders import load_embedder

Scores = NDArray[np.float64]
QUICK_PAPERS = 5000
EXAMPLES = 5
SEEDS = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Found:
    """One result: a score for each paper, and the papers it selects (None: cut at another's size)."""

    scores: Scores
    is_in: NDArray[np.bool_] | None = None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the papers")
    quick = parser.parse_args().quick
    folder = Path(os.environ.get("PAPERBOY_REAL_DATA", "../shared/data"))
    if not folder.is_dir():
        print(f"bench/relevance.py: no real data at {folder}", file=sys.stderr)
        return 2
    papers = read_papers(folder)
    if quick:
        papers = thin(folder, papers)
    topics = [t for t in read_topics(folder, papers) if len(t.positives) > 2 * EXAMPLES]
    with tempfile.TemporaryDirectory() as home, stored_papers(Path(home), papers) as stored:
        figures = measure(stored, papers, topics)
    machine = {"python": platform.python_version(), "cores": os.cpu_count()}
    print(json.dumps(figures | machine | {"cpu": platform.processor() or platform.machine()}))
    return 0


def thin(folder: Path, papers: dict[str, JudgedPaper]) -> dict[str, JudgedPaper]:
    """Return every paper of the lists and the profile, and a sample of the others."""
    kept = {i for t in read_topics(folder, papers) if t.group != "categories" for i in t.positives}
    others = sorted(papers.keys() - kept)
    kept.update(random.Random(0).sample(others, QUICK_PAPERS))  # noqa: S311  # a sample, no secret
    return {i: papers[i] for i in papers if i in kept}


def measure(
    stored: Stored, papers: dict[str, JudgedPaper], topics: Sequence[JudgedTopic]
) -> dict[str, Any]:
    figures: dict[str, Any] = {"papers": len(papers), "topics": len(topics)}
    figures |= measure_speed(stored, list(papers.values()))
    say("tf-idf …")
    rivals = (TfidfSvm(list(papers.values())), Bm25(stored))
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    for topic in topics:
        say(f"{topic.group} {topic.name}: {len(topic.positives)} of {len(topic.judged)}")
        for system, measured in measure_topic(stored, topic, *rivals):
            rows[f"{topic.group} {system}"].append(measured)
    for name, measured_rows in sorted(rows.items()):
        for measure_name in measured_rows[0]:
            value = statistics.fmean(row[measure_name] for row in measured_rows)
            figures[f"{name} {measure_name}".replace(" ", "_")] = round(value, 3)
        say(f"{name:32}", figures_of(figures, name))
    return figures


def figures_of(figures: dict[str, Any], name: str) -> dict[str, Any]:
    start = f"{name} ".replace(" ", "_")
    return {key.removeprefix(start): v for key, v in figures.items() if key.startswith(start)}


def measure_speed(stored: Stored, papers: Sequence[JudgedPaper]) -> dict[str, float]:
    say("learning …")
    embedder = load_embedder("wordllama")
    texts = [f"{paper.title}\n{paper.abstract}" for paper in papers[:2000]]
    embedding = timed(lambda: embedder.embed(texts))
    learning = timed(lambda: learn_meanings(stored.sessions, stored.settings))
    stored.count()
    ids = random.Random(1).sample(stored.ids, 30)  # noqa: S311  # a sample, no secret
    with stored.sessions() as session:
        waits = sorted(
            timed(partial(similar_papers, session, stored.settings, i, 6)) * 1000 for i in ids
        )
    return {
        "embedded_per_s": round(len(texts) / embedding),
        "learned_per_s": round(len(papers) / learning),
        "similar_p50_ms": round(waits[len(waits) // 2], 1),
        "similar_p95_ms": round(waits[int(len(waits) * 0.95)], 1),
    }


def measure_topic(
    stored: Stored, topic: JudgedTopic, svm: TfidfSvm, bm25: Bm25
) -> Iterable[tuple[str, dict[str, float]]]:
    """Yield (row and system, its figures), the examples' figures averaged over the seeds."""
    likeness = stored.like([topic.description])
    yield from compare(
        "description",
        stored,
        topic,
        {
            "like": Found(*likeness),
            "written": Found(likeness[0], stored.written(topic.written)),
            "svm": Found(svm.score_text(topic.description)),
            "bm25": Found(bm25.score([topic.description])),
        },
    )
    drawn: dict[str, list[dict[str, float]]] = defaultdict(list)
    for seed in SEEDS:
        examples = random.Random(seed).sample(sorted(topic.positives), EXAMPLES)  # noqa: S311  # a draw, no secret
        answers = {
            "like": Found(*stored.like(examples)),
            "svm": Found(svm.score_examples([stored.place[i] for i in examples])),
            "bm25": Found(bm25.score(examples)),
        }
        for name, measured in compare("examples", stored, topic, answers, frozenset(examples)):
            drawn[name].append(measured)
    for name, runs in drawn.items():
        yield name, {key: statistics.fmean(run[key] for run in runs) for key in runs[0]}


def compare(
    row: str,
    stored: Stored,
    topic: JudgedTopic,
    answers: dict[str, Found],
    without: frozenset[str] = frozenset(),
) -> Iterable[tuple[str, dict[str, float]]]:
    judged = np.array([i in topic.judged and i not in without for i in stored.identifiers])
    is_right = np.array([i in topic.positives for i in stored.identifiers])[judged]
    like = answers["like"].is_in
    assert like is not None
    size = int(like[judged].sum())
    for name, found in answers.items():
        scores = found.scores[judged]
        is_in = cut(scores, size) if found.is_in is None else found.is_in[judged]
        yield f"{row} {name}", judge(scores, is_in, is_right, ranks_set=name == "written")


def cut(scores: Scores, size: int) -> NDArray[np.bool_]:
    chosen = np.zeros(len(scores), dtype=bool)
    chosen[np.argsort(-scores, kind="stable")[:size]] = True
    return chosen


def judge(
    scores: Scores, is_in: NDArray[np.bool_], is_right: NDArray[np.bool_], *, ranks_set: bool
) -> dict[str, float]:
    """Return precision, recall and F1 of the set; NDCG@10 and average precision of the order.

    A written topic orders only the papers it selects; all other papers have one equal rank.
    """
    ordered = np.where(is_in, scores, scores.min() - 1) if ranks_set else scores
    right = is_right[np.argsort(-ordered, kind="stable")]
    hits = int((is_in & is_right).sum())
    precision, recall = hits / max(int(is_in.sum()), 1), hits / int(is_right.sum())
    discounts = 1 / np.log2(np.arange(2, 12))
    places = np.flatnonzero(right)
    return {
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / ((precision + recall) or 1),
        "ndcg10": float(right[:10] @ discounts / discounts[: len(places)].sum()),
        "ap": float(((np.arange(len(places)) + 1) / (places + 1)).mean()),
        "papers": float(is_in.sum()),
    }


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def say(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
