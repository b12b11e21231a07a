"""Papers for the tests of pages: invented, stored the way that ingest stores them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from sqlalchemy.orm import Session

from service.domain.author_index import author_index_keys
from service.domain.types import Announcement, AnnounceType, BatchState, Signals
from service.store.batches import open_batch
from service.store.papers import (
    PaperDraft,
    record_announcements,
    record_first_announcement,
    record_signals,
    upsert_papers,
)

FRIDAY = date(2026, 9, 18)
THURSDAY = date(2026, 9, 17)


def make_announcement(number: int, title: str, **changes: object) -> Announcement:
    """An announced paper of cs.CL, `changes` aside."""
    identifier = f"2609.{number:05d}"
    told = Announcement(
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
    return replace(told, **changes)


def store_papers(
    session: Session,
    told: list[Announcement],
    on: date = FRIDAY,
    category: str = "cs.CL",
    state: BatchState = BatchState.COMPLETE,
) -> dict[str, int]:
    """Store a batch and commit; returns key -> id."""
    now = datetime(on.year, on.month, on.day, 4, tzinfo=UTC)
    batch = open_batch(session, "arxiv", category, on, now)
    batch.state = state
    batch.announced_count = len(told)
    stored = upsert_papers(session, [_draft(one) for one in told], now)
    record_announcements(session, batch.id, told, stored.ids)
    for announce_type in AnnounceType:
        ids = [stored.ids[one.key] for one in told if one.announce_type is announce_type]
        if ids and announce_type.is_first:
            record_first_announcement(session, ids, announce_type, on, now)
    record_signals(session, told, stored.ids, on)
    session.commit()
    return stored.ids


def upvoted(count: int, github_url: str = "") -> Signals:
    return Signals(upvotes=count, github_url=github_url)


def _draft(told: Announcement) -> PaperDraft:
    return PaperDraft(
        announcement=told,
        title=told.title,
        abstract=told.abstract,
        authors=told.authors,
        author_keys=tuple(sorted({k for name in told.authors for k in author_index_keys(name)})),
        categories=told.categories,
        primary_category=told.primary_category or "",
    )
