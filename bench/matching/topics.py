"""Papers and topics for `match.py`: real papers, as many as of one day, topics from their words."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from service.papers.domain.author_keys import author_index_keys
from service.papers.domain.categories import canonical_category, is_known
from service.papers.domain.latex.readable import to_readable, to_readable_line
from service.topics.domain.language import QueryError, canonical, parse_query

_QUOTES = str.maketrans("", "", '"“”„‟')
# The shares of the kinds of topics in the specification of the bench.
PHRASES, CATEGORIES, AUTHORS, EXCLUSIONS, LIKES = 0.20, 0.30, 0.05, 0.10, 0.05


@dataclass(frozen=True)
class BenchPaper:
    """A real paper with readable TeX, and the words of its text in order."""

    title: str
    abstract: str
    authors: tuple[str, ...]
    author_keys: tuple[str, ...]
    categories: tuple[str, ...]
    words: tuple[str, ...]


def read_papers(data: Path, count: int, skip: int = 0) -> list[BenchPaper]:
    """Return `count` papers of arXiv's cs archives as they were announced, after the first `skip`."""
    with gzip.open(data / "bulk/dev/arxiv_cs.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [_read(json.loads(line)) for line in islice(lines, skip, skip + count)]


def _read(record: dict[str, Any]) -> BenchPaper:
    title, abstract = to_readable_line(record["title"]), to_readable(record["abstract"])
    authors = tuple(to_readable_line(name) for name in record["authors"])
    return BenchPaper(
        title,
        abstract,
        authors,
        tuple(sorted({key for name in authors for key in author_index_keys(name)})),
        tuple(dict.fromkeys(canonical_category(c) for c in record["categories"] if is_known(c))),
        tuple(f"{title} {abstract}".translate(_QUOTES).split()),
    )


def draw_topics(papers: Sequence[BenchPaper], count: int, silent: set[str]) -> list[str]:
    """Return `count` different topics in canonical text; words have their frequency in the corpus.

    `silent`: folded words that Postgres does not index, with which no topic can be saved.
    """
    chance = Random(7)  # noqa: S311  # the same topics in every run
    topics: dict[str, None] = {}
    while len(topics) < count:
        try:
            topics[canonical(parse_query(_draw(chance, papers, silent)))] = None
        except QueryError:
            continue
    return list(topics)


def _draw(chance: Random, papers: Sequence[BenchPaper], silent: set[str]) -> str:
    if chance.random() < LIKES:
        paper = chance.choice(papers)
        start = chance.randrange(max(1, len(paper.words) - 12))
        return f'like:"{" ".join(paper.words[start : start + 12])}"'
    clauses = []
    if chance.random() < PHRASES:
        clauses.append(_phrase(chance, papers, silent))
    else:
        clauses += [_word(chance, papers, silent) for _ in range(chance.choice([1, 2, 2, 2, 3]))]
    if chance.random() < CATEGORIES:
        clauses.append(f"cat:{_of(chance, papers, 'categories')}")
    if chance.random() < AUTHORS:
        clauses = [f'au:"{_of(chance, papers, "authors").translate(_QUOTES)}"']
    if chance.random() < EXCLUSIONS:
        clauses.append(f"-{_word(chance, papers, silent)}")
    return " ".join(clauses)


def _of(chance: Random, papers: Sequence[BenchPaper], field: str) -> str:
    while True:
        values: Sequence[str] = getattr(chance.choice(papers), field)
        if values:
            return chance.choice(values)


def _iterate_words(
    chance: Random, papers: Sequence[BenchPaper]
) -> Iterator[tuple[BenchPaper, int]]:
    while True:
        paper = chance.choice(papers)
        yield paper, chance.randrange(len(paper.words))


def _word(chance: Random, papers: Sequence[BenchPaper], silent: set[str]) -> str:
    for paper, at in _iterate_words(chance, papers):
        word = paper.words[at].strip(".,;:()[]!?'").lower()
        if word.isalnum() and word not in silent:
            return word
    raise AssertionError("the stream of words has no end")


def _phrase(chance: Random, papers: Sequence[BenchPaper], silent: set[str]) -> str:
    for paper, at in _iterate_words(chance, papers):
        words = [
            w.strip(".,;:()[]!?'").lower() for w in paper.words[at : at + chance.choice([2, 3])]
        ]
        is_plain = len(words) > 1 and all(word.isalnum() for word in words)
        if is_plain and words[0] not in silent and words[-1] not in silent:
            return f'"{" ".join(words)}"'
    raise AssertionError("the stream of words has no end")


def count_vocabulary(papers: Sequence[BenchPaper]) -> set[str]:
    """Return every word that may be drawn for a topic, folded."""
    return {word.strip(".,;:()[]!?'").lower() for paper in papers for word in paper.words}
