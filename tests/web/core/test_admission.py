"""A query has a budget and its visitor tokens; who spends them gets one sentence and a time to wait."""

from collections.abc import Iterator
from functools import partial
from inspect import signature
from pathlib import Path

import httpx2
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.papers import make_announcement, store_papers
from support.web.process import running
from support.web.server import serve
from support.web.site import EnqueuedTasks

from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.platform.work_budget import WorkBudget
from service.web.app import _PAGES, create_app
from service.web.core.admission import FEED, PAPER, PREVIEW, SEARCH, SEARCH_IF_WORDS
from service.web.core.rate_limits import (
    PAPER_WORK,
    PREVIEW_WORK,
    SEARCH_WORK,
    FirstTokens,
    SignUpLimits,
)

COSTLY = "This needs more work than one page may take; please ask with fewer words."
TOO_MANY = "That was a lot of work for your network; please try again in a minute."
QUERIES = ("/search", "/topics/preview", "/topics/preview/live", "/feeds/search.atom",
           "/feeds/search.rss", "/feeds/search.json", "/weekly/2026-W38")  # fmt: skip
LIKE = 'like:"a text"'


@pytest.fixture(params=[{"steps": 2}, {"statements": 2}, {"seconds": 0.0}], ids=repr)
def poor(
    request: pytest.FixtureRequest,
    settings: Settings,
    engine: Engine,
    clock: Turnable,
    enqueued: EnqueuedTasks,
) -> Iterator[httpx2.Client]:
    """Serve the site with a small budget for each request: of steps, statements or processor time."""
    budget = partial(WorkBudget, **request.param)
    app = create_app(
        settings, make_sessions(engine), enqueue=enqueued, clock=clock, make_budget=budget
    )
    with serve(app) as address, httpx2.Client(base_url=address, timeout=20) as client:
        yield client


def test_every_route_that_evaluates_a_query_takes_tokens_and_a_slot() -> None:
    """A query is a parameter `q`, or what a form or link of a topic or a paper holds."""
    others = {"/topics/preview", "/papers/{key:path}", "/papers/{key:path}/card.png", "/change/{token}", "/feeds/daily.atom",
              "/feeds/weekly.atom", "/", "/daily/{name}", "/weekly/{name}", "/monthly/{name}"}  # fmt: skip
    guards = [SEARCH, PREVIEW, FEED, PAPER, SEARCH_IF_WORDS]
    guarded = set()
    for route in (each for page in _PAGES for each in page.router.routes):
        assert isinstance(route, APIRoute)
        if not ({"q"} & signature(route.endpoint).parameters.keys() or route.path in others):
            continue
        # The operator's search of subscribers is behind a password.
        if not route.path.startswith("/admin"):
            assert route.dependencies in guards, route.path
            guarded.add((route.path, *(route.methods or ())))
    assert len(guarded) >= 16


def assert_refused(answer: httpx2.Response, status: int, sentence: str) -> None:
    assert answer.status_code == status
    assert int(answer.headers["retry-after"]) > 0
    assert sentence in answer.text


def test_past_its_budget_a_request_is_refused_in_one_sentence(
    poor: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "Cats and Dogs and Mice")])
    topic = "cats dogs mice"
    for path in QUERIES:
        assert_refused(poor.get(path, params={"q": topic}), 503, COSTLY)
    live = poor.get("/topics/preview/live", params={"q": topic}).json()
    assert live == {"summary": COSTLY, "fault": "", "result": f"<p>{COSTLY}</p>"}
    accept = {"Accept": "application/json"}
    answer = poor.get("/topics/preview", params={"q": topic}, headers=accept)
    assert answer.json() == {"error": COSTLY}
    form = {"topic": topic, "email": "reader@example.org"}
    assert_refused(poor.post("/topics/preview", data=form), 503, COSTLY)
    assert_refused(poor.post("/subscribe", data=form), 503, COSTLY)
    assert poor.get("/healthz").status_code == 200
    assert poor.get("/metrics", auth=("me", "wrong")).status_code != 503


