"""Store announcements from any channel, each paper once (idempotent).

A paper is upserted by its key, linked to its work by its other names, put into the batch and
made new to subscribers once. What happened to it since the last read is stored as events.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.exc import DataError, DBAPIError, StatementError
from sqlalchemy.orm import Session

from service.papers.domain.author_keys import author_index_keys
from service.papers.domain.categories import archive_of, canonical_category, is_foreign, is_known
from service.papers.domain.latex.readable import to_readable, to_readable_line
from service.papers.domain.record_limits import FAULTS
from service.papers.domain.types import AnnounceType, BadEntry, PaperEventKind, ParsedAnnouncement
from service.papers.domain.works import PaperFacts, detect_events, is_withdrawal, names_of
from service.papers.store import upsert
from service.papers.store.models import Batch
from service.papers.store.works import get_facts, insert_events, link_works
from service.platform.one_line import normalise_line

# Classes of SQLSTATE in which the values are at fault: data, integrity, a limit of the program.
_FAULTS_OF_VALUES = ("21", "22", "23", "54")


@dataclass(frozen=True, slots=True)
class Stored:
    """The result of storing, in papers; `events` counts what happened to known papers.

    `refused` has the papers that the database refused, by key, each with its reason.
    """

    inserted: int = 0
    updated: int = 0
    withdrawn: int = 0
    events: int = 0
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def bad_entries(self) -> tuple[BadEntry, ...]:
        return tuple(BadEntry(-1, f"{key[:60]}: {why}") for key, why in self.refused.items())

    def __add__(self, other: "Stored") -> "Stored":
        return Stored(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.withdrawn + other.withdrawn,
            self.events + other.events,
            {**self.refused, **other.refused},
        )


def store_announcements(
    session: Session,
    batch: Batch | None,
    announcements: Iterable[ParsedAnnouncement],
    now: datetime,
    *,
    requested_category: str = "",
) -> Stored:
    """Store what one batch announced, each paper once. Idempotent.

    Without a batch nothing is announced; papers are only brought up to date. A paper that the
    database refuses is left out and named, and the others are stored.
    """
    category = batch.category if batch else requested_category
    # In key order, so that the parts lock rows in the order in which the whole does.
    ordered = sorted(announcements, key=lambda one: one.key)
    return _store_parts(session, lambda part: _store(session, batch, part, now, category), ordered)


def _store_parts(
    session: Session,
    store: Callable[[Sequence[ParsedAnnouncement]], Stored],
    part: Sequence[ParsedAnnouncement],
) -> Stored:
    """Store all at once; if a value is at fault, each half, and so on down to the one paper."""
    try:
        with session.begin_nested():
            return store(part)
    except (StatementError, *FAULTS) as error:
        if not _is_of_values(error):
            raise
        if len(part) == 1:
            return Stored(refused={part[0].key: _reason(error)})
    middle = len(part) // 2
    first = _store_parts(session, store, part[:middle])
    return first + _store_parts(session, store, part[middle:])


def _is_of_values(error: Exception) -> bool:
    """Return whether a value is at fault, not the connection, a lock or a time limit."""
    if isinstance(error, DBAPIError) and not isinstance(error, DataError):
        return str(getattr(error.orig, "sqlstate", None)).startswith(_FAULTS_OF_VALUES)
    return True


def _reason(error: Exception) -> str:
    text = str(error.orig if isinstance(error, StatementError) and error.orig else error)
    return normalise_line(text.partition("\n")[0])[:120]


def _store(
    session: Session,
    batch: Batch | None,
    announcements: Sequence[ParsedAnnouncement],
    now: datetime,
    category: str,
) -> Stored:
    parsed = [replace(one, is_withdrawn=is_withdrawal(one)) for one in announcements]
    before = get_facts(session, [one.key for one in parsed])
    drafts = [draft_paper(one, category) for one in parsed]
    upserted = upsert.upsert_papers(session, drafts, now)
    upsert.update_metadata(session, drafts, now)
    link_works(session, {upserted.ids[one.key]: names_of(one) for one in parsed})
    if batch is not None:
        _announce(session, batch, parsed, upserted.ids, now)
    coded = upsert.record_signals(session, parsed, upserted.ids, now)
    events = [(i, PaperEventKind.CODE, url) for i, url in coded]
    events += _events(before, drafts, upserted.ids)
    return Stored(
        inserted=len(upserted.inserted),
        updated=len(upserted.updated),
        withdrawn=sum(one.is_withdrawn for one in parsed),
        events=insert_events(session, events, now),
    )


def _announce(
    session: Session,
    batch: Batch,
    parsed: Sequence[ParsedAnnouncement],
    ids: dict[str, int],
    now: datetime,
) -> None:
    upsert.record_announcements(session, batch.id, parsed, ids)
    for announce_type in (kind for kind in AnnounceType if kind.is_first):
        first = [ids[one.key] for one in parsed if one.announce_type is announce_type]
        if first:
            upsert.record_first_announcement(session, first, announce_type, batch.announced_on, now)
    replaced = [ids[one.key] for one in parsed if not one.announce_type.is_first]
    if replaced:
        upsert.record_replacement(session, replaced, batch.announced_on)


def _events(
    before: dict[str, PaperFacts], drafts: Sequence[upsert.PaperDraft], ids: dict[str, int]
) -> list[tuple[int, PaperEventKind, str]]:
    events = []
    for draft in drafts:
        new = draft.announcement
        known = before.get(new.key)
        if known is not None and new.version >= known.version:
            after = PaperFacts(
                new.version,
                draft.abstract,
                new.doi or known.doi,
                new.journal_ref or known.journal_ref,
                new.is_withdrawn or known.is_withdrawn,
            )
            events += [(ids[new.key], kind, detail) for kind, detail in detect_events(known, after)]
    return events


def draft_paper(announcement: ParsedAnnouncement, requested_category: str) -> upsert.PaperDraft:
    """Return an announcement with its readable forms.

    The feed does not name the primary category. If the paper is `new` or `replace`, it is the
    requested category (arXiv computes the type that way), otherwise the first one named.
    """
    authors = tuple(to_readable_line(name) for name in announcement.authors)
    categories = _categories(announcement)
    own_types = {AnnounceType.NEW, AnnounceType.REPLACE}
    requested = _canonical(requested_category)
    is_own = announcement.announce_type in own_types and requested in categories
    first = categories[0] if categories else ""
    return upsert.PaperDraft(
        announcement=announcement,
        title=to_readable_line(announcement.title),
        abstract=to_readable(announcement.abstract),
        authors=authors,
        author_keys=tuple(sorted({key for name in authors for key in author_index_keys(name)})),
        categories=categories,
        primary_category=announcement.primary_category or (requested if is_own else first),
    )


def _categories(announcement: ParsedAnnouncement) -> tuple[str, ...]:
    """Return each canonical category once, and beside another source's category that source."""
    canonical = [_canonical(category) for category in announcement.categories]
    sources = [archive_of(category) for category in canonical if is_foreign(category)]
    return tuple(dict.fromkeys([*canonical, *sources]))


def _canonical(category: str) -> str:
    """Return the canonical category; an unknown one (an ACM or MSC class) stays as it is."""
    return canonical_category(category) if is_known(category) else category
