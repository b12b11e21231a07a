"""Does *Start from papers you have* find the rest of what somebody reads? Beside BM25 with the same file.

    .venv/bin/python bench/seed.py [--quick] [--embedder minilm] [--papers N] [--draws N] [--cache FILE]

The 90 papers of the page that this project is modelled on are drawn in two halves, ten times. One
half, as a BibTeX file of titles and abstracts, makes the proposal, of which what is ticked by itself
is taken; the other 45 hide among 1,500 papers of another kind. *found* is the share of the 45, *matched* the share
of the day. The like queries are calibrated on the remaining papers alone: neither the day nor the
hidden papers, as for a reader who signs up today.

BM25 ranks the day by the words of all papers of the file, and is cut at the same share of the day;
`needs` is the share of the day that it needs to find as many of the 45. *known*: the papers of the
file are stored here. *unknown*: none is, so that a group is a `like:` of words. `better` counts the
draws in which the proposal beats BM25 in both figures. `--from N` takes other draws, to tune on.
`--cache` keeps the vectors between runs. The last line on stdout is one JSON object.
"""

import argparse
import json
import os
import platform
import random
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from similarity.cache import CachedEmbedder
from similarity.judged_topics import JudgedPaper, read_papers
from similarity.store import Stored, stored_papers
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.papers.domain.references import ReferenceFile, title_key
from service.papers.reference_files.read import read_references
from service.papers.store.models import Paper
from service.platform.database.text_formats import is_among
from service.similarity import like_paper
from service.similarity.domain.bm25 import weigh_paper
from service.similarity.domain.calibration import ReferenceScores, Target
from service.similarity.embed_papers import learn_meanings
from service.similarity.embeddings.embedders import load_embedder
from service.similarity.store.corpus import scan_pool
from service.similarity.store.vectors import like_condition, select_texts
from service.topics.domain.language import like_leaves, parse_query
from service.topics.domain.proposal import ProposalKind
from service.topics.like_queries import load_like_query
from service.topics.propose import Proposal, propose_topics
from service.topics.store.to_sql import to_sql

DAY, HALF = 1_500, 45
MEASURES = ("found", "matched", "bm25_found", "bm25_needs", "topics")


@dataclass(frozen=True, slots=True)
class Draw:
    """The identifiers of one draw: the file, the hidden papers, and the other papers of the day."""

    file: Sequence[str]
    hidden: Sequence[str]
    day: Sequence[str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="--papers 2600 --draws 2")
    parser.add_argument("--papers", type=int, help="stored papers beside the 90; 4,000 by default")
    parser.add_argument("--draws", type=int, help="10 by default")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first draw's number")
    parser.add_argument("--cache", type=Path, help="a .npz file of vectors, made if need be")
    parser.add_argument("--embedder", choices=("minilm", "wordllama"), default="wordllama")
    given = parser.parse_args()
    folder = Path(os.environ.get("PAPERBOY_REAL_DATA", "../shared/data"))
    if not folder.is_dir():
        print(f"bench/seed.py: no real data at {folder}", file=sys.stderr)
        return 2
    seeds = read_seeds(folder)
    count = given.papers or (2_600 if given.quick else 4_000)
    papers = read_others(folder, seeds, count) | seeds
    embedder = CachedEmbedder(load_embedder(given.embedder), given.cache)
    draws = [
        draw(seeds, papers, given.first + n)
        for n in range(given.draws or (2 if given.quick else 10))
    ]
    with (
        patch("service.similarity.like_paper.load_embedder", lambda _: embedder),
        patch("service.topics.propose.load_embedder", lambda _: embedder),
        tempfile.TemporaryDirectory() as home,
        stored_papers(Path(home), papers, given.embedder) as stored,
    ):
        say("embedding …")
        learn_meanings(stored.sessions, stored.settings)
        stored.count()
        rows = {
            kind: [measure(stored, papers, each, kind) for each in draws]
            for kind in ("known", "unknown")
        }
        embedder.save()
    figures = {"embedder": given.embedder, "stored": len(papers), "draws": len(draws), "day": DAY}
    for kind, found in rows.items():
        figures |= summarize(kind, found)
    print(json.dumps(figures | {"python": platform.python_version(), "cores": os.cpu_count()}))
    return 0


