"""Sending: from frozen rows to the relay's 250, two sender processes, PostgreSQL, Debian's smtp-sink.

    .venv/bin/python bench/send.py [--quick]

Everything runs on this machine, in one run: our senders, smtp-source (one text repeated, the same
size and number of connections) and django-post_office (the first of our digests, rendered at
delivery and rendered before; two processes, its best number of threads, in an environment of
its own from requirements/bench.txt), all against the same sink on a PostgreSQL that writes to the
disk. Then an edition of topics as diverse as real ones, with twelve papers a mail and not six; the
first again through a forwarder that adds 20 ms to each round trip; and a longer run for the memory.
Reads `PAPERBOY_REAL_DATA`; progress on stderr, one JSON object as the last line on stdout.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mornings.rows import TOPICS, complete_day, store_morning
from sending.cpu import Servers, find_postgres, own_seconds, tree_seconds
from sending.peer_rows import write_peer_rows
from sending.queue_plan import measure_queue
from sending.rows import store_day, store_edition
from sending.sizes import message_sizes
from sending.wire import INSTALL, find_tools, run_sink, slow_wire, source_rate
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.deliveries.domain.recipients import Cadence
from service.editions.publish import publish_now
from service.papers.domain.announcement_days import announcement_date
from service.platform.clock import system_clock
from service.platform.database.engine import make_engine, make_sessions
from service.platform.database.migrate import upgrade
from service.platform.embedded import Embedded
from service.platform.settings.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
KEY = "a-key-that-is-only-used-in-benches"
PROCESSES = 2
CONNECTIONS = 10
SLOW_CONNECTIONS = 50
WINDOW = 512
ROUND_TRIP_SECONDS = 0.02


@dataclass(frozen=True)
class Size:
    """Numbers of rows: of the compared run, the diverse one's, the slow network's, the memory's and
    the queue's; `topics` are the diverse one's distinct topics.
    """

    rows: int
    diverse_rows: int
    topics: int
    slow_rows: int
    long_rows: int
    queue_rows: int
    peer_messages: int


FULL = Size(20_000, 20_000, TOPICS, 10_000, 200_000, 1_000_000, 3_000)
QUICK = Size(20_000, 5_000, 5_000, 3_000, 0, 0, 800)


@dataclass(frozen=True)
class Bench:
    """The environment: servers, sink, and the rows that are not sent yet."""

    database_url: str
    sessions: sessionmaker[Session]
    sink: int
    home: Path
    servers: Servers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    size = QUICK if parser.parse_args().quick else FULL
    data = Path(os.environ.get("PAPERBOY_REAL_DATA", ROOT / "../shared/data"))
    if not find_tools():
        print(INSTALL, file=sys.stderr)
        return 2
    if not (data / "bulk" / "dev").is_dir():
        print(f"no real papers in {data}: set PAPERBOY_REAL_DATA", file=sys.stderr)
        return 2
    (ROOT / "build").mkdir(exist_ok=True)
    with ExitStack() as stack:
        # Not in memory, because the measurement includes the disk.
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=ROOT / "build")))
        home.chmod(0o755)
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        data_dir.chmod(0o755)
        servers = stack.enter_context(Embedded(data_dir, valkey=False))
        upgrade(servers.database_url)
        sessions = make_sessions(make_engine(servers.database_url))
        sink, sink_process = stack.enter_context(run_sink())
        processes = Servers(find_postgres(data_dir), sink_process)
        bench = Bench(servers.database_url, sessions, sink, home, processes)
        print(json.dumps(measure(bench, data, size)))
    return 0


def measure(bench: Bench, data: Path, size: Size) -> dict[str, Any]:
    say("storing papers")
    day = store_day(bench.sessions, data)
    figures: dict[str, Any] = {}
    say(f"storing an edition of {size.rows:,} digests")
    edition_id = store_edition(bench.sessions, day, size.rows)
    say("sending it")
    ours = send_edition(bench, edition_id, bench.sink, CONNECTIONS)
    figures |= {
        "messages_per_s": round(ours["rate"]),
        "sender_cpu_us": round(ours["cpu_us"]),
        "postgres_cpu_us": round(ours["postgres_us"]),
        "sink_cpu_us": round(ours["sink_us"]),
    }
    say("smtp-source")
    source = source_rate(bench.sink, size.rows, ours["bytes"], PROCESSES * CONNECTIONS)
    figures |= {
        "smtp_source_per_s": round(source),
        "ratio_smtp_source": round(ours["rate"] / source, 2),
        "message_bytes": ours["bytes"],
    }
    say("django-post_office")
    ways = post_office(bench, edition_id, size.peer_messages)
    figures |= describe_peer("post_office", ways["written"], ours["rate"])
    figures |= describe_peer("post_office_rendered", ways["rendered"], ours["rate"])
    say(
        f"{figures['messages_per_s']:,} a second, {figures['ratio_smtp_source']} times the one and"
        f" {figures['ratio_post_office']} times the other ({figures['ratio_post_office_rendered']} where"
        " its texts were ready)"
    )
    figures |= measure_diverse(bench, data, size)
    say(f"{size.slow_rows:,} digests with {ROUND_TRIP_SECONDS * 1000:.0f} ms more a round trip")
    slow_id = store_edition(bench.sessions, day, size.slow_rows, seed=2)
    with slow_wire(bench.sink, ROUND_TRIP_SECONDS) as port:
        slow = send_edition(bench, slow_id, port, SLOW_CONNECTIONS)
    figures |= {"messages_per_s_at_20_ms": round(slow["rate"])}
    figures |= {"worker_mib": round(max(ours["peak_mib"], slow["peak_mib"]))}
    if size.long_rows:
        figures |= measure_memory(bench, day, size.long_rows)
    if size.queue_rows:
        queue_url = make_database(bench, "queue")
        upgrade(queue_url)
        figures |= measure_queue(queue_url, size.queue_rows, say)
    return figures | describe(size)


def measure_diverse(bench: Bench, data: Path, size: Size) -> dict[str, Any]:
    """Return the rate of an edition that our composer made, of topics as diverse as real ones."""
    say(f"composing {size.diverse_rows:,} digests of {size.topics:,} distinct topics")
    url, now = make_database(bench, "diverse"), system_clock()
    upgrade(url)
    store_morning(url, data, size.diverse_rows, size.topics, now)
    complete_day(url, now)
    # A home of its own, because what was sent is noted there as well.
    sessions, home = make_sessions(make_engine(url)), bench.home / "diverse"
    other = replace(bench, database_url=url, sessions=sessions, home=home)
    settings = Settings.model_validate(make_settings(other, bench.sink, CONNECTIONS))
    edition_id = publish_now(sessions, settings, Cadence.DAILY, announcement_date(now), now)
    say("sending it")
    ours = send_edition(other, edition_id, bench.sink, CONNECTIONS)
    source = source_rate(bench.sink, size.diverse_rows, ours["bytes"], PROCESSES * CONNECTIONS)
    return {
        "messages_per_s_diverse": round(ours["rate"]),
        "ratio_smtp_source_diverse": round(ours["rate"] / source, 2),
        "sender_cpu_us_diverse": round(ours["cpu_us"]),
        "message_bytes_diverse": ours["bytes"],
        "worker_mib_diverse": round(ours["peak_mib"]),
        "topics_diverse": size.topics,
    }


def measure_memory(bench: Bench, day: Any, rows: int) -> dict[str, Any]:
    say(f"storing an edition of {rows:,} digests, for the memory")
    edition_id = store_edition(bench.sessions, day, rows, seed=3)
    say("sending it")
    long = send_edition(bench, edition_id, bench.sink, CONNECTIONS)
    # Each of two processes has sent 5,000 when 10,000 are out.
    marks = [worker["mib_at_rows"] for worker in long["workers"]]
    early = max(float(mark.get("5000", 0.0)) for mark in marks)
    last = max(float(mark[max(mark, key=int)]) for mark in marks)
    return {
        "long_rows": rows,
        "messages_per_s_long": round(long["rate"]),
        "mib_at_10000": round(early, 1),
        "mib_at_end": round(last, 1),
        "worker_mib": round(long["peak_mib"]),
    }


def send_edition(bench: Bench, edition_id: int, port: int, connections: int) -> dict[str, Any]:
    """Return the cost of sending a frozen edition, from the first claim to the last recorded 250."""
    settings = make_settings(bench, port, connections)
    orders = json.dumps({"settings": settings, "edition_id": edition_id}) + "\n"
    workers = [start_worker(orders) for _ in range(PROCESSES)]
    for worker in workers:
        read_result(worker)
    postgres, sink = tree_seconds(bench.servers.postgres), own_seconds(bench.servers.sink)
    began = time.monotonic()
    for worker in workers:
        write_line(worker, "\n")
    results = [read_result(worker) for worker in workers]
    seconds = time.monotonic() - began
    postgres = tree_seconds(bench.servers.postgres) - postgres
    sink = own_seconds(bench.servers.sink) - sink
    for worker in workers:
        worker.communicate()
    read = Settings.model_validate(settings)
    sent = sum(one["sent"] for one in results)
    check(bench, edition_id, sent)
    return {
        "rate": sent / seconds,
        "bytes": round(statistics.mean(message_sizes(bench.sessions, edition_id, read))),
        "cpu_us": sum(one["cpu_seconds"] for one in results) / sent * 1e6,
        "postgres_us": postgres / sent * 1e6,
        "sink_us": sink / sent * 1e6,
        "peak_mib": max(one["peak_mib"] for one in results),
        "workers": results,
    }


def make_settings(bench: Bench, port: int, connections: int) -> dict[str, Any]:
    return {
        "database_url": bench.database_url,
        "data_dir": str(bench.home),
        "smtp_url": f"smtp://127.0.0.1:{port}?starttls=off",
        "base_url": "https://papers.example.org",
        "mail_from": "Paperboy <digest@papers.example.org>",
        "bounce_domain": "bounces.example.org",
        "operator_address": "Example Institute, 1 Sample Street, 12345 Sampletown",
        "secret_key": KEY,
        "send_connections": connections,
        "send_window": WINDOW,
    }


def start_worker(orders: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "bench" / "sending" / "worker.py")]
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    write_line(worker, orders)
    return worker


def write_line(worker: subprocess.Popen[str], line: str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(line)
    worker.stdin.flush()


def read_result(worker: subprocess.Popen[str]) -> dict[str, Any]:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise SystemExit("send.py: a sender ended before its time")
    result: dict[str, Any] = json.loads(line)
    return result


def check(bench: Bench, edition_id: int, sent: int) -> None:
    """Raise unless every row is sent, with the sink's own 250."""
    with bench.sessions() as session:
        rows = session.execute(
            text(
                "SELECT state || ' ' || left(last_reply, 3) AS ended, count(*) AS row_count"
                " FROM deliveries WHERE edition_id = :id GROUP BY 1"
            ),
            {"id": edition_id},
        ).all()
    states: dict[str, int] = {row.ended: row.row_count for row in rows}
    if states != {"sent 250": sent}:
        raise SystemExit(f"send.py: not everything was sent: {states}")


