"""The sample server over real loopback HTTP: statuses, caching, and the daily papers."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest
from lxml import etree

from service.papers.sources.huggingface import parse_daily_papers
from service.sample.daily_papers import entries
from service.sample.papers import new_papers
from service.sample.server import SampleServer
from service.sample.wire import atom_feed, rss_feed

TUESDAY = date(2026, 11, 24)
ROOT = Path(__file__).parents[2]
REAL_DAYS = (
    ROOT / os.environ.get("PAPERBOY_REAL_DATA", "../shared/data") / "wire/hf_daily_papers/dev"
)


def daily_papers(on: date) -> bytes:
    return json.dumps(entries(on, on), ensure_ascii=False, separators=(",", ":")).encode()


@pytest.fixture
def client() -> Iterator[httpx2.Client]:
    with SampleServer(TUESDAY) as server, httpx2.Client(base_url=server.url) as client:
        yield client


def test_feeds_are_served_as_rendered(client: httpx2.Client) -> None:
    rss = client.get("/rss/cs.CL")
    assert rss.content == rss_feed("cs.CL", TUESDAY)
    assert rss.headers["Content-Type"] == "application/rss+xml"
    atom = client.get("/atom/cs.CL+stat.ML")
    assert atom.content == atom_feed("cs.CL+stat.ML", TUESDAY)
    assert atom.headers["Content-Type"] == "application/atom+xml"


@pytest.mark.parametrize("path", ["/rss/cs.CL", "/atom/cs.CL", "/api/daily_papers"])
def test_an_unchanged_answer_is_304_without_a_body(client: httpx2.Client, path: str) -> None:
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(path, headers={"If-None-Match": '"something else"'})
    assert (other.status_code, other.content) == (200, first.content)


def test_answers_may_be_cached_until_midnight_in_new_york(client: httpx2.Client) -> None:
    cache_control = client.get("/rss/cs.CL").headers["Cache-Control"]
    assert 0 < int(cache_control.removeprefix("max-age=")) <= 25 * 3600


@pytest.mark.parametrize("kind", ["rss", "atom"])
def test_an_unknown_category_is_an_error_feed_with_400(client: httpx2.Client, kind: str) -> None:
    answer = client.get(f"/{kind}/cs.XX")
    assert answer.status_code == 400
    titles = etree.fromstring(answer.content).xpath("//*[local-name()='title']/text()")
    assert titles == [f"Feed error for query: http://rss.arxiv.org/{kind}/cs.XX"]


@pytest.mark.parametrize("path", ["/", "/rss/", "/rss", "/favicon.ico", "/api/papers"])
def test_other_paths_are_not_found(client: httpx2.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_many_requests_share_one_connection_quickly(client: httpx2.Client) -> None:
    elapsed = [client.get("/rss/math.OC").elapsed.total_seconds() for _ in range(30)]
    # A delayed acknowledgement would cost 40 ms on each of them.
    assert sorted(elapsed)[len(elapsed) // 2] < 0.035


def test_a_server_shows_the_day_that_its_clock_shows() -> None:
    days = iter([TUESDAY, date(2026, 11, 25)])
    with SampleServer(lambda: next(days)) as server:
        for on in (TUESDAY, date(2026, 11, 25)):
            assert httpx2.get(f"{server.url}/rss/cs.CL").content == rss_feed("cs.CL", on)


def test_at_a_weekend_the_feeds_and_the_listing_still_show_friday() -> None:
    friday, sunday = date(2026, 11, 27), date(2026, 11, 29)
    with SampleServer(sunday) as server, httpx2.Client(base_url=server.url) as client:
        assert client.get("/rss/cs.CL").content == rss_feed("cs.CL", friday)
        assert b"Friday, 27 November 2026" in client.get("/list/cs.CL/new").content
        saturday = client.get("/api/daily_papers?date=2026-11-28")
        assert (saturday.status_code, saturday.content) == (200, b"[]")


def test_upvotes_grow_over_the_days() -> None:
    seen: list[dict[str, int]] = []
    for days in range(7):
        with (
            SampleServer(TUESDAY + timedelta(days=days)) as server,
            httpx2.Client(base_url=server.url) as client,
        ):
            listed = client.get("/api/daily_papers?date=2026-11-24").json()
        seen.append({entry["paper"]["id"]: entry["paper"]["upvotes"] for entry in listed})
    totals = [sum(upvotes.values()) for upvotes in seen]
    assert totals == sorted(totals)
    assert totals[0] < totals[1] < totals[2] < totals[5] == totals[6]
    for before, after in pairwise(seen):
        assert all(after[name] >= before[name] for name in before.keys() & after.keys())


def test_two_servers_of_different_days_are_independent() -> None:
    with SampleServer(TUESDAY) as one, SampleServer(date(2026, 11, 25)) as other:
        assert one.url != other.url
        assert (
            httpx2.get(f"{one.url}/rss/cs.CL").content
            != httpx2.get(f"{other.url}/rss/cs.CL").content
        )


def test_daily_papers_are_the_most_upvoted_first(client: httpx2.Client) -> None:
    answer = client.get("/api/daily_papers", params={"date": "2026-11-24", "limit": "100"})
    assert answer.content == daily_papers(TUESDAY)
    upvotes = [entry["paper"]["upvotes"] for entry in answer.json()]
    assert 18 <= len(upvotes) <= 25
    assert upvotes == sorted(upvotes, reverse=True)
    assert {entry["paper"]["id"] for entry in answer.json()} <= {
        one.identifier for one in new_papers(TUESDAY)
    }


def test_some_daily_papers_have_code_and_a_summary_and_some_have_not() -> None:
    papers = [entry["paper"] for entry in json.loads(daily_papers(TUESDAY))]
    for field in ("githubRepo", "githubStars", "ai_summary", "ai_keywords"):
        assert 3 <= sum(field in paper for paper in papers) < len(papers), field


def test_daily_papers_are_paged(client: httpx2.Client) -> None:
    pages = [client.get(f"/api/daily_papers?limit=10&p={page}").json() for page in range(3)]
    assert [len(page) for page in pages] == [10, 10, len(entries(TUESDAY, TUESDAY)) - 20]
    assert [one for page in pages for one in page] == json.loads(daily_papers(TUESDAY))


def test_daily_papers_of_a_weekend_are_an_empty_list(client: httpx2.Client) -> None:
    answer = client.get("/api/daily_papers?date=2026-11-22")
    assert (answer.status_code, answer.content) == (200, b"[]")


@pytest.mark.parametrize("query", ["date=2026-11-26", "date=yesterday", "limit=many"])
def test_days_to_come_and_malformed_parameters_are_refused(
    client: httpx2.Client, query: str
) -> None:
    answer = client.get(f"/api/daily_papers?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]


@pytest.mark.parametrize("on", [TUESDAY, date(2026, 11, 25)])
def test_our_own_parser_reads_every_daily_paper_without_a_bad_entry(on: date) -> None:
    batch = parse_daily_papers(daily_papers(on))
    assert batch.bad_entries == ()
    assert [one.identifier for one in batch.announcements] == [
        entry["paper"]["id"] for entry in json.loads(daily_papers(on))
    ]
    assert all(
        one.signals and one.signals.upvotes > 0 and one.authors for one in batch.announcements
    )
    assert any(
        one.signals and one.signals.github_url and one.signals.summary
        for one in batch.announcements
    )


@pytest.mark.real
def test_daily_papers_use_no_field_the_real_answers_lack_and_miss_none_they_always_have() -> None:
    newest = sorted(REAL_DAYS.glob("2025-1*.json.gz"))[-10:]
    real = [entry for path in newest for entry in json.loads(gzip.decompress(path.read_bytes()))]
    ours = json.loads(daily_papers(TUESDAY))
    for theirs, mine in (
        (real, ours),
        ([entry["paper"] for entry in real], [entry["paper"] for entry in ours]),
    ):
        possible, always = set().union(*theirs), set(theirs[0]).intersection(*theirs)
        assert set().union(*mine) <= possible
        assert always <= set(mine[0]).intersection(*mine)


def test_the_module_serves_until_it_is_interrupted() -> None:
    command = [sys.executable, "-m", "service.sample", "--port", "0", "--date", "2026-11-28"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        assert "2026-11-27" in line  # a Saturday becomes the Friday before it
        assert httpx2.get(line.split()[-1]).content == rss_feed("cs.CL", date(2026, 11, 27))
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
