"""Ranking of an edition: processor time of its standings, and precision of suggestions.

    .venv/bin/python bench/papers/ranking.py [--quick]

Reads `PAPERBOY_REAL_DATA`; lexemes are those of an embedded PostgreSQL.

`ranks`    of an edition of 1,500 papers: milliseconds of the processor.
`suggesting`   a subscriber saves 5 papers of a curated list; the edition is 1,000 papers of the same
               archive and 10 others of the list. Precision of the suggestions, beside chance; `own
               kind` also counts papers that are on no list but have the list's own words in title or
               abstract. And how often an edition of another science gets a suggestion.
Progress on stderr, one JSON object as the last line on stdout.
"""

import argparse
import gzip
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import psycopg

from service.editions.domain.ranking import ranks
from service.editions.domain.recommendations import Candidates, Rarity, Vector, count_terms, suggest
from service.papers.domain.tsvector import parse_tsvector
from service.papers.domain.types import AnnounceType, PaperView
from service.platform.embedded import Embedded

LISTS = {
    "efficient_reasoning": ("list_efficient_reasoning", r"reasoning|chain.of.thought|overthink"),
    "gaussian_splatting": ("list_3dgs_with_abstracts", r"gaussian|splat|3dgs|radiance field"),
}
KEPT, PLANTED, BACKGROUND, SHOWN = 5, 10, 1000, 3

Text = tuple[str, str]
"""Title and abstract."""


@dataclass(frozen=True)
class Corpus:
    texts: Mapping[str, Text]
    terms: Mapping[str, Vector]


def bench_standings() -> dict[str, float]:
    random = Random(1)  # noqa: S311  # the same invented papers in every run
    papers = [_make_paper(number, random) for number in range(1500)]
    began = time.process_time()
    ranks(papers)
    return {"standings_ms_per_1500_papers": round((time.process_time() - began) * 1000, 1)}


def _make_paper(number: int, random: Random) -> PaperView:
    words = ("".join(random.choices("abcdefgh", k=6)) for _ in range(8))
    return PaperView(
        id=number,
        key=f"arxiv:2609.{number:05d}",
        source="arxiv",
        identifier="",
        title=" ".join(words),
        abstract="",
        authors=(f"Person{number % 1200} Name",),
        categories=("cs.CL",),
        primary_category="cs.CL",
        announced_as=AnnounceType.NEW,
        announced_on=date(2026, 9, 18),
        url="",
        trend=random.uniform(0, 100),
    )


def select_texts(path: Path) -> dict[str, Text]:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    papers = map(json.loads, content.decode().strip().split("\n"))
    return {
        paper["id"]: (paper["title"], paper["abstract"])
        for paper in papers
        if paper.get("id") and paper.get("title") and paper.get("abstract")
    }


def read_ids(path: Path) -> set[str]:
    with path.open() as lines:
        return {one["id"] for one in map(json.loads, lines) if one.get("id")}


def count_all(connection: psycopg.Connection, texts: Mapping[str, Text]) -> dict[str, Vector]:
    """Return the terms of every text, as Postgres tokenises and stems them."""
    terms: dict[str, Vector] = {}
    ids = list(texts)
    for start in range(0, len(ids), 2000):
        some = ids[start : start + 2000]
        rows = connection.execute(
            "SELECT id, to_tsvector('english', title)::text, to_tsvector('english', abstract)::text"
            " FROM unnest(%s::text[], %s::text[], %s::text[]) AS given(id, title, abstract)",
            [some, *(_clean(texts[i][at] for i in some) for at in (0, 1))],
        )
        for number, title, abstract in rows:
            terms[number] = count_terms(parse_tsvector(title), parse_tsvector(abstract))
    return terms


def _clean(texts: Iterator[str]) -> list[str]:
    return [text.replace("\x00", " ") for text in texts]