@pytest.mark.parametrize("path", ["/search", "/topics/preview/live", "/feeds/search.atom"])
def test_a_visitor_who_compares_texts_without_end_has_to_wait(
    web: httpx2.Client, path: str
) -> None:
    answers = [web.get(path, params={"q": LIKE}) for _ in range(100)]
    statuses = [answer.status_code for answer in answers]
    # A visitor who types a text for some seconds is served.
    assert 429 not in statuses[:40]
    assert_refused(answers[-1], 429, TOO_MANY)
    # Tokens of one kind of page are not those of another, and pages without a query cost none.
    others = {"/search", "/topics/preview/live", "/feeds/search.atom"} - {path}
    for other in others:
        assert web.get(other, params={"q": "cats"}).status_code == 200
    assert web.get("/").status_code == 200


def test_words_on_a_list_cost_what_a_search_costs_and_a_list_without_them_nothing(
    web: httpx2.Client,
) -> None:
    costly = {"q": " OR ".join(f'like:"text {n}"' for n in range(3))}
    answers = [web.get("/monthly/2026-09", params=costly) for _ in range(40)]
    assert answers[0].status_code == 200
    assert_refused(answers[-1], 429, TOO_MANY)
    assert web.get("/search", params=costly).status_code == 429
    assert web.get("/monthly/2026-09").status_code == 200


def test_the_preview_of_a_posted_form_takes_tokens_as_its_link_does(web: httpx2.Client) -> None:
    form = {"topic": LIKE}
    statuses = [web.post("/topics/preview", data=form).status_code for _ in range(100)]
    assert 429 not in statuses[:40]
    assert statuses[-1] == 429


def test_an_office_that_types_and_a_feed_reader_with_many_feeds_are_served(
    web: httpx2.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    for number in range(250):
        for path in ("/topics/preview/live", "/feeds/search.atom"):
            answer = web.get(path, params={"q": f"cats word{number}"})
            assert answer.status_code == 200


def test_a_visitor_is_an_ipv4_address_or_an_ipv6_network(
    settings: Settings, tmp_path: Path
) -> None:
    with running(settings, tmp_path / "log", TRUSTED_PROXIES="127.0.0.0/8") as address:

        def ask(visitor: str) -> int:
            headers = {"X-Forwarded-For": visitor}
            return httpx2.get(f"{address}/search", params={"q": LIKE}, headers=headers).status_code

        statuses = [ask(f"2001:db8:1:1::{n:x}") for n in range(60)]
        assert statuses[-1] == 429
        assert ask("2001:db8:1:2::1") != 429
        assert ask("192.0.2.1") != 429


def test_a_visitor_has_no_more_tokens_than_a_minute_has(web: httpx2.Client) -> None:
    statuses = [
        web.get("/papers/arxiv:2609.99999").status_code for _ in range(PAPER_WORK.amount + 1)
    ]
    assert statuses.count(404) == PAPER_WORK.amount
    assert statuses[-1] == 429


def test_a_visitor_waits_while_valkey_is_away() -> None:
    limits = SignUpLimits("redis://127.0.0.1:1/0")
    # Each process then counts by itself.
    assert limits.seconds_until_work(SEARCH_WORK, "192.0.2.1", SEARCH_WORK.amount) == 0
    assert limits.seconds_until_work(SEARCH_WORK, "192.0.2.1", 1) > 0
    assert limits.seconds_until_work(SEARCH_WORK, "192.0.2.2", 1) == 0
    limits.close()


def test_the_first_tokens_of_a_minute_are_counted_here_and_handed_on_with_the_next() -> None:
    now = 100.0
    first = FirstTokens(lambda: now)
    part = SEARCH_WORK.amount // 20
    # A file costs more than the part: all of it is due.
    assert first.spend(PREVIEW_WORK, "192.0.2.1", 200) == 200
    assert [first.spend(SEARCH_WORK, "192.0.2.1", 1) for _ in range(part)] == [0] * part
    assert first.spend(SEARCH_WORK, "192.0.2.1", 3) == part + 3
    assert first.spend(SEARCH_WORK, "192.0.2.1", 2) == 2
    # Another visitor, and another kind of page.
    assert first.spend(SEARCH_WORK, "192.0.2.2", 1) == 0
    assert first.spend(PAPER_WORK, "192.0.2.1", 1) == 0
    now += 59
    assert first.spend(SEARCH_WORK, "192.0.2.1", 2) == 2
    now += 1
    assert first.spend(SEARCH_WORK, "192.0.2.1", 2) == 0
