"""Hanging messages: the relay takes some of 5,000 digests and does not answer; how long the rest takes.

    .venv/bin/python bench/hanging.py [--quick]

One sender process with the default connections and window, PostgreSQL on disk, and a sink of our own
that holds back its reply to 20, 50 and 100 messages until the rest is sent. They are spread evenly;
once twenty follow one another. Meanwhile another mail is queued twice a second. Reads
`PAPERBOY_REAL_DATA`; progress on stderr, one JSON object as the last line on stdout. Exit status 1 if
the rest takes more than twice the time without hanging messages, if another mail takes longer than
ten seconds, or if anything is lost or sent twice.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sending.rows import store_day, store_edition
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import insert_mail
from service.platform.clock import system_clock
from service.platform.database.engine import make_engine, make_sessions
from service.platform.database.migrate import upgrade
from service.platform.embedded import Embedded

ROOT = Path(__file__).resolve().parents[1]
KEY = "a-key-that-is-only-used-in-benches"
DIGESTS = 5_000
HANGING = (20, 50, 100)
IN_A_ROW = 20
# What must hold.
MOST_RATIO = 2.0
MOST_MAIL_SECONDS = 10.0
# A run that has not ended by then is stuck.
LONGEST_SECONDS = 600.0


@dataclass(frozen=True)
class Bench:
    """A database with an edition that is copied for each run, and the sink."""

    database_url: str
    sink: subprocess.Popen[str]
    port: int
    home: Path


@dataclass(frozen=True)
class Run:
    """Seconds until the rest was sent, and until another mail was sent at the longest."""

    seconds: float
    mail_seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only 0 and 100, under two minutes")
    is_quick = parser.parse_args().quick
    data = Path(os.environ.get("PAPERBOY_REAL_DATA", ROOT / "../shared/data"))
    if not (data / "bulk" / "dev").is_dir():
        print(f"no real papers in {data}: set PAPERBOY_REAL_DATA", file=sys.stderr)
        return 2
    (ROOT / "build").mkdir(exist_ok=True)
    with ExitStack() as stack:
        # Not in memory, because the measurement includes the disk.
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=ROOT / "build")))
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        data_dir.chmod(0o755)
        servers = stack.enter_context(Embedded(data_dir, valkey=False))
        upgrade(servers.database_url)
        store(servers.database_url, data)
        sink = stack.enter_context(start("hanging_sink.py"))
        stack.callback(sink.terminate)
        bench = Bench(servers.database_url, sink, int(read_line(sink)), home)
        figures = measure(bench, HANGING[-1:] if is_quick else HANGING)
    print(json.dumps(figures))
    return 0 if figures["holds"] else 1


def store(database_url: str, data: Path) -> None:
    """Store the edition that every run sends."""
    say(f"storing an edition of {DIGESTS:,} digests")
    engine = make_engine(database_url)
    sessions = make_sessions(engine)
    store_edition(sessions, store_day(sessions, data), DIGESTS)
    engine.dispose()


def measure(bench: Bench, counts: tuple[int, ...]) -> dict[str, Any]:
    # Before and after, because other programs use the machine as well.
    plain = [send(bench, "before", [])]
    runs = {str(count): send(bench, f"of_{count}", spread(count)) for count in counts}
    runs["in_a_row"] = send(bench, "in_a_row", list(range(1_000, 1_000 + IN_A_ROW)))
    plain.append(send(bench, "after", []))
    usual = sum(run.seconds for run in plain) / len(plain)
    slowest = max(run.mail_seconds for run in runs.values())
    ratios = {f"ratio_{name}": round(run.seconds / usual, 2) for name, run in runs.items()}
    spread_ratios = [ratios[f"ratio_{count}"] for count in counts]
    return {
        "rest_s_0": round(usual, 2),
        **{f"rest_s_{name}": round(run.seconds, 2) for name, run in runs.items()},
        **ratios,
        "mail_s": round(slowest, 2),
        "mail_s_0": round(max(run.mail_seconds for run in plain), 2),
        "holds": max(spread_ratios) <= MOST_RATIO and slowest <= MOST_MAIL_SECONDS,
        "digests": DIGESTS,
        "cores": os.cpu_count(),
        "cpu": platform.processor() or platform.machine(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }


def spread(count: int) -> list[int]:
    """Return the readers of evenly spread digests."""
    return [1 + DIGESTS * place // count for place in range(count)]


def send(bench: Bench, name: str, hanging: list[int]) -> Run:
    """Send the edition in a database of its own while these readers' messages hang."""
    say(f"{len(hanging)} hang ({name})")
    url = copy_database(bench, name)
    engine = make_engine(url)
    sessions = make_sessions(engine)
    order(bench.sink, {"hang": hanging})
    with start("steady_worker.py") as worker:
        try:
            write_line(worker, json.dumps(make_settings(bench, name, url)))
            read_line(worker)
            began = time.monotonic()
            write_line(worker, "")
            others = [n for n in range(1, DIGESTS + 1) if n not in hanging]
            await_sent(sessions, DIGESTS - len(hanging), others)
            seconds = time.monotonic() - began
            order(bench.sink, {"release": True})
            await_sent(sessions, DIGESTS, [])
            worker.communicate(timeout=LONGEST_SECONDS)
        finally:
            worker.kill()
    mail_seconds = check(sessions, order(bench.sink, {"release": True}))
    engine.dispose()
    say(f"{len(hanging)} hang ({name}): {seconds:.1f} s, another mail {mail_seconds:.1f} s")
    return Run(seconds, mail_seconds)


