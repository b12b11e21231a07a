"""Whether excerpts say what was done or found: hand-labelled abstracts of `bulk/dev`.

    .venv/bin/python bench/papers/excerpts.py [--fit]

Half of the abstracts only judge; `--fit` shows the other half, which the weights were fitted to. An
excerpt says it where it shows a labelled sentence whole. `before` is the first sentences that fit,
`now` the telling ones. docs/excerpts.md has the rule of labelling. The last line on stdout is one JSON
object.
"""

import argparse
import gzip
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.papers.domain.latex.readable import to_readable, to_readable_line
from service.presentation.excerpts import read_excerpts, telling_excerpt
from service.presentation.highlight import first_sentences

LABELS = Path(__file__).with_name("labelled_sentences.jsonl")
# The longest excerpts of mails (also where a mail is too large) and of pages.
LIMITS = (350, 240, 220)
TIMED = 1_500


@dataclass(frozen=True)
class Labelled:
    """An abstract as it is stored, with those of its sentences that tell."""

    group: str
    title: str
    abstract: str
    tells: tuple[str, ...]


def read_labelled(folder: Path, half: str) -> list[Labelled]:
    """Return the labelled abstracts of `fit` or `judge`. Raises `ValueError` where the data differ."""
    labels = [json.loads(line) for line in LABELS.read_text().splitlines()]
    wanted = {(row["file"], row["id"], row["length"]): row for row in labels}
    found: dict[str, Labelled] = {}
    for name in sorted({row["file"] for row in labels}):
        for record in read_records(folder, name):
            abstract = _squeeze(record["abstract"] or "")
            row = wanted.get((name, str(record["id"]), len(abstract)))
            if row and row["half"] == half:
                found[row["id"]] = _labelled(row, record["title"], abstract)
    if len(found) != sum(row["half"] == half for row in labels):
        raise ValueError(f"{folder} does not hold the abstracts that were labelled")
    return list(found.values())


def read_records(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(folder / "bulk" / "dev" / f"{name}.jsonl.gz", "rt") as lines:
        yield from map(json.loads, lines)


def _labelled(row: dict[str, Any], title: str, abstract: str) -> Labelled:
    tells = tuple(_squeeze(to_readable(abstract[start:end])) for start, end in row["tells"])
    return Labelled(row["group"], to_readable_line(title), _squeeze(to_readable(abstract)), tells)


def _squeeze(text: str) -> str:
    return " ".join(text.split())


def share_that_says(papers: Sequence[Labelled], show: Callable[[Labelled], str]) -> float:
    """Return the share of papers whose excerpt holds a labelled sentence, in percent."""
    said = sum(any(tells in show(paper) for tells in paper.tells) for paper in papers)
    return round(100 * said / len(papers), 1)


def measure(papers: Sequence[Labelled], limit: int) -> dict[str, float]:
    """Return both shares and the mean length in characters at a limit."""

    def before(paper: Labelled) -> str:
        return first_sentences(paper.abstract, limit)

    def now(paper: Labelled) -> str:
        return telling_excerpt(paper, limit)

    figures = {
        "says_before": share_that_says(papers, before),
        "says_now": share_that_says(papers, now),
        "characters_before": round(sum(len(before(one)) for one in papers) / len(papers)),
        "characters_now": round(sum(len(now(one)) for one in papers) / len(papers)),
    }
    for group in dict.fromkeys(paper.group for paper in papers):
        some = [paper for paper in papers if paper.group == group]
        figures[f"says_now_{group}"] = share_that_says(some, now)
    return figures


def measure_speed(folder: Path) -> dict[str, float]:
    """Return microseconds of processor time for the excerpts of a paper, and mean lengths."""
    records = [
        record for _, record in zip(range(TIMED), read_records(folder, "arxiv_cs"), strict=False)
    ]
    papers = [
        (to_readable_line(one["title"]), to_readable(one["abstract"] or "")) for one in records
    ]
    began = time.process_time()
    shown = [read_excerpts(*paper, LIMITS[0]).show() for paper in papers]
    took = time.process_time() - began
    first = [first_sentences(abstract, LIMITS[0]) for _, abstract in papers]
    return {
        "us_per_paper": round(took / len(papers) * 1e6),
        "characters_before_day": round(sum(map(len, first)) / len(first)),
        "characters_now_day": round(sum(map(len, shown)) / len(shown)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--fit", action="store_true", help="the half that the weights were fitted to"
    )
    half = "fit" if parser.parse_args().fit else "judge"
    folder = Path(os.environ.get("PAPERBOY_REAL_DATA", "../shared/data"))
    if not folder.is_dir():
        print(
            f"bench/papers/excerpts.py: no real data at {folder}; set PAPERBOY_REAL_DATA",
            file=sys.stderr,
        )
        return 2
    papers = read_labelled(folder, half)
    print(f"{len(papers)} labelled abstracts, half {half}", file=sys.stderr)
    figures: dict[str, Any] = {f"limit_{limit}": measure(papers, limit) for limit in LIMITS}
    print(json.dumps({"half": half, **figures, **measure_speed(folder)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
