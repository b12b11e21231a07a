"""Announcements into the store, whichever channel they came through: one paper once.

A paper is stored by its key, joined to its work by its other names, put into the batch, made new
to readers once, and what happened to it since the last look is kept as events.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from service.papers.domain.author_keys import author_index_keys
from service.papers.domain.categories import archive_of, canonical_category, is_foreign, is_known
from service.papers.domain.latex.readable import to_readable, to_readable_line
from service.papers.domain.types import AnnounceType, PaperEventKind, ParsedAnnouncement
from service.papers.domain.works import PaperFacts, is_withdrawal, names_of, what_happened
from service.papers.store.models import Batch
from service.papers.store.upsert import (
    PaperDraft,
    record_announcements,
    record_first_announcement,
    record_replacement,
    record_signals,
    update_metadata,
    upsert_papers,
)
from service.papers.store.works import get_facts, insert_events, link_works


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing came to, in papers (events: things that happened to known papers)."""

    inserted: int
    updated: int
    withdrawn: int
    events: int


def store_announcements(
    session: Session,
    batch: Batch | None,
    announcements: Iterable[ParsedAnnouncement],
    now: datetime,
    *,
    asked_category: str = "",
) -> Stored:
    """Store what one batch announced, each paper once. Doing it again changes nothing.

    Without a batch nothing is announced: papers that are known are only brought up to date.
    """
    told = [replace(one, is_withdrawn=is_withdrawal(one)) for one in announcements]
    before = get_facts(session, [one.key for one in told])
    category = batch.category if batch else asked_category
    drafts = [draft_paper(one, category) for one in told]
    upserted = upsert_papers(session, drafts, now)
    update_metadata(session, drafts, now)
    link_works(session, {upserted.ids[one.key]: names_of(one) for one in told})
    if batch is not None:
        _announce(session, batch, told, upserted.ids, now)
    coded = record_signals(session, told, upserted.ids, now)
    events = [(i, PaperEventKind.CODE, url) for i, url in coded]
    events += _events(before, drafts, upserted.ids)
    return Stored(
        inserted=len(upserted.inserted),
        updated=len(upserted.updated),
        withdrawn=sum(one.is_withdrawn for one in told),
        events=insert_events(session, events, now),
    )


def _announce(
    session: Session,
    batch: Batch,
    told: Sequence[ParsedAnnouncement],
    ids: dict[str, int],
    now: datetime,
) -> None:
    record_announcements(session, batch.id, told, ids)
    for announce_type in (kind for kind in AnnounceType if kind.is_first):
        first = [ids[one.key] for one in told if one.announce_type is announce_type]
        if first:
            record_first_announcement(session, first, announce_type, batch.announced_on, now)
    replaced = [ids[one.key] for one in told if not one.announce_type.is_first]
    if replaced:
        record_replacement(session, replaced, batch.announced_on)


def _events(
    before: dict[str, PaperFacts], drafts: Sequence[PaperDraft], ids: dict[str, int]
) -> list[tuple[int, PaperEventKind, str]]:
    events = []
    for draft in drafts:
        told = draft.announcement
        known = before.get(told.key)
        if known is not None and told.version >= known.version:
            after = PaperFacts(
                told.version,
                draft.abstract,
                told.doi or known.doi,
                told.journal_ref or known.journal_ref,
                told.is_withdrawn or known.is_withdrawn,
            )
            events += [
                (ids[told.key], kind, detail) for kind, detail in what_happened(known, after)
            ]
    return events


def draft_paper(told: ParsedAnnouncement, asked_category: str) -> PaperDraft:
    """An announcement with its readable forms.

    The feed does not name the primary category; where the paper is `new` or `replace` it is the
    category that was asked for (arXiv computes the type that way), elsewhere the first named.
    """
    authors = tuple(to_readable_line(name) for name in told.authors)
    categories = _categories(told)
    own_types = {AnnounceType.NEW, AnnounceType.REPLACE}
    asked = _canonical(asked_category)
    is_own = told.announce_type in own_types and asked in categories
    first = categories[0] if categories else ""
    return PaperDraft(
        announcement=told,
        title=to_readable_line(told.title),
        abstract=to_readable(told.abstract),
        authors=authors,
        author_keys=tuple(sorted({key for name in authors for key in author_index_keys(name)})),
        categories=categories,
        primary_category=told.primary_category or (asked if is_own else first),
    )


def _categories(told: ParsedAnnouncement) -> tuple[str, ...]:
    """Canonical, each once; a category of another source brings that source's name with it."""
    canonical = [_canonical(category) for category in told.categories]
    sources = [archive_of(category) for category in canonical if is_foreign(category)]
    return tuple(dict.fromkeys([*canonical, *sources]))


def _canonical(category: str) -> str:
    """One name for each category; what is no arXiv category (an ACM or MSC class) stays as it is."""
    return canonical_category(category) if is_known(category) else category
