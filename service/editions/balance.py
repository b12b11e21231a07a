"""The accounts of an edition: what the sources announced, and what became of every candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState, balance_closes
from service.editions.store.editions import count_late_by_day, count_states, find_edition
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


@dataclass(frozen=True, slots=True)
class Balance:
    """The accounting of an edition. `states`: "sent", "skipped: empty" … -> rows."""

    edition_id: int
    cadence: Cadence
    local_date: date
    state: str
    paper_count: int
    candidate_count: int | None
    states: Mapping[str, int]
    closes: bool


def describe_coverage(session: Session, edition: Edition, settings: Settings) -> dict[str, Any]:
    """What the mails say about completeness: papers announced on the date, and what is missing.

    `announced` counts what the sources say they announced, `checked` what was read of it; a paper
    that a short category lacks may be in another one, so the difference is an upper bound.
    """
    on, sources = edition.local_date, gating_sources(settings)
    batches = get_batches(session, on)
    missing = [b.category or b.source for b in unfinished(day_statuses(session, on, settings), on)]
    short = sum(_shortfall(session, batch) for batch in batches if batch.source in sources)
    checked = count_announced(session, on, sources)
    late_days = count_late_by_day(session, edition.id)
    return {
        "announced": checked + short,
        "checked": checked,
        "late": sum(late_days.values()),
        "late_days": {day.isoformat(): count for day, count in late_days.items()},
        "is_complete": not missing and not short,
        "note": _coverage_note(on, checked, missing),
    }


def _shortfall(session: Session, batch: Batch) -> int:
    """How many papers the listing counts that the batch does not hold."""
    if batch.expected_count is None:
        return 0
    return max(0, batch.expected_count - count_first_announced(session, batch.id))


def _coverage_note(on: date, checked: int, missing: list[str]) -> str:
    if missing:
        return f"Not complete yet: {', '.join(missing)}."
    if checked:
        return ""
    if not is_announcement_day(on):
        return "arXiv announces nothing at the weekend."
    return "Nothing was announced: a holiday, or arXiv deferred."


def edition_balance(session: Session, edition: Edition) -> Balance:
    """How many candidates the edition had and what became of each."""
    counted = count_states(session, edition.id)
    by_state: dict[DeliveryState, int] = {}
    states: dict[str, int] = {}
    for (state, reason), count in sorted(counted.items()):
        by_state[state] = by_state.get(state, 0) + count
        name = f"{state}: {reason}" if state is DeliveryState.SKIPPED else str(state)
        states[name] = states.get(name, 0) + count
    return Balance(
        edition_id=edition.id,
        cadence=edition.cadence,
        local_date=edition.local_date,
        state=edition.state,
        paper_count=edition.paper_count,
        candidate_count=edition.candidate_count,
        states=states,
        closes=balance_closes(edition.candidate_count, by_state),
    )


def find_balance(sessions: sessionmaker[Session], cadence: Cadence, on: date) -> Balance | None:
    with transaction(sessions) as session:
        edition = find_edition(session, cadence, on)
        return edition_balance(session, edition) if edition else None


def find_unfinished(
    sessions: sessionmaker[Session], settings: Settings, on: date
) -> tuple[BatchStatus, ...]:
    """The batches of a date that its edition should still wait for."""
    with transaction(sessions) as session:
        return unfinished(day_statuses(session, on, settings), on)
