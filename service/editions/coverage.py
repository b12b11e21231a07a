"""Which announced papers an edition covers, and what is missing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from sqlalchemy.orm import Session, sessionmaker

from service.editions.domain.coverage import Coverage
from service.editions.store.edition_papers import count_late_by_day
from service.editions.store.models import Edition
from service.papers.domain.announcement_days import is_announcement_day
from service.papers.domain.completeness import BatchStatus, unfinished
from service.papers.domain.types import BatchState
from service.papers.store.batches import (
    batch_statuses,
    count_announced,
    count_first_announced,
    get_batches,
)
from service.papers.store.models import Batch
from service.papers.watched_sources import gating_sources, watched_categories
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings


def day_statuses(session: Session, on: date, settings: Settings) -> tuple[BatchStatus, ...]:
    """The states of the batches that make a date, with those that nobody has asked for yet.

    Sources are read category by category: while the first is in and the others have no row, the
    day must not look complete.
    """
    sources = gating_sources(settings)
    found = batch_statuses(session, on, sources)
    known = {(batch.source, batch.category) for batch in found}
    expected = [
        (source, category)
        for source in sources
        for category in watched_categories(settings, source)
    ]
    return found + tuple(
        BatchStatus(source, category, on, BatchState.EXPECTED)
        for source, category in expected
        if (source, category) not in known
    )


def describe_coverage(session: Session, edition: Edition, settings: Settings) -> Coverage:
    """Return what the mails say about completeness, with the late papers of earlier days."""
    on = edition.local_date
    late_days = count_late_by_day(session, edition.id)
    return replace(
        _cover(session, on, settings, day_statuses(session, on, settings)),
        late=sum(late_days.values()),
        late_days=tuple(late_days.items()),
    )


def day_coverage(session: Session, on: date, settings: Settings) -> Coverage | None:
    """Return what pages and commands say of a date; None where nothing was to be expected.

    Only what was asked for on that date counts: a category watched since yesterday does not make
    the days before it incomplete.
    """
    statuses = batch_statuses(session, on, gating_sources(settings))
    found = _cover(session, on, settings, statuses)
    return found if found.announced or not found.is_complete else None


def _cover(
    session: Session, on: date, settings: Settings, statuses: Sequence[BatchStatus]
) -> Coverage:
    """Count what the sources say they announced, and what was read of it.

    A paper that a short category lacks may be in another one, so the difference is an upper bound.
    """
    sources = gating_sources(settings)
    batches = [batch for batch in get_batches(session, on) if batch.source in sources]
    missing = [batch.category or batch.source for batch in unfinished(statuses, on)]
    short = sum(_shortfall(session, batch) for batch in batches)
    checked = count_announced(session, on, sources)
    return Coverage(
        announced=checked + short,
        checked=checked,
        is_complete=not missing and not short,
        note=_coverage_note(on, checked, missing),
    )


def _shortfall(session: Session, batch: Batch) -> int:
    """How many papers were announced that the batch does not hold: unreadable, or not there."""
    if batch.expected_count is None:
        return batch.bad_count
    missing = batch.expected_count - count_first_announced(session, batch.id)
    return max(batch.bad_count, missing)


def _coverage_note(on: date, checked: int, missing: list[str]) -> str:
    if missing:
        return f"Not complete yet: {', '.join(missing)}."
    if checked:
        return ""
    if not is_announcement_day(on):
        return "arXiv announces nothing at the weekend."
    return "Nothing was announced: a holiday, or arXiv deferred."


def find_unfinished(
    sessions: sessionmaker[Session], settings: Settings, on: date
) -> tuple[BatchStatus, ...]:
    """The batches of a date that its edition should still wait for."""
    with transaction(sessions) as session:
        return unfinished(day_statuses(session, on, settings), on)
