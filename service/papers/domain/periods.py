"""Periods that a page lists papers of: a day, an ISO week, a month; their names and neighbours.

Weeks are those of ISO 8601: they begin on Mondays, and week 1 has the year's first Thursday.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, date, timedelta
from enum import StrEnum

# arXiv's first papers are of 1991.
FIRST_YEAR = 1991
_DAY = timedelta(days=1)


class PeriodKind(StrEnum):
    """How long a period is. The values are the first part of its page's path."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"

    @property
    def noun(self) -> str:
        """`day`, `week` or `month`."""
        return {"daily": "day", "weekly": "week", "monthly": "month"}[self]


@dataclass(frozen=True, slots=True)
class Period:
    """A day, week or month: its first and its last day, both included."""

    kind: PeriodKind
    first: date
    last: date

    @property
    def name(self) -> str:
        """Return `2026-11-18`, `2026-W47` or `2026-11`."""
        if self.kind is PeriodKind.WEEKLY:
            year, week, _ = self.first.isocalendar()
            return f"{year}-W{week:02}"
        whole = self.first.isoformat()
        return whole if self.kind is PeriodKind.DAILY else whole[:7]

    @property
    def path(self) -> str:
        """Return the path of its page, like `/weekly/2026-W47`."""
        return f"/{self.kind}/{self.name}"

    @property
    def span(self) -> tuple[date, date]:
        return self.first, self.last

    def days(self) -> Iterator[date]:
        for number in range((self.last - self.first).days + 1):
            yield self.first + number * _DAY

    def previous(self) -> Period:
        return period_of(self.kind, self.first - _DAY)

    def next(self) -> Period:
        return period_of(self.kind, self.last + _DAY)

    def weeks(self) -> tuple[Period, ...]:
        """Return the weeks that have a day of this period, the first one first."""
        weeks = [period_of(PeriodKind.WEEKLY, self.first)]
        while weeks[-1].last < self.last:
            weeks.append(weeks[-1].next())
        return tuple(weeks)


def period_of(kind: PeriodKind, on: date) -> Period:
    """Return the period of this kind that has a day."""
    match kind:
        case PeriodKind.DAILY:
            return Period(kind, on, on)
        case PeriodKind.WEEKLY:
            monday = on - on.weekday() * _DAY
            return Period(kind, monday, monday + 6 * _DAY)
        case PeriodKind.MONTHLY:
            first = on.replace(day=1)
            return Period(kind, first, (first + 31 * _DAY).replace(day=1) - _DAY)


def parse_period(kind: PeriodKind, text: str) -> Period | None:
    """Parse the name of a period; None for any other text, and for years before 1991 and for year 9999.

    ISO 8601 has more spellings (`2026W47`, `20261118`) than the one that we link to.
    """
    try:
        on = date.fromisoformat(f"{text}-01" if kind is PeriodKind.MONTHLY else text)
    except ValueError:
        return None
    if not FIRST_YEAR <= on.year < MAXYEAR:
        return None
    period = period_of(kind, on)
    return period if period.name == text else None
