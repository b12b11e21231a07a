"""A morning: from "the day is complete" to the last 250, with the default settings.

    .venv/bin/python bench/morning.py [--quick] [--subscribers 100000] [--topics 8000]
    .venv/bin/python bench/morning.py --composed 1000000

Subscribers with three topics each, drawn from a corpus, 1,500 real papers, twelve of them in a mail on
average, all due at once. The processes of `paperboy up` compose and send, with PostgreSQL on disk,
Valkey, and Debian's smtp-sink. Nothing is set but addresses. With `--composed` so many digests are
composed and frozen, and the run ends when 100,000 are sent.

Then smtp-source sends messages of the same size to the same kind of sink. Reads `PAPERBOY_REAL_DATA`;
progress on stderr, one JSON object as the last line on stdout. Exit status 1 if a digest was not sent,
or the sink took a second copy.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from celery import Celery
from mornings.rows import PAPERS, PAPERS_A_MAIL, TOPICS, complete_day, store_morning
from mornings.taken import Taken, find_faults
from mornings.watching import Watch, find_valkey, growth, read_sizes, share_among
from sending.cpu import find_postgres
from sending.sizes import message_sizes
from sending.wire import INSTALL, find_tools, free_port, run_sink, source_rate

from service.cli.processes import LOOPBACK, Stack, beat_schedule
from service.papers.domain.source_names import SOURCE_NAMES
from service.platform.clock import system_clock
from service.platform.database.engine import make_engine, make_sessions
from service.platform.database.migrate import upgrade
from service.platform.embedded import Embedded, EmbeddedServices
from service.platform.logs import configure
from service.platform.queue import make_enqueue
from service.platform.settings.env_file import ENV_FILE
from service.platform.settings.load import load_settings
from service.platform.settings.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
KEY = "a-key-that-is-only-used-in-benches"
SUBSCRIBERS, QUICK_SUBSCRIBERS = 100_000, 10_000
# Of a `--composed` run.
SENT = 100_000
# Two processes of `worker-send`, as `paperboy up` starts it.
PROCESSES = 2
# The papers of a mail may differ so much from what was planned.
TOLERANCE = 0.15
LOOK_SECONDS = 0.1
READY_SECONDS = 60.0
# Sending this slowly, a run is stuck.
LEAST_PER_SECOND, LEAST_SECONDS = 20, 300.0
# For the last outcomes to be recorded.
RECORD_SECONDS = 30.0
_SOURCE_URLS = ("ARXIV_FEED", "ARXIV_OAI", "ARXIV_API", "ARXIV_LIST", "HUGGINGFACE")


@dataclass(frozen=True)
class Plan:
    """How many subscribers and distinct topics there are, how many digests are sent, by how many hosts."""

    subscribers: int
    topics: int
    sent: int
    hosts: int


@dataclass(frozen=True)
class Morning:
    """A running installation before its day is complete."""

    settings: Settings
    watch: Watch
    taken: Taken


@dataclass(frozen=True)
class Stage:
    """The end of a part of the morning: seconds since the day was complete, processor time by kind."""

    seconds: float
    cpu: dict[str, float]


def main() -> int:
    plan = read_plan()
    data = Path(os.environ.get("PAPERBOY_REAL_DATA", ROOT / "../shared/data"))
    if not find_tools():
        print(INSTALL, file=sys.stderr)
        return 2
    if not (data / "bulk" / "dev").is_dir():
        print(f"no real papers in {data}: set PAPERBOY_REAL_DATA", file=sys.stderr)
        return 2
    configure("WARNING")
    with ExitStack() as stack:
        # Not in memory, because the measurement includes the disk.
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        data_dir.chmod(0o755)
        servers = stack.enter_context(Embedded(data_dir))
        upgrade(servers.database_url)
        say(f"storing {plan.subscribers:,} subscribers and {plan.topics:,} topics")
        topics = store_morning(
            servers.database_url, data, plan.subscribers, plan.topics, system_clock()
        )
        say(f"{topics.clause_count:,} clauses, {topics.papers_a_mail:.1f} papers a mail")
        figures, faults = measure(servers, data_dir, plan)
    distinct = {"distinct_topics": plan.topics, "distinct_clauses": topics.clause_count}
    print(
        json.dumps(
            {"subscribers": plan.subscribers, "hosts": plan.hosts} | distinct | figures | describe()
        )
    )
    for fault in faults:
        print(f"morning.py: {fault}", file=sys.stderr)
    return 1 if faults else 0


def read_plan() -> Plan:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10,000 subscribers, under 3 minutes")
    parser.add_argument("--subscribers", type=int, help=f"{SUBSCRIBERS:,} without it")
    parser.add_argument("--topics", type=int, default=TOPICS, help="distinct topics")
    parser.add_argument("--composed", type=int, help=f"compose so many, send {SENT:,}")
    parser.add_argument("--hosts", type=int, default=1, help="so many share the two processes")
    given = parser.parse_args()
    usual = QUICK_SUBSCRIBERS if given.quick else SUBSCRIBERS
    subscribers = given.composed or given.subscribers or usual
    sent = min(SENT, subscribers) if given.composed else subscribers
    return Plan(subscribers, given.topics, sent, given.hosts)


def measure(
    servers: EmbeddedServices, data_dir: Path, plan: Plan
) -> tuple[dict[str, Any], list[str]]:
    """Return the figures, and what is wrong with the end."""
    log = data_dir / "sink.log"
    place = (servers, data_dir, plan.hosts)
    with run_sink(log) as (port, sink), running(*place, port, sink) as (settings, watch):
        before = read_sizes(servers.database_url)
        morning = Morning(settings, watch, Taken(log))
        opened, composed, sent = run_morning(morning, plan)
        in_time = morning.taken.messages
        await_records(morning, plan)
    # All of them, also those after the last look.
    morning.taken.look()
    digests = read_digests(servers.database_url)
    faults = find_faults(digests.states, morning.taken, plan.subscribers, plan.sent)
    after = read_sizes(servers.database_url)
    if abs(digests.papers / PAPERS_A_MAIL - 1) > TOLERANCE:
        faults.append(f"{digests.papers:.1f} papers a mail, not {PAPERS_A_MAIL}")
    size = round(statistics.mean(measure_messages(settings, digests.edition_id)))
    say(f"smtp-source with messages of {size:,} bytes")
    with run_sink() as (port, _):
        connections = PROCESSES * settings.send_connections
        source = source_rate(port, min(plan.sent, 20_000), size, connections)
    rate = in_time / (sent.seconds - composed.seconds)
    bytes_by_table = growth(before, after, plan.subscribers)
    figures = {
        "papers": PAPERS,
        "papers_a_mail": round(digests.papers, 1),
        "message_bytes": size,
        "last_mail_s": round(sent.seconds, 1),
        "open_s": round(opened.seconds, 1),
        "compose_s": round(composed.seconds - opened.seconds, 1),
        "send_s": round(sent.seconds - composed.seconds, 1),
        "composed_per_s": round(plan.subscribers / (composed.seconds - opened.seconds)),
        "messages_per_s": round(rate),
        "smtp_source_per_s": round(source),
        "ratio_smtp_source": round(rate / source, 3),
        **describe_cpu(opened, composed, sent, plan.subscribers, in_time),
        "worker_mib": round(max(watch.peaks.values())),
        "worker_processes_used": len(watch.peaks),
        "bytes_per_digest": sum(bytes_by_table.values()),
        "bytes_per_digest_by_table": bytes_by_table,
        "sent": morning.taken.messages,
        "send_window": settings.send_window,
        "connections_each": settings.send_connections,
    }
    return figures, faults


@contextmanager
def running(
    servers: EmbeddedServices, data_dir: Path, hosts: int, port: int, sink: int
) -> Iterator[tuple[Settings, Watch]]:
    """Run the processes of `paperboy up` on a morning whose day is not complete yet."""
    environ = make_environ(servers, data_dir, port)
    settings = load_settings(SOURCE_NAMES, environ)
    commands = share_among(hosts, PROCESSES)
    with Stack(settings, {}, 30, commands, environ) as stack:
        web = free_port()
        stack.start("web", "--host", LOOPBACK, "--port", str(web))
        workers = [name for name in commands if name.startswith("worker")]
        for name in workers:
            stack.start(name)
        stack.wait_for_web(f"http://{LOOPBACK}:{web}")
        await_workers(settings, len(workers))
        # Last, because it looks for editions a minute later, and past the deadline opens them.
        stack.start("beat", *beat_schedule(data_dir))
        # A check of the children before they are measured.
        stack.check()
        postgres, valkey = find_postgres(data_dir), find_valkey(servers.redis_url)
        yield settings, Watch(stack.pids(), postgres, valkey, sink)
        stack.check()


def make_environ(servers: EmbeddedServices, data_dir: Path, port: int) -> dict[str, str]:
    """Return an environment that sets addresses and nothing else; the sources do not answer."""
    nowhere = f"http://{LOOPBACK}:{free_port()}"
    given = {
        "DATABASE_URL": servers.database_url,
        "REDIS_URL": servers.redis_url,
        "DATA_DIR": str(data_dir),
        "SMTP_URL": f"smtp://{LOOPBACK}:{port}?starttls=off",
        "BASE_URL": "https://papers.example.org",
        "MAIL_FROM": "Paperboy <digest@papers.example.org>",
        "BOUNCE_DOMAIN": "bounces.example.org",
        "OPERATOR_ADDRESS": "Example Institute, 1 Sample Street, 12345 Sampletown",
        "SECRET_KEY": KEY,
        **{f"{name}_URL": nowhere for name in _SOURCE_URLS},
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PAPERBOY_")}
    own = {f"PAPERBOY_{name}": value for name, value in given.items()}
    return inherited | own | {ENV_FILE: os.devnull}


def await_workers(settings: Settings, count: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    control = Celery(broker=settings.queue_url).control
    while len(control.ping(timeout=0.5)) < count:
        if time.monotonic() > deadline:
            raise SystemExit("morning.py: the workers do not answer")


def run_morning(morning: Morning, plan: Plan) -> tuple[Stage, Stage, Stage]:
    """Complete the day and return the ends of its parts: opened, composed, sent."""
    url = morning.settings.database_url
    if read_edition(url) is not None:
        raise SystemExit("morning.py: an edition was opened before the day was complete")
    start_cpu = morning.watch.read_cpu()
    enqueue = make_enqueue(morning.settings.queue_url)
    say("the day is complete; composing")
    began = time.monotonic()
    longest = LEAST_SECONDS + plan.subscribers / LEAST_PER_SECOND

    def end_stage() -> Stage:
        now = morning.watch.read_cpu()
        return Stage(time.monotonic() - began, {k: now[k] - start_cpu[k] for k in now})

    def pause() -> None:
        if time.monotonic() - began > longest:
            raise SystemExit(f"morning.py: not done after {longest:.0f} s")
        time.sleep(LOOK_SECONDS)

    complete_day(url, system_clock())
    # What an ingest enqueues.
    enqueue("learn_meanings")
    enqueue("open_editions")
    while read_edition(url) is None:
        pause()
    opened = end_stage()
    while read_edition(url) == "open":
        morning.watch.look_at_memory()
        pause()
    composed = end_stage()
    say(f"composed after {composed.seconds:.1f} s; sending")
    bar = Bar(plan.sent)
    while (count := morning.taken.look()) < plan.sent:
        morning.watch.look_at_memory()
        bar.show(count)
        pause()
    sent = end_stage()
    bar.show(plan.sent)
    morning.watch.look_at_memory()
    say(f"the last mail after {sent.seconds:.1f} s")
    return opened, composed, sent


def await_records(morning: Morning, plan: Plan) -> None:
    """Wait until the last outcomes are recorded; where not all are sent, the workers' end does that."""
    deadline = time.monotonic() + RECORD_SECONDS
    while plan.sent == plan.subscribers and time.monotonic() < deadline:
        if read_digests(morning.settings.database_url).states == {"sent 250": plan.sent}:
            break
        time.sleep(0.5)


