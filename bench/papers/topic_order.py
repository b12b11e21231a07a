"""Order of the papers under a topic, with and without trend, on curated lists.

    .venv/bin/python bench/papers/topic_order.py [--quick]

Reads `PAPERBOY_REAL_DATA`. An edition is a week of Hugging Face's daily papers; the topics are the
written queries of `bench/similarity/judged_topics.py`, whose clauses are looked up here by their
words, without stems. Under each, the papers of the list should come first. *relevance* is the order
by clauses in title and abstract, *trend* that by votes, *both* the product's. *learned* is the product's
for readers who saved and dismissed papers of other weeks under the topic: right ones and wrong ones, drawn
`DRAWS` times; *gain* is what it adds to *both* for the same editions.
One JSON object on stdout.
"""

import argparse
import gzip
import json
import os
import random
import re
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from similarity.judged_topics import LISTS
from similarity.measures import judge

from service.editions.domain.learned_order import learn_factors
from service.editions.domain.ranking import ranks, weigh_reasons
from service.editions.domain.recommendations import Candidates, Rarity, Vector, count_terms
from service.papers.domain.types import AnnounceType, PaperView
from service.topics.domain.language import parse_query
from service.topics.domain.language.syntax_tree import Text, iterate_leaves
from service.topics.domain.types import Reason

DRAWS = 20
SIGNALS = (1, 2, 5, 10)
FILES = ("3dgs_with_abstracts", "efficient_reasoning", "lm_analysis")


@dataclass(frozen=True, slots=True)
class Match:
    """A paper under a topic: its weight by the reasons, and whether it is of the list."""

    paper: PaperView
    weight: int
    is_listed: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the same: it takes seconds")
    parser.parse_args()
    folder = Path(os.environ.get("PAPERBOY_REAL_DATA", "../shared/data"))
    if not folder.is_dir():
        print(f"bench/papers/topic_order.py: no real data at {folder}", file=sys.stderr)
        return 2
    weeks: dict[tuple[int, int], list[PaperView]] = defaultdict(list)
    for paper in read_papers(folder / "bulk" / "dev" / "hf_daily.jsonl.gz"):
        weeks[paper.announced_on.isocalendar()[:2]].append(paper)
    weeks = {week: add_trends(papers) for week, papers in weeks.items()}
    vectors = make_vectors([paper for papers in weeks.values() for paper in papers])
    figures = {}
    for (name, (_, query)), file in zip(LISTS.items(), FILES, strict=True):
        listed = read_ids(folder / "relevance" / "dev" / f"list_{file}.jsonl")
        editions = [[*find_matches(papers, query, listed)] for papers in weeks.values()]
        judged = [e for e in editions if 0 < sum(m.is_listed for m in e) < len(e)]
        figures[name] = measure(judged) | measure_learned(judged, editions, vectors)
    print(json.dumps(figures))
    return 0


def read_papers(path: Path) -> Iterator[PaperView]:
    for number, line in enumerate(gzip.decompress(path.read_bytes()).splitlines()):
        row = json.loads(line)
        if row["abstract"] and row["hf_date"]:
            yield PaperView(
                id=number,
                key=f"arxiv:{row['id']}",
                source="arxiv",
                identifier=row["id"],
                title=row["title"],
                abstract=row["abstract"],
                authors=tuple(row["authors"] or ()),
                categories=(),
                primary_category="",
                announced_as=AnnounceType.NEW,
                announced_on=date.fromisoformat(row["hf_date"][:10]),
                url="",
                upvotes=row["upvotes"] or 0,
            )


def read_ids(path: Path) -> set[str]:
    with path.open() as lines:
        return {row["id"] for row in map(json.loads, lines) if row.get("id")}


def add_trends(papers: Sequence[PaperView]) -> list[PaperView]:
    """Set the trend to the percentile of the votes in the edition; the archive has no categories."""
    votes = np.array([paper.upvotes for paper in papers])
    return [
        replace(p, trend=float(50 * ((votes < p.upvotes).mean() + (votes <= p.upvotes).mean())))
        for p in papers
    ]