def post_office(bench: Bench, edition_id: int, count: int) -> dict[str, Any]:
    """Return the peer's cost of sending an edition's first digests, rendered at delivery and before."""
    python, url = peer_python(), make_database(bench, "post_office")
    settings = Settings.model_validate(make_settings(bench, bench.sink, CONNECTIONS))
    script = str(ROOT / "bench" / "sending" / "peer_post_office.py")
    with tempfile.TemporaryDirectory(dir=bench.home) as folder:
        write_peer_rows(bench.sessions, edition_id, settings, count, Path(folder))
        command = [str(python), script, url, str(bench.sink), folder, str(count)]
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit("send.py: django-post_office failed")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def describe_peer(name: str, way: dict[str, Any], rate: float) -> dict[str, Any]:
    return {
        f"{name}_per_s": round(way["rate"]),
        f"{name}_threads": way["threads"],
        f"{name}_cpu_us": round(way["cpu_us"]),
        f"ratio_{name}": round(rate / way["rate"], 2),
    }


def make_database(bench: Bench, name: str) -> str:
    """Create an empty database on the same server; return its URL."""
    engine = bench.sessions.kw["bind"]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as direct:
        direct.exec_driver_sql(f"CREATE DATABASE {name}")
    return bench.database_url.replace("/paperboy?", f"/{name}?")


def peer_python() -> Path:
    """Return the interpreter of the peers' environment, created once from pinned hashes."""
    home = ROOT / "build" / "bench-venv"
    pins = ROOT / "requirements" / "bench.txt"
    stamp = home / "installed"
    python = home / "bin" / "python"
    if not stamp.exists() or stamp.stat().st_mtime < pins.stat().st_mtime:
        say("installing requirements/bench.txt, once")
        venv.create(home, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", str(pins)], check=True)
        stamp.touch()
    return python


def describe(size: Size) -> dict[str, Any]:
    return {
        "rows": size.rows,
        "diverse_rows": size.diverse_rows,
        "slow_rows": size.slow_rows,
        "sender_processes": PROCESSES,
        "connections_each": CONNECTIONS,
        "connections_each_at_20_ms": SLOW_CONNECTIONS,
        "send_window": WINDOW,
        "cores": os.cpu_count(),
        "cpu": platform.processor() or platform.machine(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "aiosmtplib": version("aiosmtplib"),
        "sqlalchemy": version("sqlalchemy"),
        "psycopg": version("psycopg"),
    }


def say(text: str) -> None:
    print(f"send: {text} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
