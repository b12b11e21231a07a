"""Invented papers for the tests of pages, stored as ingest does."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.papers.domain.types import (
    AnnounceType,
    BatchState,
    ParsedAnnouncement,
    Signals,
    SourceAnswer,
)
from service.papers.store.batches import count_first_announced, open_batch
from service.papers.store.models import Paper
from service.papers.store_announcements import store_announcements

FRIDAY = date(2026, 9, 18)
THURSDAY = date(2026, 9, 17)


def make_announcement(number: int, title: str, **changes: Any) -> ParsedAnnouncement:
    """Return an announced paper of cs.CL with `changes`."""
    identifier = f"2609.{number:05d}"
    announcement = ParsedAnnouncement(
        key=f"arxiv:{identifier}",
        source="arxiv",
        identifier=identifier,
        version=1,
        announce_type=AnnounceType.NEW,
        title=title,
        abstract=f"We study {title.lower()}. It works.",
        authors=("Ada Lovelace", "Grace Hopper"),
        categories=("cs.CL",),
        primary_category="cs.CL",
        url=f"https://arxiv.org/abs/{identifier}",
    )
    return replace(announcement, **changes)


def store_papers(
    session: Session,
    announcement: list[ParsedAnnouncement],
    on: date = FRIDAY,
    category: str = "cs.CL",
    state: BatchState = BatchState.COMPLETE,
) -> dict[str, int]:
    """Store a batch, which the listing confirms if it is complete, and commit; return key -> id."""
    now = datetime(on.year, on.month, on.day, 4, tzinfo=UTC)
    batch = open_batch(session, "arxiv", category, on, now)
    batch.state = state
    batch.announced_count = len(announcement)
    store_announcements(session, batch, announcement, now)
    if state is BatchState.COMPLETE:
        batch.answer = SourceAnswer.READ if announcement else SourceAnswer.NOTHING
        batch.expected_count = count_first_announced(session, batch.id)
    keys = [one.key for one in announcement]
    rows = session.execute(select(Paper.key, Paper.id).where(Paper.key.in_(keys)))
    ids = {key: paper_id for key, paper_id in rows}  # noqa: C416  # mypy does not take rows for pairs
    session.commit()
    return ids


def upvoted(count: int, github_url: str = "") -> Signals:
    return Signals(upvotes=count, github_url=github_url)
