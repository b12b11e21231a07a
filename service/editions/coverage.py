"""Measure which announced papers an edition covers, and which are missing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from sqlalchemy.orm import Session, sessionmaker

from service.editions.domain.coverage import Coverage, join_coverages
from service.editions.domain.day_report import BatchFacts, describe_day
from service.editions.domain.schedule import days_between, last_covered
from service.editions.store.edition_papers import count_late_by_day
from service.editions.store.models import Edition
from service.papers.domain.announcement_days import is_announcement_day
from service.papers.domain.completeness import BatchStatus, unfinished
from service.papers.domain.types import BatchState
from service.papers.store import batches as store
from service.papers.store.models import Batch
from service.papers.watched_sources import gating_sources, watched_categories
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings


def day_statuses(session: Session, on: date, settings: Settings) -> tuple[BatchStatus, ...]:
    """Return the states of a date's batches, including batches that were not fetched yet.

    Sources are read category by category: while the first is in and the others have no row, the
    day must not look complete.
    """
    return _with_expected(_gating_batches(session, on, settings), on, settings)


def _gating_batches(session: Session, on: date, settings: Settings) -> list[Batch]:
    sources = gating_sources(settings)
    return [batch for batch in store.get_batches(session, on) if batch.source in sources]


def _with_expected(
    batches: Sequence[Batch], on: date, settings: Settings
) -> tuple[BatchStatus, ...]:
    found = store.batch_statuses(batches)
    known = {(batch.source, batch.category) for batch in found}
    return found + tuple(
        BatchStatus(source, category, on, BatchState.EXPECTED)
        for source in gating_sources(settings)
        for category in watched_categories(settings, source)
        if (source, category) not in known
    )


_NOTHING = Coverage(announced=0, checked=0, note="Nothing was announced on these days.")


def describe_coverage(session: Session, edition: Edition, settings: Settings) -> Coverage:
    """Return the coverage that an edition's mails report, with the late papers of earlier days.

    It counts every day since the previous edition of the cadence: a weekly edition its whole week.
    """
    on, last = edition.local_date, last_covered(edition.cadence, edition.local_date)
    late_days = count_late_by_day(session, edition.id)
    # A day that was missed lacks what was not read of it; of a week or month, only what was ever requested.
    collects_days = edition.cadence.collects_days
    days = {
        day: found
        for day in days_between(edition.covers_from or on, last)
        if (
            found := _measure(session, day, settings, with_expected=True)
            if day == on or (is_announcement_day(day) and not collects_days)
            else _past_coverage(session, day, settings)
        )
    } or {last: _NOTHING}
    return replace(
        join_coverages(days) if len(days) > 1 else days[max(days)],
        late=sum(late_days.values()),
        late_days=tuple(late_days.items()),
    )


def day_coverage(
    session: Session, on: date, settings: Settings, today: date | None = None
) -> Coverage | None:
    """Return the coverage of a date for pages and commands; None where nothing was expected.

    Only batches requested on that date count: a category watched since yesterday does not make
    the days before it incomplete. With `today`, a day before it is described as a past one.
    """
    if not _gating_batches(session, on, settings):
        return None
    coverage = _measure(session, on, settings)
    return coverage.in_past() if today and on < today else coverage


def _measure(
    session: Session, on: date, settings: Settings, *, with_expected: bool = False
) -> Coverage:
    """Count the papers that the sources say they announced, and those that were read."""
    batches = _gating_batches(session, on, settings)
    found = store.count_first_by_batch(session, [batch.id for batch in batches])
    facts = [_facts(batch, found.get(batch.id, 0)) for batch in batches]
    if with_expected:
        missing = _with_expected(batches, on, settings)[len(batches) :]
        facts += [
            BatchFacts(source=one.source, category=one.category, state=one.state) for one in missing
        ]
    checked = store.count_announced(session, on, {batch.source for batch in batches})
    return describe_day(on, facts, checked)


def _facts(batch: Batch, found_count: int) -> BatchFacts:
    return BatchFacts(
        source=batch.source,
        category=batch.category,
        state=batch.state,
        answer=batch.answer,
        found_count=found_count,
        expected_count=batch.expected_count,
        bad_count=batch.bad_count,
        listed_on=batch.listed_on,
    )


def _past_coverage(session: Session, on: date, settings: Settings) -> Coverage | None:
    """Return the coverage of an earlier day; a weekend without papers lacks none, read or not."""
    coverage = day_coverage(session, on, settings)
    if coverage is None or is_announcement_day(on) or coverage.announced:
        return coverage
    return None


def find_unfinished(
    sessions: sessionmaker[Session], settings: Settings, on: date
) -> tuple[BatchStatus, ...]:
    """Return the batches of a date that its edition should still wait for."""
    with transaction(sessions) as session:
        return unfinished(day_statuses(session, on, settings), on)
