"""Ingest: fetch, parse, judge, store. One transaction a batch, none of them open while fetching.

Safe to run twice: papers are unique by key, versions by (paper, version), announcements by
(batch, paper), batches by (source, category, date); a batch's row is locked while it is written.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.completeness import Verdict, advance, judge_batch, telling
from service.papers.domain.repeats import tell_once
from service.papers.domain.types import BatchState, ParsedBatch
from service.papers.listing_check import fetch_expected_count
from service.papers.sources.base import FetchState, Source, SourceUnavailable, SourceUnreadable
from service.papers.store.batches import (
    count_first_announced,
    count_repeated,
    find_batch,
    open_batch,
)
from service.papers.store.models import Batch
from service.papers.store_announcements import store_announcements
from service.papers.watched_sources import watched_categories
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings

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
    for category in watched_categories(settings, source.name):
        if on in {None, announcement_date(now)}:
            fetch_expected_count(sessions, source, category, now)
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


# How many past days of a list are looked at again, so that votes and summaries that come late count.
REFRESH_DAYS = 3


def refresh_lists(
    sessions: sessionmaker[Session], settings: Settings, sources: Sequence[Source], now: datetime
) -> None:
    """Look again at the last days of sources whose papers gather votes and summaries later."""
    today = announcement_date(now)
    for source in sources:
        if source.keeps_changing:
            for days in range(REFRESH_DAYS, 0, -1):
                ingest_source(sessions, settings, source, today - timedelta(days=days), now)


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
        parsed = tell_once(source.parse(fetched.payload), tells_versions=source.tells_versions)
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
    verdict = judge_batch(parsed, on, repeated, batch.expected_count)
    told = parsed.announcements if verdict.keeps else ()
    stored = store_announcements(session, batch, told, now)
    verdict = _with_held(session, batch, verdict)
    _record_look(batch, answer, verdict, now)
    return _report(
        batch,
        counts=Counter(str(one.announce_type) for one in told),
        stored_count=stored.inserted,
        updated_count=stored.updated,
        withdrawn_count=stored.withdrawn,
        note=verdict.note,
    )


def _with_held(session: Session, batch: Batch, verdict: Verdict) -> Verdict:
    """What OAI-PMH or an earlier answer brought counts as well: together the day may be whole."""
    if verdict.state is not BatchState.PARTIAL or batch.expected_count is None:
        return verdict
    if count_first_announced(session, batch.id) < batch.expected_count:
        return verdict
    return Verdict(BatchState.COMPLETE, "complete in several answers")


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
