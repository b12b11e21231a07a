"""Matching: one morning's papers against the topics of all subscribers, and the resulting digests.

All from rows in Postgres, on two processes, as in a worker with two cores:

- `match_seconds`, `topics_per_s`: the whole morning. Papers are read and indexed, a million rows of
  topics are read, and at the end every subscription has its set of papers. Both processes index the
  edition, and both look most distinct topics up, since subscribers are divided and not topics.
- `ratio_sql`: matching alone, compared with Postgres on two connections of two processes.
  Both sides begin with the index of the papers ready (theirs: GIN indexes and analysed rows; ours:
  the edition index in memory, which took `index_seconds`) and a list of topics new to every process;
  both end with the papers of each topic. Theirs is one SELECT per topic, written before the
  clock starts, in the form that is fastest here (`PEER_WAYS` are tried first). Ours
  reads the compiled topics and clauses from Postgres and looks every clause up for the first time;
  each process has half of the topics. Topics with `like:` are left out on both sides, as the peer
  does not support them. Both sides are run five times in turn (three with `--quick`), in fresh
  processes, and the best of each counts. `sql_agrees` checks that both find the same papers.
- `ratio_sql_whole`: the rate of the whole morning over the same peer's rate.
- `digests_per_s`: digests matched, ranked, cut to size and frozen as rows.

Progress on stderr, one JSON object as the last line on stdout. `--quick` does the same at a smaller
size.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
from matching.peer import choose_way, run_peer
from matching.processes import PROCESSES, run_together
from matching.stage import (
    CHUNK,
    NOW,
    Size,
    compile_all,
    find_silent,
    open_index,
    prepare_likes,
    settings_of,
    store_edition,
    store_papers,
    store_subscriptions,
)
from matching.topics import count_vocabulary, draw_topics, read_papers

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.deliveries.store.packed_digests import unpack_digest
from service.editions.compose import compose_chunk
from service.editions.edition_cache import EditionCache
from service.editions.match_topics import load_matched_topics, match_stored_topics
from service.platform.database.engine import make_engine, make_sessions, transaction
from service.platform.database.migrate import upgrade
from service.platform.embedded import Embedded

ROOT = Path(__file__).resolve().parents[1]
SUBSCRIBERS_AT_ONCE = 5_000
WHOLE = Size(
    papers=1_500, topics=200_000, subscriptions=1_000_000, digests=100_000, sql_topics=10_000,
    corpus=30_000, like_queries=500, rounds=5,
)  # fmt: skip
# The last three are what takes longest to set up, and what the figures depend on least.
QUICK = Size(
    papers=1_500, topics=20_000, subscriptions=100_000, digests=10_000, sql_topics=2_000,
    corpus=8_000, like_queries=100, rounds=3,
)  # fmt: skip


def say(text: str) -> None:
    print(f"match: {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    size = QUICK if parser.parse_args().quick else WHOLE
    data = Path(os.environ.get("PAPERBOY_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not data.is_dir():
        print(f"{data}: no real papers there; set PAPERBOY_REAL_DATA", file=sys.stderr)
        return 2
    with (
        tempfile.TemporaryDirectory(prefix="paperboy-match-") as home,
        Embedded(Path(home), valkey=False) as services,
    ):
        print(json.dumps(bench(services.database_url, data, size)))
    return 0


def bench(database_url: str, data: Path, size: Size) -> dict[str, Any]:
    upgrade(database_url)
    topics = set_the_stage(database_url, data, size)
    say("the whole morning …")
    matched = run_morning(database_url, size)
    say(f"{matched['topics_per_s']:,} topics/s; matching alone …")
    compared = run_comparison(database_url, topics, size, matched["topics_per_s"])
    say(f"{compared['ratio_sql']} times Postgres; composing {size.digests:,} digests …")
    composed = run_composing(database_url, size)
    say(f"{composed['digests_per_s']:,.0f} digests/s")
    return {
        **matched,
        **compared,
        **composed,
        "peak_mib": max(matched["match_peak_mib"], composed["compose_peak_mib"]),
        "processes": PROCESSES,
        "size": asdict(size),
        "machine": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}",
        "python": platform.python_version(),
    }


def set_the_stage(database_url: str, data: Path, size: Size) -> list[str]:
    """Store papers, subscribers and topics as they are before a morning; return the topics."""
    say(f"{size.papers:,} papers, {size.topics:,} topics, {size.subscriptions:,} subscriptions …")
    store_papers(database_url, read_papers(data, size.papers))
    corpus = read_papers(data, size.corpus, size.papers)
    topics = draw_topics(corpus, size.topics, find_silent(database_url, count_vocabulary(corpus)))
    store_subscriptions(database_url, topics, size.subscriptions)
    store_edition(database_url, size)
    say("compiling topics …")
    compile_all(database_url)
    say("learning papers, making probes for like: …")
    prepare_likes(database_url, topics, size.papers, size.like_queries)
    return topics


# --- the whole morning


def run_morning(database_url: str, size: Size) -> dict[str, Any]:
    subscribers = (size.subscriptions + 2) // 3
    half = subscribers // PROCESSES + 1
    ranges = [(n * half + 1, min(subscribers, (n + 1) * half)) for n in range(PROCESSES)]
    outcome = run_together(prepare_morning, database_url, ranges)
    return {
        "topics_per_s": round(size.topics / outcome.seconds),
        "match_seconds": round(outcome.seconds, 2),
        "match_cpu_seconds": round(outcome.cpu_seconds, 2),
        "pairs": sum(outcome.results),
        "match_peak_mib": round(outcome.peak_mib),
    }


def prepare_morning(database_url: str, ids: tuple[int, int]) -> Callable[[], int]:
    """Return the matching of some subscribers' topics, with all imports done and no row read yet."""
    sessions, settings = make_sessions(make_engine(database_url)), settings_of(database_url)

    def match() -> int:
        pairs = 0
        with transaction(sessions) as session:
            index = open_index(session)
            for start in range(ids[0], ids[1] + 1, SUBSCRIBERS_AT_ONCE):
                some = range(start, min(start + SUBSCRIBERS_AT_ONCE, ids[1] + 1))
                for own in load_matched_topics(
                    session, settings, index, some, all_likes=True
                ).values():
                    for topic in own:
                        pairs += index.find(topic.canonical).bit_count()
        return pairs

    return match


