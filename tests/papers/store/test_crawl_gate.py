"""The rate limiter shared by processes: gaps, one connection at a time, back-off, closed gates."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session
from support.servers.loopback_http import LoopbackHttp, Request, Response

from service.papers.domain.crawl_delay import HostRule, RateLimited
from service.papers.sources.base import FetchState, SourceClosed, SourceUnavailable
from service.papers.sources.http_fetch import Caller, Fetcher
from service.papers.store.crawl_gate import SharedRateLimiter
from service.papers.store.gates import list_closed_gates, reopen_gate
from service.papers.store.models import Gate
from service.platform.database.engine import make_engine

GAP = timedelta(seconds=0.25)
RULE = HostRule("loopback", GAP, "all", GAP)

# A process that requests addresses with the rules of the service itself.
READER = """
import sys
from service.papers.sources.base import FetchState
from service.papers.sources.http_fetch import Caller, Fetcher
from service.papers.store.crawl_gate import SharedRateLimiter
from service.platform.database.engine import make_engine
fetcher = Fetcher(Caller(), SharedRateLimiter(make_engine(sys.argv[1])))
for url in sys.argv[2:]:
    try:
        print(len(fetcher.fetch(url, accept="*/*", state=FetchState()).payload))
    except Exception as error:
        print(type(error).__name__, error)
"""

WORKER = """
import sys
from datetime import timedelta
from service.papers.domain.crawl_delay import HostRule
from service.papers.sources.base import FetchState
from service.papers.sources.http_fetch import Caller, Fetcher
from service.papers.store.crawl_gate import SharedRateLimiter
from service.platform.database.engine import make_engine
gap = timedelta(seconds=float(sys.argv[3]))
rule = HostRule("loopback", gap, "all", gap)
fetcher = Fetcher(Caller(), SharedRateLimiter(make_engine(sys.argv[1]), lambda url: rule))
for _ in range(4):
    fetcher.fetch(sys.argv[2], accept="*/*", state=FetchState())
"""


def make_gate(engine: Engine, sleep: Callable[[float], None] = time.sleep) -> SharedRateLimiter:
    return SharedRateLimiter(engine, lambda _url: RULE, sleep=sleep)


def fetch(engine: Engine, url: str) -> bytes | None:
    fetcher = Fetcher(Caller(), SharedRateLimiter(engine, sleep=lambda _: None))
    return fetcher.fetch(url, accept="*/*", state=FetchState()).payload


def read(database_url: str, *urls: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", READER, database_url, *urls],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def let_time_pass(engine: Engine, by: timedelta) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE gates SET next_at = next_at - :by"), {"by": by})


def closed(engine: Engine) -> list[tuple[str, str, int]]:
    """Return the closed gates: name, reason, and hours, rounded."""
    with Session(engine) as session:
        now = session.scalar(text("SELECT clock_timestamp()"))
        return [
            (gate.name, gate.reason, round((gate.next_at - now) / timedelta(hours=1)))
            for gate in list_closed_gates(session)
        ]


class Spans:
    """A route that records when each of its requests began and ended, and to which host."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float, str]] = []

    def __call__(self, request: Request) -> Response:
        began = time.monotonic()
        time.sleep(0.05)
        self.seen.append((began, time.monotonic(), request.headers["Host"]))
        return 200, {}, b"ok"

    def check(self, gap: timedelta) -> None:
        """Check that no two requests overlap, and that they begin a gap apart."""
        self.seen.sort()
        starts = [begun for begun, *_ in self.seen]
        gaps = [later - earlier for earlier, later in pairwise(starts)]
        assert min(gaps) >= gap.total_seconds() * 0.9, gaps
        assert not any(later[0] < earlier[1] for earlier, later in pairwise(self.seen))


def test_four_processes_send_requests_one_at_a_time_with_the_gap(
    database_url: str, loopback_http: LoopbackHttp
) -> None:
    spans = loopback_http.routes["/feed"] = Spans()
    arguments = [database_url, f"{loopback_http.url}/feed", str(GAP.total_seconds())]
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, *arguments], stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    complaints = [worker.communicate(timeout=60)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0, 0], complaints
    assert len(spans.seen) == 16
    spans.check(GAP)


def test_processes_that_read_different_hosts_of_arxiv_have_one_connection_together(
    database_url: str, loopback_http: LoopbackHttp
) -> None:
    """The hosts have their real names and rules; a proxy on loopback answers in their place."""
    spans = loopback_http.routes["/x"] = Spans()
    hosts = ["rss.arxiv.org", "export.arxiv.org", "oaipmh.arxiv.org"]
    readers = [
        read(database_url, f"http://{host}/x", http_proxy=loopback_http.url, no_proxy="")
        for host in hosts
    ]
    assert [reader.communicate(timeout=60)[0] for reader in readers] == ["2\n"] * 3
    assert sorted(host for *_, host in spans.seen) == sorted(hosts)
    spans.check(timedelta(seconds=3))


