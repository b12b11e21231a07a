"""Ingest: fetch, parse, judge, store. One transaction per batch, none open while fetching.

Idempotent: papers are unique by key, versions by (paper, version), announcements by (batch,
paper), batches by (source, category, date). A batch's row is locked while it is written.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.completeness import (
    Verdict,
    advance,
    describe_faults,
    judge_answer,
    judge_batch,
    later_answer,
    select_evidence,
)
from service.papers.domain.record_limits import FAULTS
from service.papers.domain.repeats import merge_repeats
from service.papers.domain.types import BatchState, ParsedBatch, SourceAnswer
from service.papers.listing_check import fetch_expected_count
from service.papers.sources.base import (
    FetchState,
    Source,
    SourceClosed,
    SourceUnavailable,
    SourceUnreadable,
)
from service.papers.store import batches
from service.papers.store.models import Batch
from service.papers.store_announcements import Stored, store_announcements
from service.papers.watched_sources import watched_categories
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.one_line import normalise_line
from service.platform.settings.settings import Settings

# Longer than the longest time for which a gate is closed.
_FAILED_DAYS = 15

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A source's parsed answer for a category, and the date it belongs to."""

    category: str
    shown_on: date
    parsed: ParsedBatch
    etag: str


@dataclass(frozen=True, slots=True)
class BatchReport:
    """The result of reading one batch. `counts` is by announcement type, `error` is one line."""

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
    """Read a source's batches of a date (None: what it shows now) and return a report for each.

    A category that fails is reported and does not stop the others. `on_batch` receives each report
    as it comes. Without a date, a gating batch that is complete or closed is not fetched again.
    """
    reports = []
    failures = _find_failures(sessions, now)
    watched = watched_categories(settings, source.name)
    for category in sorted(watched, key=lambda one: failures.get((source.name, one), _NEVER)):
        if on in {None, announcement_date(now)}:
            fetch_expected_count(sessions, source, category, now)
        if on is None and _is_done(sessions, source, category, announcement_date(now)):
            continue
        report = _ingest_batch(sessions, source, category, on, now)
        log.info(
            "ingest",
            source=report.source,
            category=report.category,
            date=str(report.announced_on),
            state=report.state,
            announced=dict(report.counts),
            stored=report.stored_count,
            updated=report.updated_count,
            withdrawn=report.withdrawn_count,
            unreadable=report.bad_count,
            note=report.note,
            error=report.error,
        )
        on_batch(report)
        reports.append(report)
    return reports


_NEVER = datetime.min.replace(tzinfo=UTC)


def failed_last(
    sessions: sessionmaker[Session], sources: Iterable[Source], now: datetime
) -> list[Source]:
    """Return the sources, those of which a request failed lately at the end.

    Its failure may close the gate of a host that others share, which would never be read otherwise.
    """
    failures = _find_failures(sessions, now)
    return sorted(sources, key=lambda one: failures.get((one.name, ""), _NEVER))


def _find_failures(
    sessions: sessionmaker[Session], now: datetime
) -> Mapping[tuple[str, str], datetime]:
    with transaction(sessions) as session:
        return batches.find_failures(session, announcement_date(now) - timedelta(days=_FAILED_DAYS))


# How many past days of a list are read again, so that late votes and summaries count.
REFRESH_DAYS = 3


def refresh_lists(
    sessions: sessionmaker[Session], settings: Settings, sources: Sequence[Source], now: datetime
) -> None:
    """Read again the last 3 days of sources whose papers gather votes and summaries later."""
    today = announcement_date(now)
    for source in sources:
        if source.keeps_changing:
            for days in range(REFRESH_DAYS, 0, -1):
                ingest_source(sessions, settings, source, today - timedelta(days=days), now)


def _is_done(sessions: sessionmaker[Session], source: Source, category: str, today: date) -> bool:
    if not source.gates_editions:
        return False
    with transaction(sessions) as session:
        batch = batches.find_batch(session, source.name, category, today)
        return batch is not None and batch.state in {BatchState.COMPLETE, BatchState.CLOSED}


def _ingest_batch(
    sessions: sessionmaker[Session], source: Source, category: str, on: date | None, now: datetime
) -> BatchReport:
    today = announcement_date(now)
    with transaction(sessions) as session:
        batch = batches.open_batch(session, source.name, category, on or today, now)
        state = FetchState(etag=batch.etag)
    try:
        fetched = source.fetch(category, on or today, state)
        if fetched.payload is None:
            return _report(batch, note=batch.note or "unchanged")
        parsed = merge_repeats(source.parse(fetched.payload), has_versions=source.has_versions)
        answer = _Answer(category, _shown_on(parsed, on, today), parsed, fetched.etag)
    except (SourceUnavailable, SourceUnreadable) as error:
        # What is read by hand, of any date, says nothing of the next poll.
        is_poll = on is None and not isinstance(error, SourceClosed)
        failed = _judge_failure(batch, error)
        return _record_failure(sessions, batch, failed, str(error), now, is_poll=is_poll)
    except FAULTS as error:
        # An answer that no parser foresaw; the other categories are still read.
        log.exception("ingest.fault", source=source.name, category=category)
        reason = normalise_line(f"unreadable: {type(error).__name__}: {error}")
        return _record_failure(sessions, batch, SourceAnswer.UNREADABLE, reason, now)
    with transaction(sessions) as session:
        if answer.shown_on != batch.announced_on:
            _record_other_day(session, batch, answer, now)
        return _store(session, source, answer, now)


