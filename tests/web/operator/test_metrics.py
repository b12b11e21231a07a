"""`/metrics`: figures without addresses, and access control."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import httpx2
import pytest
import redis
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event
from support.newsletter.press import LATER, NOBODY, SILENCE, PlannedTransport, Press, Turnable
from support.web.server import serve
from support.web.site import EnqueuedTasks

from service.deliveries.domain.states import SendOutcome
from service.messages.mime.mime import Envelope
from service.operations.metrics import MOST_PROVIDERS, OTHERS, count_by_provider
from service.operations.store.counts import SendCount
from service.papers.store.crawl_gate import SharedRateLimiter
from service.platform.caches import clear_caches
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.presentation.dates import plain_date
from service.sending.deliver import deliver
from service.sending.domain.provider_limits import BreakerState
from service.sending.store.models import ProviderLimit
from service.sending.watermark_files import watermark_paths
from service.subscribers.lifecycle import suppress_address
from service.web import app as web_app
from service.web.app import create_app
from service.web.core.cached_response import CachedResponse

PASSWORD = "a long password of the operator's"

# Counters of the process; all other metrics are gauges read from the database.
COUNTED = {"paperboy_cache_hits", "paperboy_cache_misses"}

Samples = dict[str, dict[tuple[str, ...], float]]


def read(answer: httpx2.Response) -> Samples:
    """Return all samples by name and label values, ordered by label name."""
    assert answer.status_code == 200
    samples: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation
        assert family.type == ("counter" if family.name in COUNTED else "gauge")
        for sample in family.samples:
            values = tuple(sample.labels.values())
            samples.setdefault(sample.name.removeprefix("paperboy_"), {})[values] = sample.value
    return samples


def answer_by_name(envelope: Envelope) -> SendOutcome:
    answers = {"later": LATER, "nobody": NOBODY, "silence": SILENCE}
    name = envelope.recipient.partition("@")[0]
    return answers.get(name) or PlannedTransport.plan(envelope)


def test_the_balance_and_the_queue_are_exported(web: httpx2.Client, press: Press) -> None:
    press.add_subscribers(
        "anne@gmail.com", "later@gmail.com", "nobody@uni.example", "silence@uni.example"
    )
    press.add_subscribers("cleo@example.org", topics=("nothing at all",))
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport(answer_by_name)))
    press.clock.forward(minutes=20)
    with press.sessions.begin() as session:
        keys = press.settings.secret_key
        suppress_address(session, "x@example.org", keys, "asked", press.clock())
        session.add(
            ProviderLimit(
                provider="gmail", rate=2.5, changed_at=press.clock(), breaker=BreakerState.OPEN
            )
        )
    gate = SharedRateLimiter(press.sessions.kw["bind"])
    gate.report("https://arxiv.org/list/cs.CL/new", 403, None)
    answer = web.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    samples = read(answer)
    assert samples["edition_deliveries"] == {
        ("daily", "2026-09-18", "", "sent"): 1,
        ("daily", "2026-09-18", "", "queued"): 1,
        ("daily", "2026-09-18", "", "failed"): 1,
        ("daily", "2026-09-18", "", "in_doubt"): 1,
        ("daily", "2026-09-18", "empty", "skipped"): 1,
    }
    assert samples["edition_candidates"] == {("daily", "2026-09-18"): 5}
    assert sum(samples["edition_deliveries"].values()) == 5
    assert samples["edition_balanced"] == {("daily", "2026-09-18"): 1}
    assert samples["due_mails"] == {(): 1}
    assert 0 < samples["oldest_due_seconds"][()] <= 20 * 60
    assert samples["queued_mails"] == {("digest",): 1}
    assert samples["in_doubt_mails"] == {(): 1}
    assert samples["recent_sends"] == {
        ("gmail", "2xx"): 1,
        ("gmail", "4xx"): 1,
        ("uni.example", "5xx"): 1,
        ("uni.example", "none"): 1,
    }
    assert samples["provider_paused"] == {("gmail",): 1}
    assert samples["provider_rate"] == {("gmail",): 2.5}
    assert samples["closed_gates"] == {("arxiv.org", "HTTP 403"): 1}
    assert samples["batches"] == {("arxiv", "complete"): 1}
    assert samples["batch_faults"] == samples["unreadable_papers"] == {("arxiv",): 0}
    assert samples["subscribers"] == {("active",): 4, ("suppressed",): 1}
    assert samples["suppressions"] == {("hard_bounce",): 1, ("operator",): 1}
    assert samples["restored"] == {(): 0}
    # No address occurs, whole or in part.
    assert "@" not in answer.text
    assert not re.search(r"anne|nobody|silence", answer.text)


def test_only_open_editions_and_the_latest_of_each_cadence_are_exported(
    web: httpx2.Client, press: Press
) -> None:
    press.add_subscribers("anne@example.org")
    press.add_papers(1)
    days = [press.clock().date() + timedelta(days=n) for n in range(3)]
    for number, on in enumerate(days):
        press.publish(on)
        if number != 1:  # the second is still waiting
            deliver(press.sender(PlannedTransport()), press.rows()[-1].edition_id)
        press.clock.forward(days=1)
    samples = read(web.get("/metrics"))["edition_candidates"]
    assert [on for _, on in samples] == [days[2].isoformat()]


def test_a_new_installation_exports_zeros(web: httpx2.Client) -> None:
    samples = read(web.get("/metrics"))
    assert (samples["due_mails"], samples["in_doubt_mails"]) == ({(): 0}, {(): 0})
    assert "edition_deliveries" not in samples


def test_a_restored_backup_is_exported(web: httpx2.Client, press: Press) -> None:
    press.add_subscribers("anne@example.org")
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    beside, _ = watermark_paths(press.settings.data_dir)
    beside.write_text(beside.read_text().replace('"attempt": 1', '"attempt": 2'))
    assert read(web.get("/metrics"))["restored"] == {(): 1}


def test_lost_marks_are_exported_as_a_restored_backup(web: httpx2.Client, press: Press) -> None:
    press.add_subscribers("anne@example.org")
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    watermark_paths(press.settings.data_dir)[0].unlink()
    with redis.Redis.from_url(press.settings.redis_url) as client:
        client.flushdb()
    assert read(web.get("/metrics"))["restored"] == {(): 1}


def test_the_caches_of_the_process_are_exported(web: httpx2.Client) -> None:
    clear_caches()
    for _ in range(3):
        plain_date(date(2026, 4, 21))
    answer = web.get("/metrics")
    samples, name = read(answer), ("plain dates",)
    assert samples["cache_entries"][name] == 1
    assert samples["cache_maximum_entries"][name] == 1_024
    assert (samples["cache_hits_total"][name], samples["cache_misses_total"][name]) == (2, 1)
    # Some caches inside objects are bounded by bytes, and their hits are not counted.
    assert samples["cache_maximum_bytes"]["whole cards",] > samples["cache_bytes"]["whole cards",]
    assert ("whole cards",) not in samples["cache_maximum_entries"]
    assert ("whole cards",) not in samples["cache_hits_total"]
    assert "each process has its own" in answer.text


def test_frequent_requests_are_served_from_the_cache(web: httpx2.Client, engine: Engine) -> None:
    first = web.get("/metrics").text
    statements: list[str] = []
    event.listen(
        engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2])
    )
    assert {web.get("/metrics").text for _ in range(5)} == {first}
    assert statements == []


def test_a_failed_response_is_not_cached() -> None:
    cached = CachedResponse(60)
    answers: list[OSError | bytes] = [OSError("away"), b"one", b"two"]
    made = iter(answers)

    def make() -> bytes:
        found = next(made)
        if isinstance(found, Exception):
            raise found
        return found

    with pytest.raises(OSError, match="away"):
        cached.read(make)
    assert [cached.read(make) for _ in range(2)] == [b"one", b"one"]
    cached.fresh_until = 0.0
    assert cached.read(make) == b"two"


def test_a_database_that_does_not_answer_is_a_503(
    web: httpx2.Client, app: FastAPI, engine: Engine
) -> None:
    app.state.context = replace(app.state.context, measuring_seconds=1)
    with engine.begin() as blocker:
        blocker.exec_driver_sql("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE")
        answer = web.get("/metrics")
    assert (answer.status_code, answer.text) == (503, "the database does not answer in time\n")
    assert read(web.get("/metrics"))


@pytest.fixture
def guarded(settings: Settings, engine: Engine, clock: Turnable) -> Iterator[httpx2.Client]:
    here = settings.model_copy(
        update={"admin_password": PASSWORD, "base_url": "https://papers.example.org"}
    )
    app = create_app(here, make_sessions(engine), enqueue=EnqueuedTasks(), clock=clock)
    with serve(app) as address, httpx2.Client(base_url=address, timeout=20) as client:
        yield client


def test_only_the_password_gives_access(guarded: httpx2.Client) -> None:
    bare = guarded.get("/metrics")
    assert bare.status_code == 401
    assert bare.headers["www-authenticate"] == 'Basic realm="Paperboy", charset="UTF-8"'
    assert "paperboy_" not in bare.text
    assert guarded.get("/metrics", auth=("monitor", PASSWORD[:-1])).status_code == 401
    assert (
        guarded.get("/metrics", headers={"Authorization": f"Bearer {PASSWORD}"}).status_code == 401
    )
    assert guarded.get("/metrics", headers={"Authorization": "Basic ???"}).status_code == 401
    assert read(guarded.get("/metrics", auth=("anybody", PASSWORD)))


def test_a_public_site_without_a_password_has_no_metrics(
    settings: Settings, engine: Engine, clock: Turnable
) -> None:
    public = settings.model_copy(update={"base_url": "https://papers.example.org"})
    app = create_app(public, make_sessions(engine), enqueue=EnqueuedTasks(), clock=clock)
    with serve(app) as address:
        assert httpx2.get(f"{address}/metrics").status_code == 404


def test_small_providers_share_a_label() -> None:
    rows = [SendCount(f"d{n}.example", "2xx", 100 - n) for n in range(MOST_PROVIDERS + 5)]
    rows += [
        SendCount("", "none", 7),
        SendCount("hotmail.fr", "2xx", 500),
        SendCount("live.de", "5xx", 1),
    ]
    counts = count_by_provider(rows)
    assert len({provider for provider, _ in counts}) == MOST_PROVIDERS + 1
    assert (counts["outlook", "2xx"], counts["outlook", "5xx"], counts[OTHERS, "none"]) == (
        500,
        1,
        7,
    )
    assert sum(counts.values()) == sum(row.count for row in rows)
    assert web_app.METRICS_SECONDS > 0
