"""Ingest: fetch, parse, judge, store. One transaction a batch, none of them open while fetching.

Safe to run twice: papers are unique by key, versions by (paper, version), announcements by
(batch, paper), batches by (source, category, date); a batch's row is locked while it is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy.orm import Session, sessionmaker

from service.config import Settings
from service.domain.author_index import author_index_keys
from service.domain.batches import Verdict, advance, judge_batch, telling
from service.domain.categories import canonical_category, is_known
from service.domain.latex import to_readable, to_readable_line
from service.domain.schedule import announcement_date
from service.domain.types import Announcement, AnnounceType, BatchState, ParsedBatch
from service.domain.withdrawal import is_withdrawal
from service.logs import get_logger
from service.sources.base import (
    FetchState,
    Source,
    SourceUnavailable,
    SourceUnreadable,
)
from service.store.batches import count_repeated, find_batch, open_batch
from service.store.engine import transaction
from service.store.models import Batch
from service.store.papers import (
    PaperDraft,
    record_announcements,
    record_first_announcement,
    record_signals,
    upsert_papers,
)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a source showed for a category, and the date it belongs to."""

    category: str
    shown_on: date
    parsed: ParsedBatch
    etag: str


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What one look at one batch came to. `counts` is by announcement type; `error` one line."""

    source: str
    category: str
    announced_on: date
    state: BatchState
    counts: Mapping[str, int]
    stored_count: int = 0
    updated_count: int = 0
    withdrawn_count: int = 0
    bad_count: int = 0
    note: str = ""
    error: str = ""


OnBatch = Callable[[BatchReport], None]


def ingest_source(
    sessions: sessionmaker[Session],
    settings: Settings,
    source: Source,
    on: date | None,
    now: datetime,
    on_batch: OnBatch = lambda _: None,
) -> list[BatchReport]:
    """Read a source's batches of a date (None: what it shows now), category by category.

    A category that fails is reported and does not keep the others from being read. `on_batch` is
    told each report as it comes. Without a date, a gating batch that is in is not asked for again.
    """
    reports = []
    for category in _categories(source, settings):
        if on is None and _is_in(sessions, source, category, announcement_date(now)):
            continue
        report = _ingest_batch(sessions, source, category, on, now)
        log.info(
            "ingest",
            source=report.source,
            category=report.category,
            date=str(report.announced_on),
            state=report.state,
            stored=report.stored_count,
            error=report.error,
        )
        on_batch(report)
        reports.append(report)
    return reports


def _categories(source: Source, settings: Settings) -> tuple[str, ...]:
    return settings.arxiv_categories if source.name == "arxiv" else ("",)


def _is_in(sessions: sessionmaker[Session], source: Source, category: str, today: date) -> bool:
    if not source.gates_editions:
        return False
    with transaction(sessions) as session:
        batch = find_batch(session, source.name, category, today)
        return batch is not None and batch.state in {BatchState.COMPLETE, BatchState.CLOSED}


def _ingest_batch(
    sessions: sessionmaker[Session], source: Source, category: str, on: date | None, now: datetime
) -> BatchReport:
    today = announcement_date(now)
    with transaction(sessions) as session:
        batch = open_batch(session, source.name, category, on or today, now)
        state = FetchState(etag=batch.etag)
    try:
        fetched = source.fetch(category, on or today, state)
        if fetched.payload is None:
            return _report(batch, note=batch.note or "unchanged")
        parsed = source.parse(fetched.payload)
        answer = _Answer(category, _shown_on(parsed, on, today), parsed, fetched.etag)
    except (SourceUnavailable, SourceUnreadable) as error:
        return _record_failure(sessions, batch, str(error), now)
    with transaction(sessions) as session:
        return _store(session, source, answer, now)


def _shown_on(parsed: ParsedBatch, wanted: date | None, today: date) -> date:
    """The date an answer belongs to: the one asked for, or the day the source says it rendered.

    Raises `SourceUnavailable` where the source shows another day than the one asked for: its
    papers must not be stored under a date on which they were not announced.
    """
    rendered = parsed.rendered_on
    if wanted is None:
        return rendered if rendered is not None and rendered <= today else today
    if rendered is not None and rendered != wanted:
        message = f"it shows {rendered} now, and {wanted} cannot be read from it any more"
        raise SourceUnavailable(message, permanent=True)
    return wanted


def _record_failure(
    sessions: sessionmaker[Session], batch: Batch, error: str, now: datetime
) -> BatchReport:
    """Note why the batch could not be read; what was stored before stays as it was."""
    with transaction(sessions) as session:
        held = open_batch(session, batch.source, batch.category, batch.announced_on, now)
        if held.state in {BatchState.EXPECTED, BatchState.PARTIAL}:
            held.note = error[:300]
        return _report(held, error=error)


def _store(session: Session, source: Source, answer: _Answer, now: datetime) -> BatchReport:
    on, parsed = answer.shown_on, answer.parsed
    batch = open_batch(session, source.name, answer.category, on, now)
    repeated = count_repeated(session, source.name, answer.category, on, telling(parsed))
    verdict = judge_batch(parsed, on, repeated)
    told = _distinct(parsed.announcements) if verdict.keeps else []
    upserted = upsert_papers(session, [draft_paper(one, answer.category) for one in told], now)
    record_announcements(session, batch.id, told, upserted.ids)
    for announce_type in (kind for kind in AnnounceType if kind.is_first):
        ids = [upserted.ids[one.key] for one in told if one.announce_type is announce_type]
        if ids:
            record_first_announcement(session, ids, announce_type, on, now)
    record_signals(session, told, upserted.ids, on)
    _record_look(batch, answer, verdict, now)
    return _report(
        batch,
        counts=Counter(str(one.announce_type) for one in told),
        stored_count=len(upserted.inserted),
        updated_count=len(upserted.updated),
        withdrawn_count=sum(one.is_withdrawn for one in told),
        note=verdict.note,
    )


def _distinct(announcements: Sequence[Announcement]) -> list[Announcement]:
    """One announcement a paper; should a feed name one twice, its newest version counts."""
    by_key: dict[str, Announcement] = {}
    for raw in announcements:
        one = replace(raw, is_withdrawn=is_withdrawal(raw))
        known = by_key.get(one.key)
        if known is None or one.version > known.version:
            by_key[one.key] = one
    return list(by_key.values())


def draft_paper(told: Announcement, asked_category: str) -> PaperDraft:
    """An announcement with its readable forms.

    The feed does not name the primary category; where the paper is `new` or `replace` it is the
    category that was asked for (arXiv computes the type that way), elsewhere the first named.
    """
    authors = tuple(to_readable_line(name) for name in told.authors)
    categories = tuple(dict.fromkeys(_canonical(c) for c in told.categories))
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


def _canonical(category: str) -> str:
    """One name for each category; what is no arXiv category (an ACM or MSC class) stays as it is."""
    return canonical_category(category) if is_known(category) else category


def _record_look(batch: Batch, answer: _Answer, verdict: Verdict, now: datetime) -> None:
    was_in = batch.state in {BatchState.COMPLETE, BatchState.CLOSED}
    is_in = verdict.state is BatchState.COMPLETE
    batch.state = advance(batch.state, verdict.state)
    if is_in or not was_in:
        batch.note = verdict.note
    if verdict.keeps and (answer.parsed.announcements or answer.parsed.bad_entries):
        batch.announced_count = max(batch.announced_count, len(answer.parsed.announcements))
        batch.bad_count = len(answer.parsed.bad_entries)
    if is_in and not was_in:
        batch.completed_at = now
    # An answer that was not the whole day must be asked for again in full.
    batch.etag = answer.etag if is_in else ""
    batch.fetched_at = now


def _report(batch: Batch, **found: object) -> BatchReport:
    return BatchReport(
        source=batch.source,
        category=batch.category,
        announced_on=batch.announced_on,
        state=batch.state,
        bad_count=batch.bad_count,
        **({"counts": {}} | found),  # type: ignore[arg-type]  # each name is a field of the report
    )
