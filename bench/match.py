"""A morning's papers against everybody's topics, and the digests that come of it.

Three figures, all from rows in Postgres: `topics_per_s` distinct topics matched against the day
(papers read, index built, topics read, every subscription given its set of papers), `ratio_sql` that
rate over one indexed tsquery SELECT per topic on the same rows, and `digests_per_s` digests
matched, ranked, cut to size and frozen as rows. Two processes, as a worker of two cores has; the
peer gets two connections. Progress on stderr, one JSON object as the last line on stdout.
`--quick` does the same at a smaller size.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import psycopg
from match_topics import BenchPaper, count_vocabulary, draw_topics, read_papers
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from service.actions.compose import compose_chunk
from service.actions.edition_day import EditionDay
from service.actions.meaning import count_lexemes, learn_meanings
from service.actions.probes import make_probes
from service.config import Settings
from service.domain.matching import parse_tsvector
from service.domain.query import like_leaves, parse_query
from service.domain.query_tree import fold_words
from service.domain.types import Cadence
from service.embedded import Embedded
from service.store.canonicals import heal_topics, save_canonicals
from service.store.editions import assign_papers, find_edition, insert_edition, plan_chunks
from service.store.engine import make_engine, make_sessions, transaction
from service.store.migrate import upgrade
from service.store.models import PaperRow
from service.store.topic_sql import to_sql

ROOT = Path(__file__).resolve().parents[1]
NOW = datetime(2026, 9, 18, 5, tzinfo=UTC)
ON = NOW.date()
PROCESSES = 2
CHUNK = 1_000
READERS_AT_ONCE = 5_000
MADE_PROBES = 500


@dataclass(frozen=True)
class Size:
    papers: int
    topics: int
    subscriptions: int
    digests: int
    sql_topics: int


WHOLE = Size(1_500, 200_000, 1_000_000, 100_000, 2_000)
QUICK = Size(1_500, 20_000, 100_000, 10_000, 400)


def say(text: str) -> None:
    print(f"match: {text}", file=sys.stderr, flush=True)


def main() -> int:
    size = QUICK if "--quick" in sys.argv[1:] else WHOLE
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
    say(f"{size.papers:,} papers, {size.topics:,} topics, {size.subscriptions:,} subscriptions …")
    papers = read_papers(data, size.papers)
    store_papers(database_url, papers)
    corpus = read_papers(data, 30_000, size.papers)
    topics = draw_topics(corpus, size.topics, find_silent(database_url, count_vocabulary(corpus)))
    store_subscriptions(database_url, topics, size.subscriptions)
    store_edition(database_url, size)
    say("compiling topics …")
    compile_all(database_url)
    say("learning papers, making probes for like: …")
    probe_count = prepare_likes(database_url, topics, size)
    say("matching …")
    matched = run_matching(database_url, size)
    say(f"{size.topics / matched['seconds']:,.0f} topics/s; one SELECT a topic …")
    sql_per_s, agrees = run_sql(database_url, topics, size)
    say(f"{sql_per_s:,.0f} topics/s; composing {size.digests:,} digests …")
    composed = run_composing(database_url, size)
    say(f"{composed['digests_per_s']:,.0f} digests/s")
    topics_per_s = size.topics / matched["seconds"]
    return {
        "topics_per_s": round(topics_per_s),
        "match_seconds": round(matched["seconds"], 2),
        "pairs": matched["pairs"],
        "like_clauses": probe_count,
        "probes_made": min(MADE_PROBES, probe_count),
        "sql_topics_per_s": round(sql_per_s, 1),
        "sql_agrees": agrees,
        "ratio_sql": round(topics_per_s / sql_per_s, 1),
        **composed,
        "peak_mib": max(matched["peak_mib"], composed["compose_peak_mib"]),
        "match_peak_mib": matched["peak_mib"],
        "processes": PROCESSES,
        "size": asdict(size),
        "machine": f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}",
        "python": platform.python_version(),
    }


# --- the stage


def settings_of(database_url: str) -> Settings:
    return Settings(database_url=database_url)


def store_papers(database_url: str, papers: Sequence[BenchPaper]) -> None:
    columns = (
        "key, source, sources, identifier, version, title, title_raw, abstract, abstract_raw, authors,"
        " author_keys, categories, primary_category, first_announced_on, first_announced_at,"
        " announced_as, created_at, updated_at"
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY papers ({columns}) FROM STDIN") as copy,
        ):
            for number, paper in enumerate(papers):
                copy.write_row(_paper_row(number, paper))
        connection.execute("VACUUM (ANALYZE) papers")


def _paper_row(number: int, paper: BenchPaper) -> tuple[object, ...]:
    identifier = f"2609.{number:05d}"
    return (
        f"arxiv:{identifier}",
        "arxiv",
        ["arxiv"],
        identifier,
        1,
        paper.title,
        paper.title,
        paper.abstract,
        paper.abstract,
        list(paper.authors),
        list(paper.author_keys),
        list(paper.categories),
        paper.categories[0] if paper.categories else "",
        ON,
        NOW,
        "new",
        NOW,
        NOW,
    )


def find_silent(database_url: str, words: set[str]) -> set[str]:
    """The words of which Postgres indexes nothing."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT word, to_tsvector('english', word)::text FROM unnest(%s::text[]) AS word",
            [sorted(words)],
        )
        return {fold_words(word) for word, vector in rows if not parse_tsvector(vector)}