def read_edition(database_url: str) -> str | None:
    """Return the state of the daily edition."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SELECT state FROM editions WHERE cadence = 'daily'").fetchone()
    return str(row[0]) if row else None


@dataclass(frozen=True)
class Digests:
    """The digests by state and reply, their edition, and the papers of a mail on average."""

    states: dict[str, int]
    edition_id: int
    papers: float


def read_digests(database_url: str) -> Digests:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT state || CASE state WHEN 'sent' THEN ' ' || left(last_reply, 3) ELSE '' END,"
            " count(*), max(edition_id), sum(cardinality(paper_ids))"
            " FROM deliveries WHERE kind = 'digest' GROUP BY 1"
        ).fetchall()
    states = {state: count for state, count, _, _ in rows}
    papers = sum(papers for _, _, _, papers in rows)
    return Digests(states, max(row[2] for row in rows), papers / sum(states.values()))


def measure_messages(settings: Settings, edition_id: int) -> list[int]:
    engine = make_engine(settings.database_url)
    try:
        return message_sizes(make_sessions(engine), edition_id, settings)
    finally:
        engine.dispose()


def describe_cpu(
    opened: Stage, composed: Stage, sent: Stage, subscribers: int, messages: int
) -> dict[str, int]:
    """Return microseconds of processor time a digest and a mail, by kind of process and stage."""

    def of_stage(kind: str, start: Stage, end: Stage, count: int) -> int:
        return round((end.cpu[kind] - start.cpu[kind]) / count * 1e6)

    composing = {
        f"compose_{kind}_cpu_us": of_stage(kind, opened, composed, subscribers)
        for kind in ("postgres", "valkey", "others")
    }
    sending = {
        f"{kind}_cpu_us": of_stage(kind, composed, sent, messages)
        for kind in ("postgres", "valkey", "sink", "others")
    }
    return {
        "sender_cpu_us": of_stage("workers", composed, sent, messages),
        **sending,
        "composer_cpu_us": of_stage("workers", opened, composed, subscribers),
        **composing,
    }


class Bar:
    """A progress bar on stderr: one line on a terminal, else a line for each tenth."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._is_live = sys.stderr.isatty()
        self._shown = -1

    def show(self, count: int) -> None:
        share = min(1.0, count / self._total)
        step = round(share * 100) if self._is_live else int(share * 10)
        if step == self._shown:
            return
        self._shown = step
        line = f"[{'#' * int(share * 30):30}] {count:,} of {self._total:,}"
        end = "\n" if not self._is_live or share == 1 else ""
        print(
            f"{chr(13) if self._is_live else ''}morning: {line}",
            file=sys.stderr,
            end=end,
            flush=True,
        )


def describe() -> dict[str, Any]:
    return {
        "sender_processes": PROCESSES,
        "cores": os.cpu_count(),
        "cpu": platform.processor() or platform.machine(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in ("celery", "sqlalchemy", "psycopg", "aiosmtplib")},
    }


def say(text: str) -> None:
    print(f"morning: {text} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
