"""The days a digest covers, their coverage, and what is unusual about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from service.deliveries.domain.recipients import Cadence
from service.deliveries.store.claimed_rows import DeliveryView, RecipientView
from service.editions.domain.coverage import Coverage, parse_coverage
from service.editions.domain.schedule import last_covered, missed_dates
from service.editions.store.models import Edition
from service.presentation.dates import day_and_month

_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class DigestDays:
    """One edition's days, or (from `since` on) those of a pause.

    `covers`: the first and last day, where they are not the edition's date alone. `remarks` are
    sentences about editions that were missed or late; `note` is the operator's, in Markdown.
    """

    cadence: Cadence
    until: date
    coverage: Coverage
    since: date | None = None
    covers: tuple[date, date] | None = None
    remarks: tuple[str, ...] = ()
    note: str = ""


def edition_days(edition: Edition) -> DigestDays:
    """Return the days of an edition."""
    cadence, on = edition.cadence, edition.local_date
    first, coverage = edition.covers_from or on, parse_coverage(edition.coverage)
    missed = missed_dates(cadence, on, first)
    days = DigestDays(
        cadence, on, coverage, remarks=_remark_missed(cadence, missed), note=edition.note
    )
    if cadence.collects_days or missed:
        return replace(days, covers=(first, last_covered(cadence, on)))
    return days


def delivery_days(days: DigestDays, digest: Mapping[str, Any]) -> DigestDays:
    """Return the days of a digest of an edition with these: more if it has those of earlier ones."""
    if "covers" in digest:
        covers = digest["covers"]
        since, until = (date.fromisoformat(covers[name]) for name in ("since", "until"))
        days = replace(days, covers=(since, until), coverage=parse_coverage(covers))
    if "is_late" in digest:
        late = (
            f"This {_kind(days.cadence)} digest of {day_and_month(days.until)} comes late, because this service was"
            " not running when it was due."
        )
        days = replace(days, remarks=(late, *days.remarks))
    return days


def _remark_missed(cadence: Cadence, missed: Sequence[date]) -> tuple[str, ...]:
    if not missed:
        return ()
    if cadence.collects_days:
        return (
            f"No {_kind(cadence)} digest went out on {_name(missed)}, so this one has the papers of that time,"
            " too.",
        )
    return (
        f"No digest went out on {_name(missed)}, so this one has the papers of "
        f"{'that day' if len(missed) == 1 else 'those days'}, too.",
    )


def _kind(cadence: Cadence) -> str:
    return "monthly" if cadence is Cadence.MONTHLY else "weekly"


def _name(days: Sequence[date]) -> str:
    """Return days as text: `Tuesday 24 and Wednesday 25 November`, or from when to when."""
    names = [day_and_month(day) for day in days]
    if len(names) > _MOST_NAMED:
        return f"the {len(names)} days from {names[0]} to {names[-1]}"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def missed_days(delivery: DeliveryView, subscriber: RecipientView) -> DigestDays:
    """Return the days of a catch-up digest."""
    missed = (delivery.digest or {})["missed"]
    since, until = (date.fromisoformat(missed[name]) for name in ("since", "until"))
    return DigestDays(subscriber.cadence, until, parse_coverage(missed), since)