def store_subscriptions(database_url: str, topics: Sequence[str], count: int) -> None:
    """Readers with three topics each; every topic has a reader, the rest is drawn evenly."""
    chance = Random(3)  # noqa: S311  # the same readers in every run
    chosen = [*topics, *chance.choices(topics, k=count - len(topics))]
    chance.shuffle(chosen)
    readers = (count + 2) // 3
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        with cursor.copy(
            "COPY subscribers (id, email, email_key, state, cadence, hour, timezone, created_at)"
            " FROM STDIN"
        ) as copy:
            for number in range(1, readers + 1):
                address = f"reader-{number}@example.org"
                copy.write_row((number, address, address, "active", "daily", 7, "UTC", NOW))
        with cursor.copy(
            "COPY topics (subscriber_id, query, canonical, position, created_at) FROM STDIN"
        ) as copy:
            for reader in range(readers):
                # Who drew a topic twice has it once: a handful of a million.
                for at, topic in enumerate(dict.fromkeys(chosen[reader * 3 : reader * 3 + 3])):
                    copy.write_row((reader + 1, topic, topic, at, NOW))
        cursor.execute("ANALYZE")


def compile_all(database_url: str) -> None:
    """What saving the topics does, done for all of them at once."""
    with transaction(make_sessions(make_engine(database_url))) as session:
        heal_topics(session)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE) canonicals, clauses, topics")


def store_edition(database_url: str, size: Size) -> None:
    sessions = make_sessions(make_engine(database_url))
    with transaction(sessions) as session:
        edition = insert_edition(session, Cadence.DAILY, ON, NOW, sends_now=True)
        assert edition is not None
        edition.paper_count = assign_papers(session, edition, timedelta(days=14))
        assert edition.paper_count == size.papers
        plan_chunks(session, edition, CHUNK)


def prepare_likes(database_url: str, topics: Sequence[str], size: Size) -> int:
    """What a service has done before a morning: papers learned at ingest, probes when topics were saved.

    Making a probe asks the whole store and takes some 40 ms, so `MADE_PROBES` are made as the
    service makes them and stand, each in a row of its own, for the other clauses too.
    """
    sessions, settings = make_sessions(make_engine(database_url)), settings_of(database_url)
    assert learn_meanings(sessions, settings) == size.papers
    count_lexemes(sessions, settings)
    texts = sorted(
        {
            leaf.text
            for topic in topics
            if "like:" in topic
            for leaf in like_leaves(parse_query(topic)).values()
        }
    )
    with transaction(sessions) as session:
        make_probes(session, settings, texts[:MADE_PROBES])
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_COPY_PROBES, [texts[MADE_PROBES:], min(MADE_PROBES, len(texts))])
    return len(texts)


_COPY_PROBES = """
INSERT INTO probes (text, model, generation, dense, sparse, dense_factor, sparse_factor, threshold)
SELECT wanted.text, model, generation, dense, sparse, dense_factor, sparse_factor, threshold
FROM unnest(%s::text[]) WITH ORDINALITY AS wanted (text, number)
JOIN (SELECT *, row_number() OVER (ORDER BY id) - 1 AS place FROM probes) AS made
ON made.place = wanted.number %% %s
"""


# --- matching


def run_matching(database_url: str, size: Size) -> dict[str, Any]:
    readers = (size.subscriptions + 2) // 3
    half = readers // PROCESSES + 1
    ranges = [(n * half + 1, min(readers, (n + 1) * half)) for n in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(warm, [database_url] * PROCESSES))
        started = time.perf_counter()
        parts = list(pool.map(match_range, [database_url] * PROCESSES, ranges))
        seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "pairs": sum(pairs for pairs, _ in parts),
        "peak_mib": round(sum(peak for _, peak in parts)),
    }


