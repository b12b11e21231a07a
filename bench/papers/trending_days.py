"""Data and measures of `trending.py`: archived days of Hugging Face's daily papers, the orders that
are compared, and their precision against the final order.
"""

import ast
import gzip
import json
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from service.papers.domain.trending import PaperSignals, TrendScale, trend

TOP = 10
HOUR = timedelta(hours=1)

Score = Callable[[Sequence[PaperSignals], datetime], dict[int, float]]


@dataclass(frozen=True)
class Listed:
    """A paper of one day's list; `stars` are GitHub's, None where the archive has none."""

    key: str
    upvotes: int
    submitted_at: datetime | None
    stars: int | None


@dataclass(frozen=True)
class Day:
    on: str
    fetched_at: datetime
    papers: tuple[Listed, ...]

    @property
    def is_odd(self) -> bool:
        return int(self.on[-2:]) % 2 == 1


def read_days(data: Path) -> list[Day]:
    folder = data / "wire" / "hf_daily_papers" / "dev"
    days = []
    for line in map(json.loads, (folder / "MANIFEST.jsonl").read_text().splitlines()):
        with gzip.open(folder / f"{line['date']}.json.gz", "rt") as file:
            papers = tuple(read_paper(entry) for entry in read_entries(json.load(file)))
        days.append(Day(line["date"], datetime.fromisoformat(line["fetched_at"]), papers))
    return days


def read_entries(answer: Any) -> Iterator[dict[str, Any]]:
    """Yield the entries of a stored response; on 22 days the archive has them as Python literals."""
    for entry in answer["data"] if isinstance(answer, dict) else answer:
        yield ast.literal_eval(entry) if isinstance(entry, str) else entry


def read_paper(entry: Mapping[str, Any]) -> Listed:
    paper = entry["paper"]
    text = paper.get("submittedOnDailyAt")
    submitted_at = datetime.fromisoformat(text) if text else None
    return Listed(paper["id"], paper["upvotes"], submitted_at, paper.get("githubStars"))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as lines:
        yield from map(json.loads, lines)


def list_submitted(day: Day, by: datetime) -> list[tuple[Listed, datetime]]:
    """Return the day's papers that were listed some minutes before `by`, oldest identifier first."""
    known = [(paper, paper.submitted_at) for paper in day.papers if paper.submitted_at]
    listed = [pair for pair in known if by - pair[1] > timedelta(minutes=6)]
    return sorted(listed, key=lambda pair: pair[0].key)


# --- the orders


def score_ours(papers: Sequence[PaperSignals], now: datetime) -> dict[int, float]:
    return {i: one.rank_score for i, one in trend(papers, now).items()}


def score_with(pace: TrendScale) -> Score:
    return lambda papers, now: {i: one.rank_score for i, one in trend(papers, now, pace).items()}


def score_upvotes(papers: Sequence[PaperSignals], _: datetime) -> dict[int, float]:
    return {paper.paper_id: float(count_upvotes(paper)) for paper in papers}


def score_hacker_news(papers: Sequence[PaperSignals], now: datetime) -> dict[int, float]:
    """Return (votes - 1) / (hours + 2) ** 1.8, as Hacker News' ranking is commonly given."""
    return {
        paper.paper_id: (count_upvotes(paper) - 1) / ((now - paper.announced_at) / HOUR + 2) ** 1.8
        for paper in papers
    }


def score_newest(papers: Sequence[PaperSignals], _: datetime) -> dict[int, float]:
    return {paper.paper_id: float(paper.paper_id) for paper in papers}


def count_upvotes(paper: PaperSignals) -> int:
    return max((look.upvotes for look in paper.snapshots), default=0)


ORDERS: dict[str, Score] = {
    "ours": score_ours,
    "upvotes_so_far": score_upvotes,
    "hacker_news": score_hacker_news,
    "newest_first": score_newest,
}


# --- how an order is judged


def measure_precision(scores: Mapping[int, float], final: Mapping[int, float]) -> float:
    """Return the share of our first ten that reach the tenth-best final value; ties newest id first."""
    threshold = sorted(final.values(), reverse=True)[TOP - 1]
    ours = sorted(scores, key=lambda i: (scores[i], i), reverse=True)[:TOP]
    return sum(final[i] >= threshold for i in ours) / TOP


def correlate_ranks(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation; None where one side is constant."""
    if len(set(one)) < 2 or len(set(other)) < 2:
        return None
    return statistics.correlation(give_ranks(one), give_ranks(other))


def give_ranks(values: Sequence[float]) -> list[float]:
    count = Counter(values)
    below, ranks = 0, {}
    for value in sorted(count):
        ranks[value] = below + (count[value] - 1) / 2
        below += count[value]
    return [ranks[value] for value in values]


def compare(ours: Sequence[float], baseline: Sequence[float], draws: int) -> dict[str, float]:
    """Return the mean difference by day with its 95 % interval (bootstrap over days)."""
    differences = [a - b for a, b in zip(ours, baseline, strict=True)]
    random = Random(7)  # noqa: S311  # a repeatable draw, no secret
    means = sorted(
        statistics.mean(random.choices(differences, k=len(differences))) for _ in range(draws)
    )
    low, high = means[int(draws * 0.025)], means[int(draws * 0.975)]
    return {
        "mean": round_off(statistics.mean(differences)),
        "low": round_off(low),
        "high": round_off(high),
    }


def turn(rows: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def average_each(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: round_off(statistics.mean(column)) for name, column in values.items()}


def round_off(value: float) -> float:
    return round(value, 3)
