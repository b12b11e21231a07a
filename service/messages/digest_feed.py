"""A subscriber's latest digests as values for the private feed: what was sent, as it was frozen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from service.deliveries.domain import digest_json
from service.deliveries.domain.digest import ALSO_TITLE, Digest, DigestEntry
from service.deliveries.store.sent_digests import SentDigest, list_sent_digests
from service.editions.store.editions import get_edition
from service.messages.contexts.digest import DigestUpdate
from service.messages.rendering.digest_phrases import update_label
from service.papers.domain.types import PaperView
from service.papers.store.read import get_papers
from service.presentation.dates import long_date
from service.presentation.phrases import count_of, topic_title
from service.presentation.waits import waits_line

MOST_DIGESTS = 14


@dataclass(frozen=True, slots=True)
class FeedSection:
    """The papers of one topic under its name."""

    title: str
    papers: tuple[PaperView, ...]


@dataclass(frozen=True, slots=True)
class FeedDigest:
    """One sent digest; `title` says its day and how many papers it has, `cut_count` how many did not fit.

    `updates` are papers that were sent before, each with what happened to it since.
    """

    delivery_id: int
    title: str
    created_at: datetime
    sent_at: datetime
    sections: tuple[FeedSection, ...]
    updates: tuple[tuple[PaperView, str], ...]
    cut_count: int
    silence: str
    waits: str


def load_feed_digests(session: Session, subscriber_id: int) -> list[FeedDigest]:
    """Return the latest digests, the newest first. One whose row is broken is left out."""
    read = [
        (row, digest)
        for row in list_sent_digests(session, subscriber_id, MOST_DIGESTS)
        if (digest := _parse(row.digest)) is not None
    ]
    wanted = {
        paper_id
        for _, digest in read
        for paper_id in (*digest.paper_ids, *(update.paper_id for update in digest.updates))
    }
    papers = get_papers(session, wanted)
    return [_to_feed(session, row, digest, papers) for row, digest in read]


def _parse(value: Mapping[str, Any]) -> Digest | None:
    try:
        return digest_json.digest_from_json(value)
    except digest_json.BROKEN_DIGEST:
        return None


def _to_feed(
    session: Session, row: SentDigest, digest: Digest, papers: Mapping[int, PaperView]
) -> FeedDigest:
    groups = [(topic_title(group.title), group.entries) for group in digest.groups]
    sections = [
        FeedSection(title, found)
        for title, entries in [*groups, (ALSO_TITLE, digest.also)]
        if (found := _take(entries, papers))
    ]
    count = len({entry.paper_id for _, entries in groups for entry in entries})
    return FeedDigest(
        delivery_id=row.id,
        title=f"{_name_days(session, row)}: {count_of(count, 'paper')}",
        created_at=row.created_at,
        sent_at=row.sent_at,
        sections=tuple(sections),
        updates=tuple(_list_updates(digest, papers)),
        cut_count=len(digest.cut_ids),
        silence=digest.silence,
        waits=waits_line(digest.waits),
    )


def _take(entries: Sequence[DigestEntry], papers: Mapping[int, PaperView]) -> tuple[PaperView, ...]:
    return tuple(papers[entry.paper_id] for entry in entries if entry.paper_id in papers)


def _list_updates(
    digest: Digest, papers: Mapping[int, PaperView]
) -> Iterator[tuple[PaperView, str]]:
    for update in digest.updates:
        if paper := papers.get(update.paper_id):
            shown = DigestUpdate(
                title=paper.title, url=paper.url, kind=update.kind, detail=update.detail
            )
            yield paper, update_label(shown)


def _name_days(session: Session, row: SentDigest) -> str:
    edition = get_edition(session, row.edition_id) if row.edition_id else None
    if edition is not None:
        return long_date(edition.local_date)
    missed = row.digest.get("missed", {})
    days = [
        long_date(date.fromisoformat(missed[name])) for name in ("since", "until") if name in missed
    ]
    return f"What you missed, {' to '.join(days)}" if days else "What you missed"