def warm(database_url: str) -> None:
    """Let a process import what it needs before the clock starts; it reads no row."""
    make_engine(database_url)
    time.sleep(0.5)


def match_range(database_url: str, ids: tuple[int, int]) -> tuple[int, float]:
    """Every subscription of some readers: how many papers they are given in all; peak MiB."""
    sessions = make_sessions(make_engine(database_url))
    pairs = 0
    with transaction(sessions) as session:
        edition = find_edition(session, Cadence.DAILY, ON)
        assert edition is not None
        here = EditionDay(session, settings_of(database_url), edition)
        for start in range(ids[0], ids[1] + 1, READERS_AT_ONCE):
            some = range(start, min(start + READERS_AT_ONCE, ids[1] + 1))
            topics = here.read_topics(session, some)
            for own in topics.values():
                for topic in own:
                    pairs += here.day.find(topic.canonical).bit_count()
    return pairs, read_peak_mib()


def read_peak_mib() -> float:
    """The most memory this process has held. Not getrusage, which counts the parent's before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


# --- the peer


def run_sql(database_url: str, topics: Sequence[str], size: Size) -> tuple[float, bool]:
    """One SELECT a topic on as many connections; topics/s, and whether it finds what we find.

    The statements are written before the clock starts: it is Postgres that is measured, not
    whoever writes SQL.
    """
    chosen = [t for t in topics if not like_leaves(parse_query(t))][: size.sql_topics]
    statements = [_statement(topic) for topic in chosen]
    parts = [statements[n::PROCESSES] for n in range(PROCESSES)]
    started = time.perf_counter()
    with ThreadPoolExecutor(PROCESSES) as pool:
        counts = list(pool.map(_select_all, [database_url] * PROCESSES, parts))
    seconds = time.perf_counter() - started
    sessions = make_sessions(make_engine(database_url))
    with transaction(sessions) as session:
        edition = find_edition(session, Cadence.DAILY, ON)
        assert edition is not None
        here = EditionDay(session, settings_of(database_url), edition)
        here.learn(session, save_canonicals(session, chosen).values())
        found = {topic: here.day.find(topic).bit_count() for topic in chosen}
    ours = [[found[topic] for topic in chosen[n::PROCESSES]] for n in range(PROCESSES)]
    return len(chosen) / seconds, counts == ours


def _statement(topic: str) -> tuple[str, dict[str, Any]]:
    statement = select(PaperRow.id).where(to_sql(parse_query(topic)))
    dialect: Any = postgresql.psycopg.dialect  # a class that its library left untyped
    compiled = statement.compile(dialect=dialect())
    return compiled.string, dict(compiled.params)


def _select_all(database_url: str, statements: Sequence[tuple[str, dict[str, Any]]]) -> list[int]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return [len(connection.execute(text, values).fetchall()) for text, values in statements]


# --- composing


def run_composing(database_url: str, size: Size) -> dict[str, Any]:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute("SELECT id FROM edition_chunks ORDER BY id").fetchall()
    chunks = [row[0] for row in rows[: size.digests // CHUNK]]
    parts = [chunks[n::PROCESSES] for n in range(PROCESSES)]
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(warm, [database_url] * PROCESSES))
        started = time.perf_counter()
        peaks = list(pool.map(compose_chunks, [database_url] * PROCESSES, parts))
        seconds = time.perf_counter() - started
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE state = 'queued'), count(*),"
            " avg(cardinality(paper_ids)) FILTER (WHERE state = 'queued'),"
            " avg(jsonb_array_length((digest #>> '{}')::jsonb->'cut')) FILTER (WHERE state = 'queued'),"
            " avg(pg_column_size(digest)) FILTER (WHERE state = 'queued') FROM deliveries"
        ).fetchone()
    assert row is not None
    digests, readers, shown, cut, octets = row
    return {
        "digests_per_s": round(digests / seconds),
        "readers_per_s": round(readers / seconds),
        "digests": digests,
        "readers": readers,
        "compose_seconds": round(seconds, 2),
        "papers_shown": round(float(shown), 1),
        "papers_cut": round(float(cut), 1),
        "digest_octets": round(float(octets)),
        "compose_peak_mib": round(sum(peaks)),
    }


def compose_chunks(database_url: str, chunks: Sequence[int]) -> float:
    sessions = make_sessions(make_engine(database_url))
    for chunk in chunks:
        assert compose_chunk(sessions, settings_of(database_url), chunk, NOW)
    return read_peak_mib()


if __name__ == "__main__":
    sys.exit(main())
