"""Ingest of papers that a list names before, after or on the day of their announcement."""

import json
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from support.newsletter.stored import stored, versions
from support.sources.feeds import Told, render_feed
from support.sources.provider import Provider, morning

from service.papers.domain.types import AnnounceType, BatchState
from service.papers.store.models import Signal
from service.papers.store.read import find_paper

THURSDAY, FRIDAY = date(2026, 9, 17), date(2026, 9, 18)


def daily_list(*numbers: int, upvotes: int = 7) -> bytes:
    """Return Hugging Face's list of papers."""
    entries: list[dict[str, Any]] = [
        {
            "paper": {
                "id": Told(number).identifier,
                "title": f"As listed {number}",
                "summary": "A summary.",
                "authors": [{"name": "Ada Lovelace"}],
                "upvotes": upvotes,
                "githubRepo": "https://github.com/example/code",
            }
        }
        for number in numbers
    ]
    return json.dumps(entries).encode()


def test_a_paper_that_was_only_listed_is_completed_by_its_announcement(
    provider: Provider, session: Session
) -> None:
    provider.show_list(daily_list(1))
    report = provider.look(THURSDAY, name="huggingface")
    assert (report.state, report.counts) == (BatchState.COMPLETE, {"listed": 1})
    stub = stored(session, Told(1))
    assert (stub.source, stub.categories, stub.announced_as) == (
        "huggingface",
        [],
        AnnounceType.LISTED,
    )
    assert versions(session, stub.id) == []
    provider.show(render_feed(FRIDAY, Told(1, title="As announced")))
    assert provider.look(FRIDAY).updated_count == 1
    session.expire_all()
    paper = stored(session, Told(1))
    assert (paper.id, paper.source, paper.title) == (stub.id, "arxiv", "As announced")
    assert (paper.categories, paper.primary_category) == (["cs.CL"], "cs.CL")
    assert paper.first_announced_on == THURSDAY
    assert versions(session, paper.id) == [(1, "As announced")]
    read = find_paper(session, paper.key)
    assert read is not None
    assert (read.upvotes, read.github_url) == (7, "https://github.com/example/code")


def test_a_list_of_exactly_one_full_page_is_partial_until_it_names_the_next(
    provider: Provider,
) -> None:
    provider.show_list(daily_list(*range(1, 101)))
    report = provider.look(FRIDAY, name="huggingface")
    assert (report.state, report.note) == (BatchState.PARTIAL, "cut at the source's limit of items")
    first = "/api/daily_papers?limit=100&date=2026-09-18"
    link = {"Link": '</api/daily_papers?p=1>; rel="next"'}
    provider.http.routes |= {
        first: (200, link, daily_list(*range(1, 101))),
        "/api/daily_papers?p=1": (200, {}, daily_list(*range(101, 121))),
    }
    report = provider.look(FRIDAY, name="huggingface")
    assert (report.state, report.counts, report.stored_count) == (
        BatchState.COMPLETE,
        {"listed": 120},
        20,
    )


def test_a_list_never_overwrites_an_announced_paper(provider: Provider, session: Session) -> None:
    provider.show(render_feed(FRIDAY, Told(1, title="As announced")))
    provider.look(FRIDAY)
    provider.show_list(daily_list(1))
    report = provider.look(FRIDAY, name="huggingface")
    assert (report.stored_count, report.updated_count) == (0, 0)
    paper = stored(session, Told(1))
    assert (paper.title, paper.announced_as) == ("As announced", AnnounceType.NEW)


def test_a_paper_listed_before_its_announcement_of_the_same_day_is_new(
    provider: Provider, session: Session
) -> None:
    provider.show_list(daily_list(1))
    provider.look(FRIDAY, name="huggingface")
    provider.show(render_feed(FRIDAY, Told(1)))
    provider.look(FRIDAY)
    assert stored(session, Told(1)).announced_as is AnnounceType.NEW


def test_the_last_signals_of_a_day_are_kept(provider: Provider, session: Session) -> None:
    for upvotes, hours in ((3, 0), (9, 5), (2, 24)):
        provider.show_list(daily_list(1, upvotes=upvotes))
        provider.ingest(morning(THURSDAY) + timedelta(hours=hours), name="huggingface")
    rows = session.execute(select(Signal.observed_on, Signal.upvotes).order_by(Signal.observed_on))
    assert [tuple(row) for row in rows] == [(THURSDAY, 9), (FRIDAY, 2)]
    paper = find_paper(session, Told(1).key)
    assert paper is not None
    assert paper.upvotes == 2


def test_a_list_is_fetched_again_because_upvotes_grow(provider: Provider) -> None:
    provider.show_list(daily_list(1))
    provider.look(FRIDAY, name="huggingface")
    provider.look(FRIDAY, name="huggingface")
    assert len(provider.http.requests) == 2
