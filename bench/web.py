"""The web site under real requests: front page, weeks, months, search, live preview, unsubscribing.

Starts PostgreSQL, Valkey and the site, stores 100,000 real papers over a year (a quarter of them in the
last 30 days), and sends requests over loopback: one after the other, and for `load_…` 100 a second from
this process on the same cores, drawn evenly from front page, searches for words and papers, for 20
seconds after 20 at the same rate. `load_stolen` is the share of all cores' time that a virtual machine's
host gave to others meanwhile: above 2 % load and unsubscribing are measured again, up to five times, and
the time with the least stolen counts, whatever its figures (`…_times` has all). Reads
`PAPERBOY_REAL_DATA`. Progress on stderr, one JSON object as the last line on stdout.

`preview_p95_ms` is over topics that are new to the site, also with `like:` and `replaced:`, after
it has read the last days; `preview_at_start_ms` is a preview before that, and
`preview_after_ingest_ms` the slowest of five first previews after 300 more papers were committed.

`--embedder minilm` measures with that model, and what a web process and one that embeds papers need
more memory than without a model. `--vectors FILE` (`bench/relevance.py --cache FILE` makes it) takes
the vectors from a file, and only the papers that are in it, as 25,000 take a quarter of an hour.
The limits with the model are 100 ms for previews and 200 MiB for a process.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import httpx2
from sending.wire import free_port, wait_for_port
from similarity.cache import CachedEmbedder
from website.corpus import (
    RECENT_DAYS,
    RealPaper,
    add_subscribers,
    ingest_papers,
    learn_recent,
    read_papers,
    store_papers,
)
from website.learn import read_memory_mib
from website.load import SECONDS, Make, find_papers, post_all, send_steadily
from website.quiet import MOST_TIMES, measure_quietly, watch_stolen
from website.topics import TopicMaker

from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.periods import PeriodKind, period_of
from service.platform.database.migrate import upgrade
from service.platform.embedded import Embedded
from service.platform.signing.tokens import Token, sign_token
from service.similarity.embeddings.embedders import load_embedder

ROOT = Path(__file__).resolve().parents[1]
SITE = ("service.web.serve",)
HELLO = ("uvicorn", "website.hello:app", "--log-level", "error", "--no-access-log")
KEY = "a-key-that-is-only-used-in-benches"
# The site reads the last days beside the requests when it starts; on a busy machine that takes long.
_LONGEST_START_SECONDS = 120.0
# What a preview may take, what a page may take under load, and what a model may add to a process.
MOST_PREVIEW_MS, MOST_LOAD_MS, MOST_MODEL_MIB = 100, 50, 200
_INGESTS, _INGESTED, _READY_TIMES = 5, 300, 10
_CLIENTS, _LEAVING = 4, 2_000


@dataclass(frozen=True)
class Size:
    """The size of the bench; `topics` is the number of requests for each kind of topic."""

    papers: int
    topics: int
    repeats: int
    subscribers: int


_VISITORS = count()

FULL = Size(100_000, 30, 200, 100_000)
QUICK = Size(20_000, 6, 40, 300)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller size, under a minute")
    parser.add_argument("--embedder", choices=("wordllama", "minilm"), default="wordllama")
    parser.add_argument("--vectors", type=Path, help="a .npz file of vectors")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    embedder = CachedEmbedder(load_embedder(given.embedder), given.vectors)
    data = Path(os.environ.get("PAPERBOY_REAL_DATA", ROOT / "../shared/data"))
    if not (data / "bulk" / "dev").is_dir():
        print(f"no real papers in {data}: set PAPERBOY_REAL_DATA", file=sys.stderr)
        return 1
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pb-")))
        home.chmod(0o755)
        servers = stack.enter_context(Embedded(home / "data"))
        say("reading papers")
        papers = read_papers(data, size.papers)
        if given.vectors:
            papers = [paper for paper in papers if embedder.knows(paper.text)]
        say(f"storing {size.papers:,} papers")
        upgrade(servers.database_url)
        until = announcement_date(datetime.now(UTC))
        store_papers(servers.database_url, papers, size.papers, until)
        say("learning what they mean")
        learn_recent(servers.database_url, given.embedder, embedder)
        subscribers = add_subscribers(servers.database_url, size.subscribers)
        environment = {
            "PAPERBOY_DATABASE_URL": servers.database_url,
            "PAPERBOY_REDIS_URL": servers.redis_url,
            "PAPERBOY_DATA_DIR": str(home / "site"),
            "PAPERBOY_SECRET_KEY": KEY,
            # Each request names another visitor.
            "PAPERBOY_TRUSTED_PROXIES": "127.0.0.1",
            "PAPERBOY_LOG_LEVEL": "ERROR",
        }
        maker = TopicMaker(papers)
        result: dict[str, Any] = measure_memory(environment, maker, given.embedder)
        environment["PAPERBOY_EMBEDDER"] = given.embedder
        site, _ = stack.enter_context(serve(*SITE, **environment))
        hello, _ = stack.enter_context(serve(*HELLO))
        result |= measure(site, hello, maker, size)
        result |= measure_periods(site, until, size)
        result |= measure_following(site, servers.database_url, papers, maker, size)
        result |= measure_unsubscribing(site, subscribers)
        result |= measure_load(environment, maker, SECONDS if size is FULL else SECONDS // 4)
    result |= describe(size, len(papers)) | {"embedder": given.embedder}
    print(json.dumps(result))
    return 0


def say(text: str) -> None:
    print(f"web: {text} …", file=sys.stderr, flush=True)


@contextmanager
def serve(*module: str, **environment: str) -> Iterator[tuple[str, int]]:
    """Run a server in a process of its own, as an operator would; yield its address and its id."""
    port = free_port()
    command = [sys.executable, "-m", *module, "--port", str(port)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "bench")])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAPERBOY_")}
    process = subprocess.Popen(
        command, env={**kept, "PAPERBOY_ENV_FILE": os.devnull, **environment, "PYTHONPATH": path}
    )
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait(timeout=20)


def measure_memory(
    environment: dict[str, str], maker: TopicMaker, embedder: str
) -> dict[str, float]:
    """Return what the model costs: memory of a web process, and of one that embeds papers."""
    web, learn = {}, {}
    for name in ("none", embedder):
        say(f"memory with the embedder {name}")
        # With one process, whose memory is that of the server.
        own = environment | {"PAPERBOY_EMBEDDER": name, "PAPERBOY_WEB_PROCESSES": "1"}
        with serve(*SITE, **own) as (site, process), httpx2.Client(timeout=60) as client:
            live = f"{site}/topics/preview/live"
            wait_until_read(client, live, maker)
            for make in [*maker.kinds_to_preview.values()] * 3:
                ask(client, live, q=make())
            web[name] = read_memory_mib(process)
        command = [
            sys.executable,
            "-m",
            "website.learn",
            environment["PAPERBOY_DATABASE_URL"],
            name,
        ]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "bench")])
        told = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": paths}, stdout=subprocess.PIPE, check=True
        )
        learn[name] = float(told.stdout)
    figures = {
        "web_model_mib": web[embedder] - web["none"],
        "learn_model_mib": learn[embedder] - learn["none"],
    }
    ratios = {f"ratio_{name}": value / MOST_MODEL_MIB for name, value in figures.items()}
    return {name: round(value, 2) for name, value in (figures | ratios).items()}


def measure(site: str, hello: str, maker: TopicMaker, size: Size) -> dict[str, Any]:
    with httpx2.Client(timeout=60) as client:
        live = f"{site}/topics/preview/live"
        at_start = ask(client, live, q="zebrafish")
        wait_until_read(client, live, maker)
        say("hello, front page")
        peer = [ask(client, f"{hello}/") for _ in range(size.repeats)]
        ask(client, f"{site}/")
        front = [ask(client, f"{site}/") for _ in range(size.repeats)]
        say("previews")
        kinds = maker.kinds_to_preview
        previews = ask_kinds(kinds, size.topics, lambda topic: ask(client, live, q=topic))
        say("searches")
        found = f"{site}/search"
        searches = ask_kinds(maker.kinds, size.topics, lambda topic: ask(client, found, q=topic))
    all_previews = [each for times in previews.values() for each in times]
    all_searches = [each for times in searches.values() for each in times]
    hello_p95 = percentile(peer, 0.95)
    return {
        "front_p95_ms": percentile(front, 0.95),
        "search_p95_ms": percentile(all_searches, 0.95),
        "preview_p95_ms": percentile(all_previews, 0.95),
        "front_p50_ms": percentile(front, 0.5),
        "search_p50_ms": percentile(all_searches, 0.5),
        "preview_p50_ms": percentile(all_previews, 0.5),
        "ratio_preview_limit": round(percentile(all_previews, 0.95) / MOST_PREVIEW_MS, 2),
        "search_max_ms": percentile(all_searches, 1),
        "preview_max_ms": percentile(all_previews, 1),
        "preview_at_start_ms": round(at_start, 1),
        "preview_p95_ms_by_kind": {kind: percentile(t, 0.95) for kind, t in previews.items()},
        "search_p95_ms_by_kind": {kind: percentile(t, 0.95) for kind, t in searches.items()},
        "hello_p95_ms": hello_p95,
        "ratio_hello": round(percentile(all_previews, 0.95) / hello_p95, 1),
    }


def measure_periods(site: str, until: date, size: Size) -> dict[str, float]:
    """Measure the pages of a busy week and month, by trend, by field and with words, and the calendar."""
    say("weeks, months, calendar")
    week, month = (
        period_of(kind, until - timedelta(days=days))
        for kind, days in ((PeriodKind.WEEKLY, 7), (PeriodKind.MONTHLY, RECENT_DAYS // 2))
    )
    pages = {
        "week": (week.path, {"sort": "trend"}),
        "month": (month.path, {"sort": "trend"}),
        "month_field": (month.path, {"sort": "trend", "field": "cs.LG"}),
        "month_words": (month.path, {"q": "diffusion"}),
        "calendar": (f"/calendar/{month.name}", {}),
    }
    with httpx2.Client(timeout=60) as client:
        times = {
            name: [ask(client, f"{site}{path}", **query) for _ in range(size.repeats // 4)]
            for name, (path, query) in pages.items()
        }
    return {f"{name}_p95_ms": percentile(taken, 0.95) for name, taken in times.items()}


def measure_load(environment: dict[str, str], maker: TopicMaker, seconds: int) -> dict[str, Any]:
    """Measure front page, searches and papers at 100 requests a second, with the sender beside.

    Each time on a site that has no page yet; `load_times` has of each what was stolen and its ratio.
    """

    def measure() -> tuple[float, dict[str, float]]:
        with serve(*SITE, **environment) as (site, _):
            with httpx2.Client(timeout=60) as client:
                wait_until_read(client, f"{site}/topics/preview/live", maker)
            return send_load(site, maker, seconds)

    times = measure_quietly(measure)
    ratios = [(share, each["ratio_load_limit"]) for share, each in times]
    return times[0][1] | {"load_stolen": times[0][0], "load_times": ratios}


def send_load(site: str, maker: TopicMaker, seconds: int) -> tuple[float, dict[str, float]]:
    """Return the share of the processors' time that others took, and the figures.

    `load_first_…` is for the seconds before, in which its processes meet these pages for the first time.
    """
    say("100 requests a second")
    papers = cycle(find_papers(site))
    kinds: dict[str, Make] = {
        "front": lambda: ("/", {}),
        "search": lambda: ("/search", {"q": maker.kinds["word"]()}),
        "paper": lambda: (next(papers), {}),
    }
    first = send_steadily(site, kinds, seconds)
    read_stolen = watch_stolen()
    times = send_steadily(site, kinds, seconds)
    stolen = read_stolen()
    at_first = [each for taken in first.values() for each in taken]
    figures = {f"load_{kind}_p95_ms": percentile(taken, 0.95) for kind, taken in times.items()}
    ratio = round(max(figures.values()) / MOST_LOAD_MS, 2)
    figures |= {"load_first_p95_ms": percentile(at_first, 0.95), "ratio_load_limit": ratio}
    return stolen, figures


def ask(client: httpx2.Client, address: str, **query: str) -> float:
    """Return the milliseconds until the whole response is received."""
    # Each request is of another visitor, since one has a limit on its work.
    number = next(_VISITORS)
    visitor = {"X-Forwarded-For": f"198.18.{number // 250 % 250}.{number % 250}"}
    started = time.perf_counter()
    answer = client.get(address, params=query, headers=visitor)
    took = (time.perf_counter() - started) * 1000
    # A drawn word may be a stop word; its error is a valid response.
    assert answer.status_code in {200, 422}, (answer.status_code, query)
    return took


def ask_kinds(
    kinds: dict[str, Callable[[], str]], count: int, asks: Callable[[str], float]
) -> dict[str, list[float]]:
    return {kind: [asks(make()) for _ in range(count)] for kind, make in kinds.items()}


def wait_until_read(client: httpx2.Client, live: str, maker: TopicMaker) -> None:
    """Wait until the site suggests spellings, which it does after it has read the last days.

    Several times, each on a connection of its own, since each process of the site reads them.
    """
    until = time.monotonic() + _LONGEST_START_SECONDS
    ready = 0
    while ready < _READY_TIMES:
        answer = client.get(live, params={"q": maker.misspelt()}, headers={"Connection": "close"})
        ready = ready + 1 if "Did you mean" in answer.text else 0
        if time.monotonic() > until:
            raise RuntimeError("the site did not read the last days")
        time.sleep(0 if ready else 0.5)


def measure_following(
    site: str, database_url: str, papers: list[RealPaper], maker: TopicMaker, size: Size
) -> dict[str, float]:
    """Measure the first preview after each of some ingests."""
    say("previews after ingests")
    times = []
    with httpx2.Client(timeout=60) as client:
        for number in range(_INGESTS):
            ingest_papers(database_url, papers, size.papers + number * _INGESTED, _INGESTED)
            times.append(ask(client, f"{site}/topics/preview/live", q=maker.kinds["word"]()))
    return {"preview_after_ingest_ms": round(max(times), 1)}


def percentile(times: Sequence[float], share: float) -> float:
    return round(sorted(times)[max(0, math.ceil(len(times) * share) - 1)], 1)


def measure_unsubscribing(site: str, subscribers: Sequence[Token]) -> dict[str, Any]:
    """Measure one-click unsubscribes per second, sent as mail programs do, several at a time."""
    say("unsubscribing")
    paths = iter([f"/unsubscribe/{sign_token(each, (KEY,))}" for each in subscribers])

    def measure() -> tuple[float, float]:
        some = list(islice(paths, min(_LEAVING, len(subscribers) // MOST_TIMES)))
        read_stolen, started = watch_stolen(), time.perf_counter()
        statuses = post_all(site, some, b"List-Unsubscribe=One-Click", _CLIENTS)
        rate = round(len(some) / (time.perf_counter() - started), 1)
        assert statuses == {200}, statuses
        return read_stolen(), rate

    times = measure_quietly(measure)
    return {"unsubscribe_per_s": times[0][1], "unsubscribe_times": times}


def describe(size: Size, distinct: int) -> dict[str, Any]:
    return {
        "bench": "web",
        "papers": size.papers,
        "papers_distinct": distinct,
        "papers_in_last_30_days": size.papers // 4,
        "days": RECENT_DAYS,
        "topics": size.topics * 10,
        "readers": size.subscribers,
        "machine": {"cores": os.cpu_count(), "cpu": read_cpu(), "system": platform.platform()},
        "python": platform.python_version(),
    }


def read_cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    sys.exit(main())
