"""Does the time of an answer tell what is known of an address? Sign-ups and requests for the link.

Starts PostgreSQL, Valkey, the web site and a worker in processes of their own, and posts over
loopback, one after the other, each from a visitor of its own: addresses that are unknown, pending,
active and gone (unsubscribed or suppressed), in an order drawn for each round of four. Progress
on stderr, one JSON object as the last line on stdout.

`auc` is the largest area under the ROC curve of all pairs of classes, for either direction (0.5: the
times tell nothing; 0.55 is allowed): the share of pairs in which the slower post is of the one class.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from web import KEY, ROOT, SITE, percentile, read_cpu, serve

from service.platform.database.migrate import upgrade
from service.platform.embedded import Embedded
from service.platform.signing.address_hash import address_hash

CLASSES = ("unknown", "pending", "active", "gone")
FORM = {"topic": ["prompt tuning", "cat:cs.CL"], "timezone": "Europe/Berlin", "hour": "6"}
FULL, QUICK = 500, 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    size = QUICK if parser.parse_args().quick else FULL
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        home.chmod(0o755)
        servers = stack.enter_context(Embedded(home / "data"))
        upgrade(servers.database_url)
        environment = {
            "PAPERBOY_DATABASE_URL": servers.database_url,
            "PAPERBOY_REDIS_URL": servers.redis_url,
            "PAPERBOY_DATA_DIR": str(home / "site"),
            "PAPERBOY_SECRET_KEY": KEY,
            "PAPERBOY_SMTP_URL": "smtp://127.0.0.1:9",
            "PAPERBOY_TRUSTED_PROXIES": "127.0.0.1",
            "PAPERBOY_LOG_LEVEL": "ERROR",
        }
        stack.enter_context(run_worker(environment))
        site, _ = stack.enter_context(serve(*SITE, **environment))
        result: dict[str, Any] = {}
        for path in ("subscribe", "link"):
            say(f"/{path}: {size} posts of each class")
            add_known(servers.database_url, path, size)
            times = measure(site, servers.database_url, path, size)
            result |= figures(path, times)
    result["auc"] = max(result["subscribe_auc"], result["link_auc"])
    print(json.dumps(result | describe(size)))
    return 0


def say(text: str) -> None:
    print(f"signup: {text} …", file=sys.stderr, flush=True)


@contextmanager
def run_worker(environment: dict[str, str]) -> Iterator[None]:
    """Run a worker that settles the requests meanwhile; sending is not its task here."""
    command = [sys.executable, "-m", "workers", "worker", "--pool", "solo"]
    command += ["--queues", "paperboy.urgent", "--loglevel", "ERROR", "--without-gossip"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAPERBOY_")}
    process = subprocess.Popen(
        command, cwd=ROOT, env={**kept, "PAPERBOY_ENV_FILE": os.devnull, **environment}
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def address_of(path: str, name: str, number: int) -> str:
    return f"{name}{number}.{path}@site{number}.example"


def add_known(database_url: str, path: str, size: int) -> None:
    """Store the addresses of the known classes; of those gone half left and half are suppressed."""
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        for number in range(size):
            gone = ("unsubscribed", "suppressed")[number % 2]
            for name, state in (("pending", "pending"), ("active", "active"), ("gone", gone)):
                email = address_of(path, name, number)
                cursor.execute(
                    "INSERT INTO subscribers (email, email_key, state, cadence, hour, timezone,"
                    " created_at, confirmed_at, unsubscribed_at) VALUES (%s, %s, %s, 'daily', 7,"
                    " 'UTC', now(), CASE WHEN %s THEN now() END, CASE WHEN %s THEN now() END)",
                    [email, email, state, state != "pending", state == "unsubscribed"],
                )
                if state == "suppressed":
                    cursor.execute(
                        "INSERT INTO suppressions (address_hash, reason, created_at)"
                        " VALUES (%s, 'operator', now())",
                        [address_hash(email, KEY)],
                    )


def measure(site: str, database_url: str, path: str, size: int) -> dict[str, list[float]]:
    """Return the milliseconds of each class's posts."""
    times: dict[str, list[float]] = {name: [] for name in CLASSES}
    order = random.Random(7)  # noqa: S311  # an order, not a secret
    with (
        httpx2.Client(base_url=site, timeout=60) as client,
        psycopg.connect(database_url, autocommit=True) as connection,
    ):
        for warm in range(20):
            post(client, path, f"warm{warm}@warm{warm}.example", 60_000 + warm)
        for number in range(size):
            for name in order.sample(CLASSES, len(CLASSES)):
                visitor = number * len(CLASSES) + CLASSES.index(name)
                times[name].append(post(client, path, address_of(path, name, number), visitor))
            if number % 25 == 24:
                forget_counts(connection)
    return times


def forget_counts(connection: psycopg.Connection[Any]) -> None:
    """Wait for the worker; then no mail counts, as after an hour: no post meets the budget's end."""
    waiting = "SELECT count(*) FROM mail_requests WHERE settled_at IS NULL"
    until = time.monotonic() + 120
    while connection.execute(waiting).fetchone() != (0,):
        if time.monotonic() > until:
            raise RuntimeError("the worker did not settle the requests")
        time.sleep(0.1)
    connection.execute("DELETE FROM mail_requests")


def post(client: httpx2.Client, path: str, email: str, visitor: int) -> float:
    headers = {"X-Forwarded-For": f"10.{visitor // 250}.{visitor % 250}.7"}
    form = FORM if path == "subscribe" else {}
    started = time.perf_counter()
    answer = client.post(f"/{path}", data={"email": email, **form}, headers=headers)
    took = (time.perf_counter() - started) * 1000
    assert answer.status_code == 200, answer.status_code
    return took


def figures(path: str, times: dict[str, list[float]]) -> dict[str, Any]:
    pairs = {
        f"{one} {other}": round(area(times[one], times[other]), 3)
        for one, other in combinations(CLASSES, 2)
    }
    return {
        f"{path}_auc": max(max(value, 1 - value) for value in pairs.values()),
        f"{path}_auc_by_pair": pairs,
        f"{path}_median_ms": {k: round(statistics.median(v), 2) for k, v in times.items()},
        f"{path}_p95_ms": percentile([each for some in times.values() for each in some], 0.95),
    }


def area(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the share of pairs in which `one` is slower than `other`; a tie is half a pair."""
    ordered = sorted(other)
    below = sum(bisect_left(ordered, each) + bisect_right(ordered, each) for each in one)
    return below / (2 * len(one) * len(other))


def describe(size: int) -> dict[str, Any]:
    return {
        "bench": "signup",
        "posts_a_class": size,
        "classes": CLASSES,
        "on": datetime.now(UTC).date().isoformat(),
        "load": os.getloadavg()[0],
        "machine": {"cores": os.cpu_count(), "cpu": read_cpu(), "system": platform.platform()},
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    sys.exit(main())
