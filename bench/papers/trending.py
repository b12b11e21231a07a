"""Trending compared with simpler orders, on real days of Hugging Face's daily papers.

Reads `PAPERBOY_REAL_DATA`. Four questions, each with its own data:
`pairs`   real:      of two real snapshots of one day, does the early order predict the final top ten?
`thinned` simulated: the same on real counts and real submission times, where the early snapshot is
                     thinned from the real one as if votes came at a decaying rate;
`lean`    real:      how much does an order favour papers only because they were listed earlier?
`fields`  real:      are small categories underrepresented among the first ten of several days?
The formula was tuned on odd days of the month (`tuning`); thinned, lean and fields are even days.
Progress on stderr, one JSON object as the last line on stdout. `--quick` repeats less.
"""

import json
import math
import os
import platform
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
for folder in ("bench", "tests"):
    sys.path.insert(0, str(ROOT / folder))

from support.oracles import rank_trends  # noqa: E402

from papers.trending_days import (  # noqa: E402  # the path must come first
    HOUR,
    ORDERS,
    TOP,
    Day,
    Listed,
    Score,
    average_each,
    compare,
    correlate_ranks,
    list_submitted,
    measure_precision,
    read_days,
    read_lines,
    round_off,
    score_upvotes,
    score_with,
    turn,
)
from service.papers.domain.trending import PaperSignals, Snapshot, TrendScale, trend  # noqa: E402

FEWEST = 15  # of fewer papers than this nearly any ten are the right ten
LEADS = (2.0, 4.0)
HALF_LIVES = (6.0, 12.0, 48.0)
SMOOTHINGS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
LISTED_HOUR = 2.0  # UTC; papers whose hour is known have a median of 1.8


# --- pairs: two real looks at one day


def bench_pairs(data: Path, days: Sequence[Day]) -> dict[str, Any]:
    """Compare each early snapshot with the same day as it was last archived."""
    last = {day.on: day for day in days}
    pairs = []
    for look in read_lines(data / "bulk" / "dev" / "hf_upvote_snapshots.jsonl.gz"):
        seen_at, day = datetime.fromisoformat(look["fetched_at"]), last[look["date"]]
        if seen_at < day.fetched_at:
            pairs.append(bench_pair(day, seen_at, look["upvotes"]))
    usable = [pair for pair in pairs if "precision" in pair]
    return {
        "days": len(usable),
        "precision": average_each(turn([pair["precision"] for pair in usable])),
        "precision_with_silent": average_each(
            turn([pair["precision_with_silent"] for pair in usable])
        ),
        "by_day": pairs,
    }


def bench_pair(day: Day, seen_at: datetime, early: Mapping[str, int]) -> dict[str, Any]:
    midnight = datetime.fromisoformat(day.on).replace(tzinfo=UTC)
    early_hours, late_hours = (seen_at - midnight) / HOUR, (day.fetched_at - midnight) / HOUR
    pair: dict[str, Any] = {
        "day": day.on,
        "early_hours": round_off(early_hours),
        "late_hours": round_off(late_hours),
        "papers_early": len(early),
        "papers_late": len(day.papers),
    }
    both = [paper for paper in day.papers if paper.key in early]
    if len(both) <= TOP:
        return pair
    gained = sum(paper.upvotes for paper in both) / sum(early[paper.key] for paper in both)
    return pair | {
        "upvotes_late_by_early": round_off(gained),
        "half_life_hours": fit_half_life(
            gained, early_hours - LISTED_HOUR, late_hours - LISTED_HOUR
        ),
        "precision": judge_pair(both, early, midnight, seen_at),
        "precision_with_silent": judge_pair(day.papers, early, midnight, seen_at),
    }


def fit_half_life(ratio: float, early: float, late: float) -> float:
    """Return the half-life at which votes at age `late` are `ratio` times those at `early`, by bisection."""
    low, high = 0.5, 500.0
    for _ in range(40):
        middle = (low + high) / 2
        share = -math.log(2) / middle
        low, high = (
            (middle, high)
            if math.expm1(late * share) / math.expm1(early * share) < ratio
            else (low, middle)
        )
    return round(low, 1)


def judge_pair(
    papers: Sequence[Listed], early: Mapping[str, int], midnight: datetime, seen_at: datetime
) -> dict[str, float]:
    """Judge one pair; its submission times are not recorded, so all count as announced at midnight."""
    listed = sorted(papers, key=lambda paper: paper.key)
    final = {i: float(paper.upvotes) for i, paper in enumerate(listed)}
    window = [
        PaperSignals(
            i, "", midnight, (Snapshot(seen_at, early[paper.key]),) if paper.key in early else ()
        )
        for i, paper in enumerate(listed)
    ]
    precision = {
        name: measure_precision(score(window, seen_at), final) for name, score in ORDERS.items()
    }
    return precision | {"chance": round_off(TOP / len(listed))}