def await_sent(sessions: sessionmaker[Session], count: int, others: list[int]) -> None:
    """Wait until so many digests are sent; meanwhile mail one of `others` each half second."""
    deadline = time.monotonic() + LONGEST_SECONDS
    next_at = time.monotonic() + 0.25
    while count_rows(sessions, "state = 'sent' AND edition_id IS NOT NULL") < count:
        if time.monotonic() > deadline:
            raise SystemExit("hanging.py: the rest was not sent")
        if others and time.monotonic() >= next_at:
            next_at += 0.5
            queue_mail(sessions, others.pop())
        time.sleep(0.05)
    while count_rows(sessions, "state <> 'sent' AND edition_id IS NULL"):
        if time.monotonic() > deadline:
            raise SystemExit("hanging.py: another mail was not sent")
        time.sleep(0.05)


def queue_mail(sessions: sessionmaker[Session], reader: int) -> None:
    """Queue a mail that a person waits for."""
    now = system_clock()
    with sessions.begin() as session:
        kind, until = DeliveryKind.PERSONAL_LINK, now + timedelta(hours=1)
        insert_mail(session, kind, reader, "bench", now, until)


def count_rows(sessions: sessionmaker[Session], condition: str) -> int:
    with sessions() as session:
        counted = text(f"SELECT count(*) FROM deliveries WHERE {condition}")  # noqa: S608
        return int(session.execute(counted).scalar_one())


def check(sessions: sessionmaker[Session], taken: dict[str, int]) -> float:
    """Raise unless each mail was sent once; return how long the slowest other mail took."""
    others = count_rows(sessions, "edition_id IS NULL")
    if taken["messages"] != DIGESTS + others or taken["readers"] != DIGESTS:
        raise SystemExit(f"hanging.py: lost, or sent twice: {taken} of {DIGESTS} and {others}")
    with sessions() as session:
        slowest = session.execute(
            text(
                "SELECT coalesce(max(extract(epoch FROM sent_at - created_at)), 0)"
                " FROM deliveries WHERE edition_id IS NULL"
            )
        ).scalar_one()
    return float(slowest)


def copy_database(bench: Bench, name: str) -> str:
    """Return the URL of a copy of the database; nothing may be connected to the first one."""
    away = make_engine(bench.database_url.replace("/paperboy?", "/postgres?"))
    with away.connect().execution_options(isolation_level="AUTOCOMMIT") as direct:
        direct.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE paperboy")
    away.dispose()
    return bench.database_url.replace("/paperboy?", f"/{name}?")


def make_settings(bench: Bench, name: str, database_url: str) -> dict[str, Any]:
    return {
        "database_url": database_url,
        # One of its own, because what was sent is noted there as well, and the copy is older than that.
        "data_dir": str(bench.home / name),
        "smtp_url": f"smtp://127.0.0.1:{bench.port}?starttls=off",
        "base_url": "https://papers.example.org",
        "mail_from": "Paperboy <digest@papers.example.org>",
        "bounce_domain": "bounces.example.org",
        "operator_address": "Example Institute, 1 Sample Street, 12345 Sampletown",
        "secret_key": KEY,
    }


def start(script: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "bench" / "sending" / script)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)


def order(sink: subprocess.Popen[str], orders: dict[str, Any]) -> dict[str, int]:
    write_line(sink, json.dumps(orders))
    taken: dict[str, int] = json.loads(read_line(sink))
    return taken


def write_line(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit("hanging.py: a process ended before its time")
    return line


def say(text: str) -> None:
    print(f"hanging: {text} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
