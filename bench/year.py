"""A year of running, simulated: how large the database is, and whether anything became slower.

    .venv/bin/python bench/year.py [--quick] [--subscribers 20000] [--days 365]

A morning of a few hundred subscribers is composed and sent by the service. Its rows are then repeated by SQL,
day by day, for every subscriber: papers, edition, digests in the four versions that sending makes of each,
copies and their parts, events. At each month's end retention is applied. A second database has only the last
two days. In both `paperboy status` and the front page are timed, in turns, and what composing reads of the
ledger of a thousand subscribers; then the oldest month is dropped.

Reads `PAPERBOY_REAL_DATA`; progress on stderr, one JSON object as the last line on stdout. Exit status 1 if the
database differs from the model of docs/scale.md by more than 15 %, dropping a month takes a second, or the year
is slower than the second day: the command and the page by more than 30 %, the ledger by more than 150 %.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from mornings.watching import read_sizes
from scales.model import Installation, database_bytes
from sqlalchemy.engine import make_url
from years.comparing import compare, measure_drop
from years.days import Year, write_year
from years.sample import SUBSCRIBERS, copy_sample, send_sample

from service.papers.domain.announcement_days import announcement_date
from service.platform.clock import system_clock
from service.platform.database.migrate import upgrade
from service.platform.embedded import Embedded
from service.platform.embedded.servers import DATABASE, SUPERUSER
from service.platform.logs import configure

ROOT = Path(__file__).resolve().parents[1]
# 110,000 a year.
PAPERS_A_DAY = 300
FULL, QUICK = (20_000, 365), (1_000, 150)
QUICK_PAPERS_A_DAY = 20
MOST_OFF, MOST_DROP_S = 0.15, 1.0
# Updates are to papers of twelve editions, and on the second day of one; so the ledger may take longer, by some
# hundredths of a millisecond for each subscriber.
MOST_SLOWER = {"status_ratio": 1.3, "front_ratio": 1.3, "ledger_ratio": 2.5}


def main() -> int:
    year = read_year()
    data = Path(os.environ.get("PAPERBOY_REAL_DATA", ROOT / "../shared/data"))
    if not (data / "bulk" / "dev").is_dir():
        print(f"no real papers in {data}: set PAPERBOY_REAL_DATA", file=sys.stderr)
        return 2
    configure("WARNING")
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        home.chmod(0o755)
        # Without fsync: hundreds of mornings are written in minutes.
        servers = stack.enter_context(Embedded(home / "data", durable=False))
        prepare_server(servers.database_url)
        sample, day_2, whole = (
            make_database(servers.database_url, name) for name in ("sample", "day_2", "year")
        )
        say(f"a morning of {SUBSCRIBERS} subscribers")
        figures: dict[str, Any] = dict(send_sample(sample, data))
        figures |= write_both(sample, day_2, whole, year)
        say("comparing")
        figures |= compare(day_2, whole, servers.redis_url, home)
        say("dropping the oldest month")
        figures |= measure_drop(whole)
    print(json.dumps(figures | describe(year)))
    faults = find_faults(figures)
    for fault in faults:
        print(f"year.py: {fault}", file=sys.stderr)
    return 1 if faults else 0


def read_year() -> Year:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="1,000 subscribers, 150 days: under a minute"
    )
    parser.add_argument("--subscribers", type=int, help=f"{FULL[0]:,} without it")
    parser.add_argument("--days", type=int, help=f"{FULL[1]} without it")
    parser.add_argument("--papers", type=int, help=f"a day; {PAPERS_A_DAY} without it")
    given = parser.parse_args()
    subscribers, days = QUICK if given.quick else FULL
    return Year(
        given.subscribers or subscribers,
        given.papers or (QUICK_PAPERS_A_DAY if given.quick else PAPERS_A_DAY),
        given.days or days,
        announcement_date(system_clock()),
    )


def prepare_server(server_url: str) -> None:
    """Let the server write a year: fewer checkpoints, and no look-up of foreign keys, which are right here."""
    superuser = make_url(server_url).set(username=SUPERUSER).render_as_string(hide_password=False)
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_wal_size = '16GB'")
        connection.execute(f"GRANT SET ON PARAMETER session_replication_role TO {DATABASE}")
        connection.execute("SELECT pg_reload_conf()")


def make_database(server_url: str, name: str) -> str:
    """Make a database with the schema; return its URL."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    upgrade(url)
    return url


def write_both(sample: str, day_2: str, whole: str, year: Year) -> dict[str, Any]:
    """Write the databases of two days and of the year; return the year's bytes and the model's."""
    began = time.monotonic()
    copy_sample(sample, day_2)
    write_year(day_2, Year(year.subscribers, year.papers_a_day, 2, year.until), say)
    copy_sample(sample, whole)
    vacuum = write_year(whole, year, say)
    took = time.monotonic() - began
    with psycopg.connect(whole, autocommit=True) as connection:
        connection.execute("DROP SCHEMA sample CASCADE")
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    sizes = read_sizes(whole)
    modelled = database_bytes(
        Installation(year.subscribers, year.papers_a_day, year.days), year.until
    )
    return {
        "database_bytes": row[0],
        "model_bytes": sum(modelled.values()),
        "ratio_model": round(row[0] / sum(modelled.values()), 3),
        "bytes_by_table": dict(sorted(sizes.items(), key=lambda each: -each[1])[:16]),
        "model_bytes_by_kind": modelled,
        "written_s": round(took),
        "vacuum_us_a_row": round(vacuum, 2),
    }


def find_faults(figures: dict[str, Any]) -> list[str]:
    """Return what is not as it must be after a year."""
    faults = []
    if abs(figures["ratio_model"] - 1) > MOST_OFF:
        faults.append(f"the database has {figures['ratio_model']} of the model's bytes")
    if figures["drop_month_s"] >= MOST_DROP_S:
        faults.append(f"dropping a month took {figures['drop_month_s']} s")
    faults += [
        f"{name} is {figures[name]}: slower than on the second day"
        for name, most in MOST_SLOWER.items()
        if figures[name] > most
    ]
    return faults


def describe(year: Year) -> dict[str, Any]:
    return {
        "subscribers": year.subscribers,
        "papers_a_day": year.papers_a_day,
        "days": year.days,
        "from": str(year.until - timedelta(days=year.days - 1)),
        "until": str(year.until),
        "cores": os.cpu_count(),
        "cpu": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }


def say(text: str) -> None:
    print(f"year: {text} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