# --- thinned: real counts and times, simulated moments of the votes


@dataclass(frozen=True)
class Thinning:
    """A simulated snapshot `lead_hours` before the real one; votes decay by `half_life_hours`.

    The truth is the real count, or that count projected to the end of the paper's life.
    """

    lead_hours: float
    half_life_hours: float
    is_projected: bool

    def share_by(self, span: timedelta) -> float:
        """Return the share of all its votes that a paper has after a time."""
        return -math.expm1(-span / HOUR / self.half_life_hours * math.log(2))

    def value(self, paper: Listed, age: timedelta) -> float:
        return paper.upvotes / (self.share_by(age) if self.is_projected else 1)


def judge_thinned(
    days: Sequence[Day], orders: Mapping[str, Score], repeats: int, thinning: Thinning
) -> dict[str, list[float]]:
    """Return the precision of every order on every day with enough papers in the early snapshot."""
    random = Random(11)  # noqa: S311  # a repeatable draw, no secret
    by_order: dict[str, list[float]] = {name: [] for name in orders}
    for day in days:
        early_at = day.fetched_at - timedelta(hours=thinning.lead_hours)
        papers = list_submitted(day, early_at)
        if len(papers) < FEWEST:
            continue
        final = {
            i: thinning.value(paper, day.fetched_at - at) for i, (paper, at) in enumerate(papers)
        }
        draws = [thin(papers, day, thinning, random) for _ in range(repeats)]
        for name, score in orders.items():
            hits = (measure_precision(score(draw, early_at), final) for draw in draws)
            by_order[name].append(statistics.mean(hits))
    return by_order


def thin(
    papers: Sequence[tuple[Listed, datetime]], day: Day, thinning: Thinning, random: Random
) -> list[PaperSignals]:
    """Return an earlier snapshot of the day, in which each real vote is present by chance."""
    early_at = day.fetched_at - timedelta(hours=thinning.lead_hours)
    window = []
    for i, (paper, at) in enumerate(papers):
        share = thinning.share_by(early_at - at) / thinning.share_by(day.fetched_at - at)
        votes = sum(random.random() < share for _ in range(paper.upvotes))
        window.append(PaperSignals(i, "", at, (Snapshot(early_at, votes),)))
    return window


def bench_thinned(days: Sequence[Day], repeats: int, draws: int) -> list[dict[str, Any]]:
    rows = []
    for lead, half_life, is_projected in product(LEADS, HALF_LIVES, (False, True)):
        by_order = judge_thinned(days, ORDERS, repeats, Thinning(lead, half_life, is_projected))
        rows.append(
            {
                "lead_hours": lead,
                "half_life_hours": half_life,
                "truth": "projected" if is_projected else "count",
                "days": len(by_order["ours"]),
                "precision": average_each(by_order),
                "ours_minus_upvotes": compare(by_order["ours"], by_order["upvotes_so_far"], draws),
            }
        )
    return rows


def tune(days: Sequence[Day], repeats: int) -> dict[str, float]:
    """Return mean precision by hours of smoothing, at the same half-life as the thinning."""
    orders = {f"{hours:g}": score_with(TrendScale(smoothing_hours=hours)) for hours in SMOOTHINGS}
    found = [
        average_each(judge_thinned(days, orders, repeats, Thinning(lead, 12.0, is_projected)))
        for lead, is_projected in product(LEADS, (False, True))
    ]
    return {name: round_off(statistics.mean(one[name] for one in found)) for name in orders}


# --- lean and fields: one real look


def bench_lean(days: Sequence[Day], draws: int) -> dict[str, Any]:
    """Return rank correlations within each day: of a score with the paper's age and GitHub's stars.

    Stars were given elsewhere and mostly before, so they do not depend on the hour of listing.
    """
    by_age: dict[str, list[float]] = {name: [] for name in (*ORDERS, "age")}
    by_stars: dict[str, list[float]] = {name: [] for name in (*ORDERS, "age")}
    for day in days:
        papers = list_submitted(day, day.fetched_at)
        scores = score_look(papers, day.fetched_at)
        starred = [i for i, (paper, _) in enumerate(papers) if paper.stars is not None]
        add_correlations(by_age, scores, range(len(papers)), scores["age"])
        add_correlations(by_stars, scores, starred, [p.stars or 0 for p, _ in papers])
    return {
        "days_age": len(by_age["ours"]),
        "days_stars": len(by_stars["ours"]),
        "with_age": average_each(by_age),
        "with_stars": average_each(by_stars),
        "stars_ours_minus_upvotes": compare(by_stars["ours"], by_stars["upvotes_so_far"], draws),
    }