# --- matching alone, and the peer


def run_comparison(
    database_url: str, topics: Sequence[str], size: Size, whole_per_s: float
) -> dict[str, Any]:
    interest = find_askable(database_url)
    halves = [dict(list(interest.items())[n::PROCESSES]) for n in range(PROCESSES)]
    known = set(interest.values())
    sample = [topic for topic in topics if topic in known][: size.sql_topics]
    way = choose_way(database_url, sample)
    rounds = [
        (run_together(prepare_stored, database_url, halves), run_peer(database_url, sample, way))
        for _ in range(size.rounds)
    ]
    ours = min((mine for mine, _ in rounds), key=lambda one: one.seconds)
    peer = min((theirs for _, theirs in rounds), key=lambda one: one.seconds)
    counts = {topic: n for _, found in ours.results for topic, n in found.items()}
    found = {topic: n for some in peer.results for topic, n in some.items()}
    alone_per_s, sql_per_s = len(interest) / ours.seconds, len(sample) / peer.seconds
    return {
        "index_seconds": round(max(seconds for seconds, _ in ours.results), 2),
        "alone_seconds": round(ours.seconds, 3),
        "alone_cpu_seconds": round(ours.cpu_seconds, 2),
        "alone_topics": len(interest),
        "alone_topics_per_s": round(alone_per_s),
        "sql_topics_per_s": round(sql_per_s, 1),
        "sql_way": way.name,
        "sql_agrees": found == {topic: counts[topic] for topic in sample},
        "ratio_sql": round(alone_per_s / sql_per_s, 1),
        "ratio_sql_whole": round(whole_per_s / sql_per_s, 1),
    }


def find_askable(database_url: str) -> dict[int, str]:
    """Return the topics without `like:`, by the ids of their rows."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT id, text FROM canonicals WHERE text NOT LIKE '%like:%'")
        return dict(rows.fetchall())


def prepare_stored(
    database_url: str, topics: Mapping[int, str]
) -> Callable[[], Callable[[], tuple[float, dict[str, int]]]]:
    """Return the matching with the edition index ready, in a process without cached clauses."""
    session = make_sessions(make_engine(database_url))()
    began = time.perf_counter()
    index = open_index(session)
    index_seconds = time.perf_counter() - began

    def match() -> Callable[[], tuple[float, dict[str, int]]]:
        match_stored_topics(session, settings_of(database_url), index, topics, all_likes=True)
        return lambda: (
            index_seconds,
            {text: index.find(text).bit_count() for text in topics.values()},
        )

    return match


# --- composing


def run_composing(database_url: str, size: Size) -> dict[str, Any]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT id FROM edition_chunks ORDER BY id").fetchall()
    chunks = [row[0] for row in rows[: size.digests // CHUNK]]
    parts = [chunks[n::PROCESSES] for n in range(PROCESSES)]
    outcome = run_together(prepare_composing, database_url, parts)
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE state = 'queued'), count(*),"
            " avg(cardinality(paper_ids)) FILTER (WHERE state = 'queued'),"
            " avg(pg_column_size(digest)) FILTER (WHERE state = 'queued') FROM deliveries"
        ).fetchone()
        packed = connection.execute("SELECT digest FROM deliveries WHERE state = 'queued'")
        cut = statistics.mean(len(unpack_digest(one)["cut"]) for (one,) in packed)
    assert row is not None
    digests, subscribers, shown, octets = row
    return {
        "digests_per_s": round(digests / outcome.seconds),
        "readers_per_s": round(subscribers / outcome.seconds),
        "digests": digests,
        "readers": subscribers,
        "compose_seconds": round(outcome.seconds, 2),
        "compose_cpu_seconds": round(outcome.cpu_seconds, 2),
        "papers_shown": round(float(shown), 1),
        "papers_cut": round(cut, 1),
        "digest_octets": round(float(octets)),
        "compose_peak_mib": round(outcome.peak_mib),
    }


def prepare_composing(database_url: str, chunks: Sequence[int]) -> Callable[[], None]:
    sessions, cache = make_sessions(make_engine(database_url)), EditionCache()

    def compose() -> None:
        for chunk in chunks:
            compose_chunk(sessions, settings_of(database_url), chunk, NOW, cache)

    return compose


if __name__ == "__main__":
    sys.exit(main())