def test_the_gap_is_15_seconds_at_the_listing_and_3_at_arxivs_other_hosts(engine: Engine) -> None:
    waits: list[float] = []
    gate = SharedRateLimiter(engine, sleep=waits.append)
    for url in ("https://arxiv.org/list/cs.CL/new", "https://rss.arxiv.org/rss/cs.CL"):
        gate.wait(url)
        gate.report(url, 200, None)
    gate.wait("https://arxiv.org/list/cs.LG/new")
    gate.wait("https://oaipmh.arxiv.org/oai")
    to_feed, to_listing, to_oai = waits
    assert 2 < to_feed <= 3
    assert 13 < to_listing <= 15
    assert 2 < to_oai <= 3


def test_after_a_refusal_every_process_waits_as_long_as_retry_after_says(
    engine: Engine, database_url: str, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/feed"] = (429, {"Retry-After": "120"}, b"Rate exceeded.")
    url = f"{loopback_http.url}/feed"
    with pytest.raises(SourceUnavailable) as first:
        fetch(engine, url)
    assert first.value.retry_after_seconds == 120
    other = make_engine(database_url)
    try:
        with pytest.raises(SourceClosed, match=r"no request to 127.0.0.1:.* is allowed") as second:
            fetch(other, url)
    finally:
        other.dispose()
    assert 100 < (second.value.retry_after_seconds or 0) <= 120
    assert len(loopback_http.requests) == 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept_to_the_second_by_other_processes(
    engine: Engine, database_url: str, loopback_http: LoopbackHttp, form: str
) -> None:
    came: list[datetime] = []

    def answer(_request: Request) -> Response:
        came.append(datetime.now(UTC))
        until = format_datetime(came[0] + timedelta(seconds=4), usegmt=True)
        headers = {"Retry-After": "4" if form == "seconds" else until}
        return (503, headers, b"") if len(came) == 1 else (200, {}, b"ok")

    loopback_http.routes["/feed"] = answer
    with pytest.raises(SourceUnavailable):
        fetch(engine, f"{loopback_http.url}/feed")
    readers = [read(database_url, f"{loopback_http.url}/feed") for _ in range(2)]
    assert [reader.communicate(timeout=60)[0] for reader in readers] == ["2\n", "2\n"]
    # A date has whole seconds, so it may name up to one less.
    least = timedelta(seconds=4) if form == "seconds" else timedelta(seconds=3)
    assert all(least <= later - came[0] < timedelta(seconds=20) for later in came[1:])


def test_too_many_requests_at_one_host_of_arxiv_close_all_of_them(engine: Engine) -> None:
    gate = SharedRateLimiter(engine)
    gate.report("https://export.arxiv.org/api", 429, 90)
    with pytest.raises(RateLimited, match=r"no request to arxiv .* since it answered HTTP 429"):
        gate.wait("https://rss.arxiv.org/rss/cs.CL")
    gate.report("https://oaipmh.arxiv.org/oai", 503, None)
    let_time_pass(engine, timedelta(seconds=90))
    gate.wait("https://rss.arxiv.org/rss/cs.CL")
    with pytest.raises(RateLimited, match=r"no request to oaipmh\.arxiv\.org"):
        gate.wait("https://oaipmh.arxiv.org/oai")


def test_refusals_without_a_time_close_for_10_minutes_then_double_and_an_answer_ends_it(
    engine: Engine,
) -> None:
    gate = make_gate(engine)
    minutes = []
    for status in (503, 503, 503, 200, 503):
        gate.report("https://host/", status, None)
        try:
            gate.wait("https://host/")
        except RateLimited as refused:
            minutes.append(round(refused.wait_seconds / 60))
            let_time_pass(engine, timedelta(seconds=refused.wait_seconds + 1))
    assert minutes == [10, 20, 40, 10]


def test_a_403_closes_the_hosts_gate_for_a_day_to_every_process_and_then_longer(
    engine: Engine, database_url: str, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/feed"] = (403, {}, b"You are blocked.")
    url, name = f"{loopback_http.url}/feed", f"127.0.0.1:{loopback_http.port}"
    for number, days in enumerate((1, 2, 4, 8, 14, 14), start=1):
        with pytest.raises(SourceUnavailable, match="HTTP 403, You are blocked"):
            fetch(engine, url)
        assert closed(engine) == [(name, "HTTP 403", 24 * days)]
        (out, _) = read(database_url, url, f"{loopback_http.url}/other").communicate(timeout=60)
        lines = out.splitlines()
        assert len(lines) == 2
        assert all("since it answered HTTP 403" in line for line in lines)
        assert len(loopback_http.requests) == number
        let_time_pass(engine, timedelta(days=days))
    assert closed(engine) == []
    loopback_http.routes["/feed"] = (200, {}, b"ok")
    assert fetch(engine, url) == b"ok"
    loopback_http.routes["/feed"] = (403, {}, b"")
    with pytest.raises(SourceUnavailable):
        fetch(engine, url)
    assert closed(engine) == [(name, "HTTP 403", 24)]


def test_a_403_closes_one_host_and_not_the_others_of_arxiv(engine: Engine) -> None:
    gate = SharedRateLimiter(engine, sleep=lambda _: None)
    gate.report("https://arxiv.org/list/cs.CL/new", 403, None)
    assert closed(engine) == [("arxiv.org", "HTTP 403", 24)]
    gate.wait("https://rss.arxiv.org/rss/cs.CL")
    with pytest.raises(RateLimited, match=r"arxiv\.org is allowed for another 24 hours"):
        gate.wait("https://www.arxiv.org/list/cs.LG/new")


def test_processes_refused_at_the_same_time_close_the_gate_once(
    engine: Engine, database_url: str, loopback_http: LoopbackHttp
) -> None:
    """Other hosts than arXiv's have no lock, so that several requests may be on their way."""
    running: list[Request] = []

    def answer(request: Request) -> Response:
        running.append(request)
        deadline = time.monotonic() + 30
        while len(running) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        return 403, {}, b""

    loopback_http.routes["/feed"] = answer
    readers = [read(database_url, f"{loopback_http.url}/feed") for _ in range(3)]
    for reader in readers:
        assert "HTTP 403" in reader.communicate(timeout=60)[0]
    assert len(running) == 3
    assert [hours for *_, hours in closed(engine)] == [24]


def test_a_closed_gate_is_reopened_and_a_403_after_that_closes_it_longer(engine: Engine) -> None:
    gate = SharedRateLimiter(engine, sleep=lambda _: None)
    gate.report("https://huggingface.co/api", 403, None)
    with Session(engine) as session, session.begin():
        assert reopen_gate(session, "huggingface.co")
        assert not reopen_gate(session, "huggingface.co")
        assert not reopen_gate(session, "unknown.example")
    gate.wait("https://huggingface.co/api")
    gate.report("https://huggingface.co/api", 403, None)
    assert closed(engine) == [("huggingface.co", "HTTP 403", 48)]


def test_an_answer_to_a_request_sent_before_does_not_open_a_closed_gate(engine: Engine) -> None:
    gate = SharedRateLimiter(engine)
    gate.report("https://huggingface.co/api", 403, None)
    gate.report("https://huggingface.co/api", 200, None)
    gate.report("https://huggingface.co/api", 503, None)
    assert closed(engine) == [("huggingface.co", "HTTP 403", 24)]


def test_a_short_wait_is_slept_through(engine: Engine) -> None:
    waits: list[float] = []
    gate = make_gate(engine, waits.append)
    gate.wait("https://host/")
    gate.wait("https://host/")
    (wait,) = waits
    assert GAP.total_seconds() * 0.5 < wait <= GAP.total_seconds()


def test_a_gate_that_closes_during_the_sleep_stays_closed(engine: Engine) -> None:
    other = SharedRateLimiter(engine)
    other.report("https://huggingface.co/api", 429, 30)

    def refuse(_seconds: float) -> None:
        other.report("https://huggingface.co/api", 403, None)

    with pytest.raises(RateLimited, match="HTTP 403"):
        SharedRateLimiter(engine, sleep=refuse).wait("https://huggingface.co/api")


def test_other_hosts_have_no_gap(engine: Engine) -> None:
    waits: list[float] = []
    gate = SharedRateLimiter(engine, sleep=waits.append)
    for _ in range(2):
        with gate.hold("https://elsewhere.example/"):
            gate.wait("https://elsewhere.example/")
            gate.report("https://elsewhere.example/", 200, None)
    assert waits == []
    with Session(engine) as session:
        assert session.scalars(select(Gate.name)).all() == ["elsewhere.example"]


def test_a_process_that_dies_releases_the_advisory_lock(engine: Engine, database_url: str) -> None:
    holder = (
        "import sys, time\n"
        "from service.platform.database.engine import make_engine\n"
        "from service.papers.domain.crawl_delay import HostRule\n"
        "from service.papers.store.crawl_gate import SharedRateLimiter\n"
        "rule = HostRule('loopback', group='all')\n"
        "gate = SharedRateLimiter(make_engine(sys.argv[1]), lambda url: rule)\n"
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
