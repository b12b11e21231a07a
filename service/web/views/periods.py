"""Titles and parts of periods on pages: a strip of days or weeks, each with its count of papers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from service.papers.domain.announcement_days import is_announcement_day, is_listed_holiday
from service.papers.domain.periods import Period, PeriodKind, period_of
from service.presentation.dates import long_date, plain_date, short_date
from service.presentation.phrases import count_of

# Shades of a day's cell, from few papers to many; an empty day has none.
SHADES = 4


def period_title(period: Period) -> str:
    """Return `Wednesday 18 November 2026`, `Week 47, 16 – 22 November 2026` or `November 2026`."""
    if period.kind is PeriodKind.DAILY:
        return long_date(period.first)
    if period.kind is PeriodKind.MONTHLY:
        return plain_date(period.first).partition(" ")[2]
    first, last = (plain_date(on).split(" ") for on in period.span)
    begin = [part for part in first if part not in last[1:]] if first[1:] != last[1:] else first[:1]
    return f"{week_name(period)}, {' '.join(begin)} – {' '.join(last)}"


def week_name(period: Period) -> str:
    """Return `Week 47`."""
    return f"Week {period.first.isocalendar().week}"


def short_title(period: Period) -> str:
    """Return `Wed 18 Nov`, `Week 47` or `November 2026`, for links to neighbours."""
    if period.kind is PeriodKind.DAILY:
        return short_date(period.first)
    return week_name(period) if period.kind is PeriodKind.WEEKLY else period_title(period)


def cell_title(period: Period) -> str:
    """Return `Wed 18`, the days of a week (`16 – 22`) or `Nov`."""
    first, last = period.span
    if period.kind is PeriodKind.WEEKLY:
        return f"{first.day} – {last.day}"
    day, _, month = short_date(first).rpartition(" ")
    return day if period.kind is PeriodKind.DAILY else month


@dataclass(frozen=True, slots=True)
class PeriodCell:
    """A day or week in a strip or calendar: how many papers it has, or in words why it has none.

    `shade` is 0 without papers, else 1 to `SHADES`. `path` is empty where there is no page to link.
    """

    period: Period
    path: str
    count: int
    shade: int
    why_empty: str

    @property
    def label(self) -> str:
        """Return what a screen reader says: `Wednesday 18 November 2026: 412 papers`."""
        counted = count_of(self.count, "paper") if self.count else self.why_empty
        return f"{period_title(self.period)}: {counted}"


@dataclass(frozen=True, slots=True)
class Archive:
    """What is known of the days of a span: their counts, the first day with papers, today.

    `requested` has the days for which a source was asked, and whether one of them could not be read.
    """

    counts: Mapping[date, int]
    requested: Mapping[date, bool]
    first: date | None
    today: date

    def explain_empty(self, on: date) -> str:
        """Return in a few words why a day has no papers."""
        rules = (
            (on > self.today, "not yet"),
            (self.first is None or on < self.first, "before the first paper"),
            (not is_announcement_day(on), "weekend"),
            (self.requested.get(on, False), "not all could be read"),
            (is_listed_holiday(on), "holiday in arXiv’s calendar"),
            (on == self.today, "not announced yet"),
            (on in self.requested, "nothing announced"),
            (True, "not read"),
        )
        return next(words for holds, words in rules if holds)

    def count(self, period: Period, within: Period | None = None) -> int:
        """Count the papers of a period, with `within` only those of the days of both."""
        days = (on for on in period.days() if within is None or within.first <= on <= within.last)
        return sum(self.counts.get(on, 0) for on in days)

    def cells(
        self, periods: Sequence[Period], within: Period | None = None
    ) -> tuple[PeriodCell, ...]:
        """Return the cells of periods of one kind, each with its shade among them."""
        counts = [self.count(period, within) for period in periods]
        most = max(counts, default=0)
        return tuple(
            PeriodCell(
                period,
                period.path if self.has_page(period) else "",
                count,
                -(-count * SHADES // most) if most else 0,
                "" if count else self._explain(period),
            )
            for period, count in zip(periods, counts, strict=True)
        )

    def has_page(self, period: Period) -> bool:
        """Return whether a period has a day from the first paper to today."""
        return self.first is not None and self.first <= period.last and period.first <= self.today

    def _explain(self, period: Period) -> str:
        is_day = period.kind is PeriodKind.DAILY
        return self.explain_empty(period.first) if is_day else "no papers"


def parts_of(period: Period, archive: Archive) -> tuple[PeriodCell, ...]:
    """Return the days of a week or the weeks of a month; a day has no parts."""
    match period.kind:
        case PeriodKind.WEEKLY:
            days = [period_of(PeriodKind.DAILY, on) for on in period.days()]
            return archive.cells(days)
        case PeriodKind.MONTHLY:
            return archive.cells(period.weeks(), within=period)
        case _:
            return ()
