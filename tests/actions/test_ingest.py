"""Ingest: fetched from a real server and stored once, in whatever order and however often."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from support.feeds import Told, render_feed

from service.domain.types import BatchState
from service.store.batches import count_announced, count_by_type, get_batches
from service.store.models import PaperRow, PaperVersion
from service.store.reading import get_papers_announced_on

THURSDAY, FRIDAY, SATURDAY, MONDAY = (date(2026, 9, day) for day in (17, 18, 19, 21))


def stored(session: Session, told: Told) -> PaperRow:
    session.rollback()
    return session.execute(select(PaperRow).where(PaperRow.key == told.key)).scalar_one()


def versions(session: Session, paper_id: int) -> list[tuple[int, str]]:
    rows = session.execute(
        select(PaperVersion.version, PaperVersion.title_raw)
        .where(PaperVersion.paper_id == paper_id)
        .order_by(PaperVersion.version)
    )
    return [(version, title) for version, title in rows]


def test_a_day_is_stored_with_what_the_report_says(provider: Any, session: Session) -> None:
    provider.show(
        render_feed(
            FRIDAY, Told(1), Told(2, "cross"), Told(3, "replace", 2), Told(4, "replace-cross", 3)
        ),
        ETag='"friday"',
    )
    told = []
    (report,) = provider.ingest(MORNING[FRIDAY], on_batch=told.append)
    assert told == [report]
    assert (report.source, report.category, report.announced_on) == ("arxiv", "cs.CL", FRIDAY)
    assert (report.state, report.error, report.bad_count) == (BatchState.COMPLETE, "", 0)
    assert report.counts == {"new": 1, "cross": 1, "replace": 1, "replace-cross": 1}
    assert (report.stored_count, report.updated_count, report.withdrawn_count) == (4, 0, 0)
    (batch,) = get_batches(session, FRIDAY)
    assert (batch.announced_count, batch.etag) == (4, '"friday"')
    assert batch.completed_at == batch.fetched_at == MORNING[FRIDAY]
    assert set(count_by_type(session, batch.id).values()) == {1}
    assert count_announced(session, FRIDAY, ["arxiv"]) == 4
    assert {p.key for p in get_papers_announced_on(session, FRIDAY)} == {
        Told(1).key,
        Told(2).key,
    }