def score_look(
    papers: Sequence[tuple[Listed, datetime]], seen_at: datetime
) -> dict[str, dict[int, float]]:
    window = [
        PaperSignals(i, "", at, (Snapshot(seen_at, paper.upvotes),))
        for i, (paper, at) in enumerate(papers)
    ]
    ages = {i: (seen_at - at) / HOUR for i, (_, at) in enumerate(papers)}
    return {name: score(window, seen_at) for name, score in ORDERS.items()} | {"age": ages}


def add_correlations(
    found: dict[str, list[float]],
    scores: Mapping[str, Mapping[int, float]],
    which: Sequence[int],
    truth: Mapping[int, float] | Sequence[float],
) -> None:
    """Add one day's correlations, if every order has one (at least five papers)."""
    day = {
        name: correlate_ranks([scores[name][i] for i in which], [truth[i] for i in which])
        for name in found
    }
    if len(which) >= 5 and None not in day.values():
        for name, value in day.items():
            found[name].append(value or 0.0)


def bench_fields(data: Path, days: Sequence[Day]) -> dict[str, Any]:
    """Return figures of the first ten of five listing days, where an arXiv archive has the category.

    `small_fields` is the share of papers outside the window's two largest categories. The votes of
    each paper are those of its own day.
    """
    primary = {
        paper["id"]: paper["categories"][0]
        for paper in read_lines(data / "bulk" / "dev" / "arxiv_cs.jsonl.gz")
        if paper["categories"]
    }
    rows = []
    for end, day in enumerate(days):
        window = pool(days[max(0, end - 4) : end + 1], primary)
        if not day.is_odd and len(window) >= FEWEST:
            rows.append(judge_fields(window, day.fetched_at))
    return {"windows": len(rows), **average_each(turn(rows))}


def pool(days: Sequence[Day], primary: Mapping[str, str]) -> list[PaperSignals]:
    listed = [
        (paper, at, day.fetched_at)
        for day in days
        for paper, at in list_submitted(day, day.fetched_at)
        if paper.key in primary
    ]
    listed.sort(key=lambda one: one[0].key)
    return [
        PaperSignals(i, primary[paper.key], at, (Snapshot(seen_at, paper.upvotes),))
        for i, (paper, at, seen_at) in enumerate(listed)
    ]


def judge_fields(window: Sequence[PaperSignals], now: datetime) -> dict[str, float]:
    field_of = {paper.paper_id: paper.primary_category for paper in window}
    large = {field for field, _ in Counter(field_of.values()).most_common(2)}
    ours = rank_trends(trend(window, now))[:TOP]
    votes = score_upvotes(window, now)
    theirs = sorted(votes, key=lambda i: (votes[i], i), reverse=True)[:TOP]
    firsts = {"window": list(field_of), "ours": ours, "upvotes_so_far": theirs}
    shares = {
        f"small_fields_{name}": statistics.mean(field_of[i] not in large for i in ids)
        for name, ids in firsts.items()
    }
    return shares | {"papers": len(window), "in_common": len(set(ours) & set(theirs)) / TOP}


# --- the report


def describe_data(days: Sequence[Day]) -> dict[str, int]:
    listed = Counter(paper.key for day in days for paper in day.papers)
    return {
        "days": len(days),
        "papers": len(listed),
        "papers_on_several_days": sum(count > 1 for count in listed.values()),
        "days_in_order_of_upvotes": sum(
            list(day.papers) == sorted(day.papers, key=lambda p: -p.upvotes) for day in days
        ),
        "papers_with_submission_time": sum(
            paper.submitted_at is not None for day in days for paper in day.papers
        ),
    }


def describe_machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cores": os.cpu_count(),
        "cpu": names[0] if names else platform.processor(),
        "python": platform.python_version(),
    }


def say(what: str) -> None:
    print(f"trending: {what} …", file=sys.stderr, flush=True)


def main() -> int:
    is_quick = "--quick" in sys.argv[1:]
    repeats, draws = (3, 1000) if is_quick else (20, 10000)
    data = (ROOT / os.environ.get("PAPERBOY_REAL_DATA", "../shared/data")).resolve()
    if not data.is_dir():
        print("PAPERBOY_REAL_DATA names no directory: no real days to measure", file=sys.stderr)
        return 1
    started = time.perf_counter()
    say("reading the archive of daily papers")
    days = read_days(data)
    odd, even = [day for day in days if day.is_odd], [day for day in days if not day.is_odd]
    result: dict[str, Any] = {"quick": is_quick, "sizes": describe_data(days)}
    say("pairs of real looks")
    result["pairs"] = bench_pairs(data, days)
    say("thinned looks of even days")
    result["thinned"] = bench_thinned(even, repeats, draws)
    say("what one look says on even days")
    result["lean"] = bench_lean(even, draws)
    result["fields"] = bench_fields(data, days)
    say("smoothing on odd days")
    result["tuning_odd_days"] = tune(odd, repeats)
    result["machine"] = describe_machine()
    result["seconds"] = round(time.perf_counter() - started, 1)
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