def read_seeds(folder: Path) -> dict[str, JudgedPaper]:
    """Return the 90 papers; the page gives no identifiers, so they get some of arXiv's first month."""
    lines = (folder / "seed/daily_papers_page.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    named = [(f"0704.{row['rank']:04d}", row) for row in rows]
    return {i: JudgedPaper(i, row["title"], row["abstract"], (), "seed") for i, row in named}


def read_others(
    folder: Path, seeds: Mapping[str, JudgedPaper], count: int
) -> dict[str, JudgedPaper]:
    """Return papers of all the bulk collections, drawn with one seed, none of the 90 among them."""
    titles = {title_key(paper.title) for paper in seeds.values()}
    papers = read_papers(folder)
    others = sorted(i for i, paper in papers.items() if title_key(paper.title) not in titles)
    random.Random(7).shuffle(others)  # noqa: S311  # a sample, no secret
    return {i: papers[i] for i in others[:count]}


def draw(seeds: Mapping[str, JudgedPaper], papers: Mapping[str, JudgedPaper], number: int) -> Draw:
    chance = random.Random(number)  # noqa: S311  # a draw, no secret
    own, others = sorted(seeds), sorted(papers.keys() - seeds.keys())
    chance.shuffle(own)
    chance.shuffle(others)
    return Draw(own[:HALF], own[HALF:], others[:DAY])


def write_bibtex(papers: Mapping[str, JudgedPaper], identifiers: Sequence[str]) -> bytes:
    entries = (
        f"@misc{{paper{n},\n  title = {{{papers[i].title}}},\n  abstract = {{{papers[i].abstract}}}\n}}\n"
        for n, i in enumerate(identifiers)
    )
    return "\n".join(entries).encode()


def measure(
    stored: Stored, papers: Mapping[str, JudgedPaper], drawn: Draw, kind: str
) -> dict[str, float]:
    file = read_references(write_bibtex(papers, drawn.file))
    with stored.sessions() as session:
        proposal = propose_from(session, stored, file, kind)
        day = [*drawn.hidden, *drawn.day]
        unseen = [stored.ids[stored.place[i]] for i in (*drawn.file, *day)]
        matched = match(session, stored, proposal, unseen)
        order = rank_by_bm25(session, stored, drawn.file, day)
    hidden = {stored.ids[stored.place[i]] for i in drawn.hidden}
    matched &= {stored.ids[stored.place[i]] for i in day}
    hits = len(matched & hidden)
    right = [paper_id in hidden for paper_id in order]
    needed = next((n for n in range(len(right) + 1) if sum(right[:n]) >= hits), len(right))
    figures = {
        "found": hits / HALF,
        "matched": len(matched) / len(day),
        "bm25_found": sum(right[: len(matched)]) / HALF,
        "bm25_needs": needed / len(day),
        "topics": float(sum(topic.is_ticked for topic in proposal.topics)),
    }
    say(kind, " ".join(f"{name} {value:.3f}" for name, value in figures.items()))
    return figures


def propose_from(session: Session, stored: Stored, file: ReferenceFile, kind: str) -> Proposal:
    assert file.entry_count == len(file.references) == HALF
    if kind == "unknown":
        with patch("service.topics.propose.match_references", lambda *_: {}):
            return propose_topics(session, stored.settings, file)
    proposal = propose_topics(session, stored.settings, file)
    assert len(proposal.found) == HALF
    return proposal


def match(session: Session, stored: Stored, proposal: Proposal, unseen: Sequence[int]) -> set[int]:
    """Return the papers among `unseen` that a ticked topic matches; they calibrate nothing."""

    def scan(own: Session, model: str, target: Target, without: Sequence[int]) -> ReferenceScores:
        return scan_pool(own, model, target, [*without, *unseen])

    matched: set[int] = set()
    for topic in proposal.topics:
        if topic.is_ticked and topic.kind is ProposalKind.GROUP:
            query = parse_query(topic.query)
            likes = {
                clause: like_condition(load_like_query(session, stored.settings, leaf.text, scan))
                for clause, leaf in like_leaves(query).items()
            }
            condition = to_sql(query, likes=likes)
            matched |= {
                *session.scalars(select(Paper.id).where(condition, is_among(Paper.id, unseen)))
            }
    return matched


def rank_by_bm25(
    session: Session, stored: Stored, file: Sequence[str], day: Sequence[str]
) -> list[int]:
    """Return the day's papers by BM25 with all words of the file, none left out."""
    asked = select_texts(session, [stored.ids[stored.place[i]] for i in file])
    corpus = like_paper.load_corpus(session, like_paper.lexemes_of(asked))
    weights: dict[str, float] = {}
    for text in asked:
        for lexeme, weight in like_paper.rare_words(text, corpus).items():
            weights[lexeme] = weights.get(lexeme, 0.0) + weight
    texts = select_texts(session, [stored.ids[stored.place[i]] for i in day])
    scores = {
        text.paper_id: sum(
            weight * weights.get(lexeme, 0.0)
            for lexeme, weight in weigh_paper(text.title_lexemes, text.abstract_lexemes).items()
        )
        for text in texts
    }
    return sorted(scores, key=lambda paper_id: (-scores[paper_id], paper_id))


def summarize(kind: str, rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    figures = {}
    for name in MEASURES:
        values = [row[name] for row in rows]
        figures[f"{kind}_{name}"] = round(statistics.fmean(values), 3)
        figures[f"{kind}_{name}_sd"] = round(statistics.stdev(values), 3)
    found = figures[f"{kind}_found"] / (figures[f"{kind}_bm25_found"] or 1)
    needs = figures[f"{kind}_matched"] / (figures[f"{kind}_bm25_needs"] or 1)
    better = sum(
        row["found"] > row["bm25_found"] and row["matched"] < row["bm25_needs"] for row in rows
    )
    # Above 1 and below 1 is better than BM25.
    ratios = {"found_ratio": round(found, 2), "day_ratio": round(needs, 2), "better": better}
    return figures | {f"{kind}_{name}": value for name, value in ratios.items()}


def say(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