def find_matches(papers: Sequence[PaperView], query: str, listed: set[str]) -> Iterator[Match]:
    clauses = [leaf.text for leaf in iterate_leaves(parse_query(query)) if isinstance(leaf, Text)]
    patterns = {
        text: re.compile(r"\b" + r"\W+".join(text.split()), re.IGNORECASE) for text in clauses
    }
    for paper in papers:
        reasons = [
            Reason(clause, field)
            for clause, pattern in patterns.items()
            for field in ("title", "abstract")
            if pattern.search(getattr(paper, field))
        ]
        if reasons:
            yield Match(paper, weigh_reasons(reasons), paper.identifier in listed)


def measure(editions: Sequence[Sequence[Match]]) -> dict[str, Any]:
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    for edition in editions:
        standings = ranks([match.paper for match in edition])
        is_right = np.array([match.is_listed for match in edition])
        weights = np.array([float(match.weight) for match in edition])
        trends = np.array([float(standings[match.paper.id].trend) for match in edition])
        # Equal papers in the order of their ids, which says nothing about the list.
        for name, scores in (
            ("relevance", weights), ("trend", trends), ("both", weights * trends), ("none", 0 * trends)
        ):  # fmt: skip
            rows[name].append(judge(scores, is_right, is_right, ranks_set=False))
    return {
        "editions": len(editions),
        "matches": sum(map(len, editions)),
        "listed": sum(match.is_listed for edition in editions for match in edition),
        **{
            f"{name}_{measured}": round(statistics.fmean(row[measured] for row in found), 3)
            for name, found in rows.items()
            for measured in ("ndcg10", "ap")
        },
    }


def make_vectors(papers: Sequence[PaperView]) -> dict[int, Vector]:
    """Return TF-IDF vectors as the product's, of plain words in place of PostgreSQL's lexemes."""

    def count(text: str) -> dict[str, Sequence[int]]:
        words = Counter(word.rstrip("s") for word in re.findall("[a-z]{2,}", text.lower()))
        return {word: range(number) for word, number in words.items()}

    terms = {paper.id: count_terms(count(paper.title), count(paper.abstract)) for paper in papers}
    rarity = Rarity(terms.values())
    return {i: rarity.weigh(own) for i, own in terms.items()}


def measure_learned(
    judged: Sequence[Sequence[Match]],
    editions: Sequence[Sequence[Match]],
    vectors: dict[int, Vector],
) -> dict[str, float]:
    """Return the mean gain of NDCG@10 by number of signals, with its standard error over editions."""
    chance = random.Random(7)  # noqa: S311  # the same readers every time
    figures = {}
    for signals in SIGNALS:
        gains = []
        for edition in judged:
            own = {match.paper.id for match in edition}
            others = [
                m for each in editions if each is not edition for m in each if m.paper.id not in own
            ]
            right, wrong = (
                [m.paper.id for m in others if m.is_listed is is_listed]
                for is_listed in (True, False)
            )
            standings = ranks([match.paper for match in edition])
            is_right = np.array([match.is_listed for match in edition])
            scores = np.array([float(m.weight * standings[m.paper.id].trend) for m in edition])
            plain = judge(scores, is_right, is_right, ranks_set=False)["ndcg10"]
            candidates = Candidates({i: vectors[i] for i in own})
            saved_count = (signals + 1) // 2
            learned = []
            for _ in range(DRAWS):
                saved = chance.sample(right, min(saved_count, len(right)))
                dismissed = chance.sample(wrong, min(signals - saved_count, len(wrong)))
                factors = learn_factors(
                    [vectors[i] for i in saved], [vectors[i] for i in dismissed], candidates
                )
                lifted = scores * [factors.get(m.paper.id, 1000) for m in edition]
                learned.append(judge(lifted, is_right, is_right, ranks_set=False)["ndcg10"])
            gains.append(statistics.fmean(learned) - plain)
        figures[f"gain_{signals}"] = round(statistics.fmean(gains), 3)
        figures[f"gain_{signals}_se"] = round(statistics.stdev(gains) / len(gains) ** 0.5, 3)
    return figures


if __name__ == "__main__":
    sys.exit(main())