def bench_suggesting(data: Path, rounds: int) -> dict[str, Any]:
    archive = select_texts(data / "bulk" / "dev" / "hf_daily.jsonl.gz")
    astro = select_texts(data / "bulk" / "dev" / "arxiv_astro.jsonl.gz")
    members: dict[str, list[str]] = {}
    for name, (file, _) in LISTS.items():
        path = data / "relevance" / "dev" / f"{file}.jsonl"
        extra = select_texts(path)
        archive.update(extra)
        members[name] = sorted(read_ids(path) & archive.keys())
    random = Random(5)  # noqa: S311  # the same subscribers in every run
    other = dict(random.sample(sorted(astro.items()), 2000))
    print(f"cutting {len(archive) + len(other):,} papers into words …", file=sys.stderr)
    with (
        tempfile.TemporaryDirectory(prefix="pb-") as home,
        Embedded(Path(home), valkey=False, durable=False) as services,
        psycopg.connect(services.database_url) as connection,
    ):
        corpus = Corpus(archive | other, count_all(connection, archive | other))
    listed = {i for ids in members.values() for i in ids}
    pool = sorted(archive.keys() - listed)
    figures: dict[str, Any] = {}
    for name, ids in members.items():
        print(f"{name}: {len(ids)} papers, {rounds} readers …", file=sys.stderr)
        figures[name] = bench_list(corpus, name, ids, pool, sorted(other), rounds)
    return {
        "suggesting": figures,
        "suggestion_precision_at_3": _mean([one["precision_at_3"] for one in figures.values()]),
        "suggestion_chance": round(PLANTED / (BACKGROUND + PLANTED), 4),
    }


def bench_list(
    corpus: Corpus,
    name: str,
    ids: Sequence[str],
    pool: Sequence[str],
    other: Sequence[str],
    rounds: int,
) -> dict[str, Any]:
    random = Random(name)  # noqa: S311  # the same subscribers in every run
    own_words = re.compile(LISTS[name][1], re.IGNORECASE)
    right = shown = kindred = alarms = 0
    times = []
    for _ in range(rounds):
        kept, planted = _draw(random, ids)
        edition = [*random.sample(pool, BACKGROUND), *planted]
        candidates, rarity = _stock(corpus, edition)
        # Processor time: other work of this machine is not ours.
        began = time.process_time()
        found = _suggest(corpus, kept, edition, candidates, rarity)
        times.append((time.process_time() - began) * 1000)
        shown += len(found)
        right += sum(i in planted for i in found)
        kindred += sum(
            i in planted or bool(own_words.search(" ".join(corpus.texts[i]))) for i in found
        )
        elsewhere = random.sample(other, BACKGROUND)
        alarms += bool(_suggest(corpus, kept, elsewhere, *_stock(corpus, elsewhere)))
    return {
        "papers": len(ids),
        # What is not shown counts as wrong here, so that showing little is no way to shine.
        "precision_at_3": round(right / (SHOWN * rounds), 3),
        "precision_of_shown": round(right / max(1, shown), 3),
        "own_kind_of_shown": round(kindred / max(1, shown), 3),
        "shown_per_reader": round(shown / rounds, 2),
        "other_science_alarms": round(alarms / rounds, 3),
        "ms_per_reader": round(statistics.median(times), 2),
    }


def _draw(random: Random, ids: Sequence[str]) -> tuple[list[str], set[str]]:
    drawn = random.sample(ids, KEPT + PLANTED)
    return drawn[:KEPT], set(drawn[KEPT:])


def _stock(corpus: Corpus, edition: Sequence[str]) -> tuple[Candidates, Rarity]:
    rarity = Rarity(corpus.terms[i] for i in edition)
    vectors = {number: rarity.weigh(corpus.terms[i]) for number, i in enumerate(edition)}
    return Candidates(vectors), rarity


def _suggest(
    corpus: Corpus,
    kept: Sequence[str],
    edition: Sequence[str],
    candidates: Candidates,
    rarity: Rarity,
) -> list[str]:
    liked = [rarity.weigh(corpus.terms[i]) for i in kept]
    return [edition[number] for number in suggest(liked, [], candidates)]


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the readers")
    rounds = 10 if parser.parse_args().quick else 40
    data = Path(os.environ.get("PAPERBOY_REAL_DATA", "../shared/data"))
    if not data.is_dir():
        print(
            f"bench/papers/ranking.py: no real data at {data}; set PAPERBOY_REAL_DATA",
            file=sys.stderr,
        )
        return 2
    figures = bench_standings() | bench_suggesting(data, rounds)
    machine = {"python": platform.python_version(), "cores": os.cpu_count()}
    print(json.dumps({**figures, **machine}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
