"""A source that refuses us: what commands say, how it is asked again, and what processes share."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.newsletter.commands import NOW, Paperboy
from support.rules import ROOT
from support.servers.loopback_http import LoopbackHttp
from support.sources.feeds import Told, render_feed
from support.web.papers import FRIDAY

LISTING = b"""<html><body><h3>Showing new listings for Thursday, 17 September 2026</h3>
<dl id='articles'><h3>New submissions (showing 1 of 1 entries)</h3></dl></body></html>"""


@pytest.fixture
def arxiv(
    environment: None, monkeypatch: pytest.MonkeyPatch, loopback_http: LoopbackHttp
) -> LoopbackHttp:
    """Return arXiv's server on loopback, for one category."""
    monkeypatch.setenv("PAPERBOY_ARXIV_FEED_URL", loopback_http.url)
    monkeypatch.setenv("PAPERBOY_ARXIV_LIST_URL", f"{loopback_http.url}/list")
    monkeypatch.setenv("PAPERBOY_ARXIV_CATEGORIES", "cs.CL")
    monkeypatch.setenv("PAPERBOY_SOURCES", "arxiv")
    return loopback_http


def test_a_403_closes_the_gate_until_the_operator_opens_it(
    arxiv: LoopbackHttp, paperboy: Paperboy
) -> None:
    host = f"127.0.0.1:{arxiv.port}"
    arxiv.routes["/rss/cs.CL"] = (403, {}, b"You are blocked.")
    first, second = paperboy(*NOW, "ingest"), paperboy(*NOW, "ingest")
    assert (first.code, second.code) == (1, 1)
    assert "HTTP 403, You are blocked." in first.out
    held = f"no request to {host} is allowed for another 24 hours, since it answered HTTP 403"
    assert held in " ".join(second.out.split())
    feeds = [request for request in arxiv.requests if request.path == "/rss/cs.CL"]
    assert len(feeds) == 1

    status = paperboy("status").out
    assert f"{host} answered HTTP 403 at " in status
    assert f"When it is settled: paperboy reopen {host}" in status
    (gate,) = paperboy("--json", "status").value["gates"]
    assert (gate["host"], gate["reason"]) == (host, "HTTP 403")
    findings = {one["subject"]: one for one in paperboy("--json", "doctor").value}
    assert findings[f"gate {host}"]["state"] == "bad"
    assert findings[f"gate {host}"]["detail"].endswith("UTC, since it answered HTTP 403")
    assert findings[f"gate {host}"]["hint"].endswith(f"run: paperboy reopen {host}")
    assert findings["source arxiv"]["detail"].startswith("not asked: no request to")

    opened = paperboy("--json", "reopen", f"{arxiv.url}/rss/cs.CL")
    assert (opened.code, opened.value) == (0, {"reopened": host})
    again = paperboy("reopen", host)
    assert (again.code, again.complaint) == (2, f"the gate of {host} is not closed; none is closed")
    assert "answered HTTP 403" not in paperboy("status").out
    arxiv.routes["/rss/cs.CL"] = (200, {}, render_feed(FRIDAY, Told(1)))
    assert paperboy(*NOW, "ingest").code == 0


def test_a_host_that_is_not_closed_is_named_with_those_that_are(
    arxiv: LoopbackHttp, paperboy: Paperboy
) -> None:
    arxiv.routes["/rss/cs.CL"] = (403, {}, b"")
    paperboy(*NOW, "ingest")
    result = paperboy("reopen", "Example.org")
    assert result.code == 2
    assert result.complaint == (
        f"the gate of example.org is not closed; closed are 127.0.0.1:{arxiv.port}"
    )


def ingest(now: str) -> str:
    """Ingest as a process of its own, and return its output."""
    done = subprocess.run(
        [sys.executable, "-m", "service.cli", "--now", now, "--json", "ingest"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        env=os.environ,
    )
    return done.stdout


def test_processes_together_request_a_listing_once_in_half_an_hour(arxiv: LoopbackHttp) -> None:
    arxiv.routes["/list/cs.CL/new"] = (200, {}, LISTING)
    arxiv.routes["/rss/cs.CL"] = (200, {}, render_feed(FRIDAY, Told(1)))

    def listed(*times: str) -> int:
        before = len(arxiv.requests)
        with ThreadPoolExecutor(len(times)) as runners:
            assert all(runners.map(ingest, times))
        return sum(request.path.startswith("/list") for request in arxiv.requests[before:])

    # From 20:30 to 21:01 on Thursday evening in New York.
    assert listed(*["2026-09-18T00:30Z"] * 3) == 1
    assert listed("2026-09-18T00:40Z", "2026-09-18T00:59Z") == 0
    assert listed("2026-09-18T01:00Z", "2026-09-18T01:01Z") == 1