def _shown_on(parsed: ParsedBatch, wanted: date | None, today: date) -> date:
    """Return the date an answer belongs to: the one requested, or the day the source rendered it.

    Raises `SourceUnavailable` where the source shows another day than the one requested: its
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
    sessions: sessionmaker[Session],
    batch: Batch,
    answer: SourceAnswer,
    error: str,
    now: datetime,
    *,
    is_poll: bool = False,
) -> BatchReport:
    """Note why the batch could not be read; its stored papers stay as they are."""
    with transaction(sessions) as session:
        row = batches.open_batch(session, batch.source, batch.category, batch.announced_on, now)
        if row.state in {BatchState.EXPECTED, BatchState.PARTIAL}:
            row.note = row.failure = error[:300]
            row.answer = later_answer(row.answer, answer)
        if is_poll:
            row.failed_at = now
        return _report(row, error=error)


def _judge_failure(batch: Batch, error: SourceUnavailable | SourceUnreadable) -> SourceAnswer:
    """Return what a failure says of the source: a request that was never sent, after an answer,
    says nothing new.
    """
    if isinstance(error, SourceUnreadable):
        return SourceAnswer.UNREADABLE
    is_unasked = isinstance(error, SourceClosed) and batch.fetched_at is not None
    return batch.answer if is_unasked else SourceAnswer.UNREACHABLE


def _record_other_day(session: Session, batch: Batch, answer: _Answer, now: datetime) -> None:
    """Note in the batch that was fetched that the source answered, but with another day."""
    row = batches.open_batch(session, batch.source, batch.category, batch.announced_on, now)
    if row.state in {BatchState.EXPECTED, BatchState.PARTIAL}:
        row.answer, row.failure = later_answer(row.answer, SourceAnswer.SILENT), ""
        row.note = f"the source still shows {answer.shown_on}"


def _store(session: Session, source: Source, answer: _Answer, now: datetime) -> BatchReport:
    on, parsed = answer.shown_on, answer.parsed
    batch = batches.open_batch(session, source.name, answer.category, on, now)
    evidence = select_evidence(parsed)
    repeats = batches.count_repeated(session, source.name, answer.category, on, evidence)
    verdict = judge_batch(parsed, on, repeats, batch.expected_count, batch.listed_ids)
    announcements = parsed.announcements if verdict.is_fresh else ()
    stored = store_announcements(session, batch, announcements, now)
    if stored.refused:
        answer = replace(answer, parsed=_without(parsed, stored))
        verdict = judge_batch(answer.parsed, on, 0, batch.expected_count)
    verdict = _with_stored(session, batch, answer.parsed, verdict)
    _record_look(batch, answer, verdict, now)
    return _report(
        batch,
        counts=Counter(str(one.announce_type) for one in announcements),
        stored_count=stored.inserted,
        updated_count=stored.updated,
        withdrawn_count=stored.withdrawn,
        note=verdict.note,
    )


def _without(parsed: ParsedBatch, stored: Stored) -> ParsedBatch:
    """Return the answer with the papers that the database refused as bad entries."""
    kept = tuple(one for one in parsed.announcements if one.key not in stored.refused)
    bad = (*parsed.bad_entries, *stored.bad_entries)
    return replace(parsed, announcements=kept, bad_entries=bad)


def _with_stored(session: Session, batch: Batch, parsed: ParsedBatch, verdict: Verdict) -> Verdict:
    """Return COMPLETE if this answer, earlier ones and OAI-PMH together brought every paper."""
    if verdict.state is not BatchState.PARTIAL or batch.expected_count is None:
        return verdict
    if batches.count_first_announced(session, batch.id) < batch.expected_count:
        return verdict
    note = "; ".join(filter(None, ("complete in several answers", describe_faults(parsed))))
    return Verdict(BatchState.COMPLETE, note)


def _record_look(batch: Batch, answer: _Answer, verdict: Verdict, now: datetime) -> None:
    was_done = batch.state in {BatchState.COMPLETE, BatchState.CLOSED}
    is_complete = verdict.state is BatchState.COMPLETE
    batch.state = advance(batch.state, verdict.state)
    found = judge_answer(answer.parsed, verdict)
    if found is SourceAnswer.READ or not was_done:
        batch.answer, batch.failure = later_answer(batch.answer, found), ""
    if is_complete or not was_done:
        batch.note = verdict.note
    if verdict.is_fresh and (answer.parsed.announcements or answer.parsed.bad_entries):
        batch.announced_count = max(batch.announced_count, len(answer.parsed.announcements))
        batch.bad_count = len(answer.parsed.bad_entries)
    if is_complete and not was_done:
        batch.completed_at = now
    # Without an ETag the next request fetches an incomplete day again in full.
    batch.etag = answer.etag if is_complete else ""
    batch.fetched_at, batch.failed_at = now, None


def _report(batch: Batch, **found: object) -> BatchReport:
    return BatchReport(
        source=batch.source,
        category=batch.category,
        announced_on=batch.announced_on,
        state=batch.state,
        bad_count=batch.bad_count,
        **({"counts": {}} | found),  # type: ignore[arg-type]  # each name is a field of the report
    )
