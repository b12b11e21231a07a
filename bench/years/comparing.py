"""Whether a year of rows makes anything slower: the same work in two databases, in turns."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from sending.wire import free_port, wait_for_port
from sqlalchemy import select

from service.deliveries.domain.months import IDS
from service.deliveries.store.months import drop_month, list_months
from service.editions.sent_ledger import load_ledger
from service.editions.store.edition_papers import get_edition_papers
from service.editions.store.models import Edition
from service.operations.dashboard import find_overview
from service.operations.metrics import measure
from service.operations.status import find_status
from service.papers.domain.announcement_days import announcement_date
from service.platform.clock import system_clock
from service.platform.database.engine import make_engine, make_sessions
from service.platform.settings.settings import Settings
from years.sample import KEY

ROOT = Path(__file__).resolve().parents[2]
# A chunk of composing.
CHUNK = 1_000
STATUSES, PAGES, QUERIES, LEDGERS = 3, 60, 20, 3


def compare(day_2: str, whole: str, redis_url: str, home: Path) -> dict[str, Any]:
    """Return the medians in both databases, and the year's divided by the second day's."""
    with ExitStack() as stack:
        environs = [
            make_environ(url, redis_url, home / name)
            for name, url in (("day_2", day_2), ("year", whole))
        ]
        sites = [stack.enter_context(serve(environ)) for environ in environs]
        client = stack.enter_context(httpx2.Client(timeout=60))
        asked = [Queries(url) for url in (day_2, whole)]
        return {
            **alternate("front", PAGES, [partial(get, client, site) for site in sites]),
            **alternate("status", STATUSES, [partial(run_status, each) for each in environs]),
            **alternate("status_queries", QUERIES, [each.gather_status for each in asked]),
            **alternate("metrics", QUERIES, [each.gather_metrics for each in asked]),
            **alternate("overview", QUERIES, [each.gather_overview for each in asked]),
            **alternate("ledger", LEDGERS, [each.read_ledger for each in asked]),
        }


def alternate(name: str, times: int, works: list[Callable[[], None]]) -> dict[str, float]:
    """Do two works in turns; return the medians of each, and the second divided by the first."""
    for work in works:
        work()
    took: list[list[float]] = [[], []]
    for _ in range(times):
        for each, work in zip(took, works, strict=True):
            began = time.perf_counter()
            work()
            each.append(time.perf_counter() - began)
    first, second = map(statistics.median, took)
    ratio = round(second / first, 2)
    return {
        f"{name}_day_2_s": round(first, 4),
        f"{name}_s": round(second, 4),
        f"{name}_ratio": ratio,
    }


def make_environ(database_url: str, redis_url: str, data_dir: Path) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PAPERBOY_")}
    return inherited | {
        "PAPERBOY_DATABASE_URL": database_url,
        "PAPERBOY_REDIS_URL": redis_url,
        "PAPERBOY_DATA_DIR": str(data_dir),
        "PAPERBOY_SECRET_KEY": KEY,
        "PAPERBOY_LOG_LEVEL": "ERROR",
        "PAPERBOY_ENV_FILE": os.devnull,
    }


@contextmanager
def serve(environ: dict[str, str]) -> Iterator[str]:
    """Run the site in a process of its own; yield its address."""
    port = free_port()
    site = "service.web.asgi:app_from_environment"
    command = [sys.executable, "-m", "uvicorn", site, "--factory"]
    command += ["--port", str(port), "--log-level", "error", "--no-access-log"]
    process = subprocess.Popen(command, env=environ, cwd=ROOT)
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(timeout=60)


def get(client: httpx2.Client, site: str) -> None:
    answer = client.get(site)
    assert answer.status_code == 200, answer.status_code
    assert "No papers" not in answer.text


def run_status(environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "service.cli", "status", "--json"]
    subprocess.run(command, env=environ, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


class Queries:
    """What the service asks of a database, without the start of a process."""

    def __init__(self, database_url: str) -> None:
        self._sessions = make_sessions(make_engine(database_url))
        self._settings = Settings(database_url=database_url)

    def gather_status(self) -> None:
        now = system_clock()
        assert find_status(self._sessions, self._settings, announcement_date(now), now).editions

    def gather_metrics(self) -> None:
        measure(self._sessions, self._settings, system_clock())

    def gather_overview(self) -> None:
        """Gather the operator's front page, with its charts of 30 days."""
        find_overview(self._sessions, self._settings, system_clock())

    def read_ledger(self) -> None:
        """Read the ledger of a chunk's subscribers, as composing the last edition does."""
        with self._sessions() as session:
            edition = session.scalars(select(Edition).order_by(Edition.id.desc()).limit(1)).one()
            papers = sorted(get_edition_papers(session, edition.id))
            load_ledger(session, range(1, CHUNK + 1), edition, papers)


def measure_drop(database_url: str) -> dict[str, Any]:
    """Drop an old month by what retention calls; return its rows and the seconds."""
    sessions = make_sessions(make_engine(database_url))
    with sessions() as session:
        # Of the oldest two the whole one.
        month = list_months(session)[:2][-1]
    with psycopg.connect(database_url) as connection:
        chosen = [month * IDS, (month + 1) * IDS]
        row = connection.execute(
            "SELECT count(*) FROM deliveries WHERE id >= %s AND id < %s", chosen
        ).fetchone()
    assert row is not None
    began = time.perf_counter()
    assert drop_month(sessions, month)
    took = time.perf_counter() - began
    return {"dropped_rows": row[0], "drop_month_s": round(took, 3)}
