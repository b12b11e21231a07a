"""The rate limiter shared by processes: gaps, one connection at a time, back-off."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import Engine
from support.servers.loopback_http import LoopbackHttp

from service.papers.domain.crawl_delay import RateLimited
from service.papers.sources.base import FetchState, SourceUnavailable
from service.papers.sources.http_fetch import Caller, Fetcher
from service.papers.store.crawl_gate import SharedRateLimiter
from service.platform.database.engine import make_engine

GAP_SECONDS = 0.25

WORKER = """
import sys
from datetime import timedelta
from service.papers.sources.base import FetchState
from service.papers.sources.http_fetch import Caller, Fetcher
from service.platform.database.engine import make_engine
from service.papers.store.crawl_gate import SharedRateLimiter
engine = make_engine(sys.argv[1])
gate = SharedRateLimiter(engine, lambda url: "loopback", gap=timedelta(seconds=float(sys.argv[3])))
for _ in range(4):
    Fetcher(Caller(), gate).fetch(sys.argv[2], accept="*/*", state=FetchState())
"""


def always_named(_url: str) -> str:
    return "loopback"


def make_gate(engine: Engine, sleep: Callable[[float], None] = time.sleep) -> SharedRateLimiter:
    return SharedRateLimiter(engine, always_named, gap=timedelta(seconds=GAP_SECONDS), sleep=sleep)


def test_four_processes_send_requests_one_at_a_time_with_the_gap(
    database_url: str, loopback_http: LoopbackHttp
) -> None:
    spans: list[tuple[float, float]] = []

    def answer(_request: object) -> tuple[int, dict[str, str], bytes]:
        began = time.monotonic()
        time.sleep(0.05)
        spans.append((began, time.monotonic()))
        return 200, {}, b"ok"

    loopback_http.routes["/feed"] = answer
    arguments = [database_url, f"{loopback_http.url}/feed", str(GAP_SECONDS)]
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, *arguments], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    complaints = [worker.communicate(timeout=60)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0, 0], complaints
    spans.sort()
    assert len(spans) == 16
    starts = [begun for begun, _ in spans]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert min(gaps) >= GAP_SECONDS * 0.9, gaps
    overlaps = [n for n in range(15) if spans[n + 1][0] < spans[n][1]]
    assert overlaps == []


def test_after_a_refusal_every_process_waits_as_long_as_retry_after_says(
    engine: Engine, database_url: str, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/feed"] = (429, {"Retry-After": "120"}, b"Rate exceeded.")
    url = f"{loopback_http.url}/feed"
    with pytest.raises(SourceUnavailable) as first:
        Fetcher(Caller(), make_gate(engine)).fetch(url, accept="*/*", state=FetchState())
    assert first.value.retry_after_seconds == 120
    other = make_engine(database_url)
    try:
        with pytest.raises(SourceUnavailable, match="no request to loopback is allowed") as second:
            Fetcher(Caller(), make_gate(other)).fetch(url, accept="*/*", state=FetchState())
    finally:
        other.dispose()
    assert 100 < (second.value.retry_after_seconds or 0) <= 120
    assert len(loopback_http.requests) == 1


def test_refusals_without_a_time_double_the_wait_and_an_answer_ends_it(engine: Engine) -> None:
    waits: list[float] = []
    gate = make_gate(engine, waits.append)
    for _ in range(3):
        gate.report("https://host/", is_refused=True, retry_after_seconds=None)
    with pytest.raises(RateLimited) as closed:
        gate.wait("https://host/")
    assert 110 < closed.value.wait_seconds <= 120
    assert waits == []


def test_a_short_wait_is_slept_through(engine: Engine) -> None:
    waits: list[float] = []
    gate = make_gate(engine, waits.append)
    gate.wait("https://host/")
    gate.wait("https://host/")
    assert waits[0] == 0
    assert GAP_SECONDS * 0.5 < waits[1] <= GAP_SECONDS


def test_other_hosts_have_no_rate_limit(engine: Engine) -> None:
    waits: list[float] = []
    gate = SharedRateLimiter(engine, lambda _url: "", sleep=waits.append)
    with gate.hold("https://elsewhere.example/"):
        gate.wait("https://elsewhere.example/")
        gate.report("https://elsewhere.example/", is_refused=True, retry_after_seconds=9)
    assert waits == []


def test_a_process_that_dies_releases_the_advisory_lock(engine: Engine, database_url: str) -> None:
    holder = (
        "import sys, time\n"
        "from service.platform.database.engine import make_engine\n"
        "from service.papers.store.crawl_gate import SharedRateLimiter\n"
        "gate = SharedRateLimiter(make_engine(sys.argv[1]), lambda url: 'loopback')\n"
        "with gate.hold('x'):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", holder, database_url], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    process.kill()
    process.communicate()
    began = time.monotonic()
    with make_gate(engine).hold("x"):
        assert time.monotonic() - began < 10
