"""Short phrases for mails and pages: counts, cadences, bylines, headings, lists."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.deliveries.domain.recipients import Cadence, Timing
from service.papers.domain.categories import category_name, is_foreign
from service.papers.domain.types import PaperView
from service.platform.caches import cached
from service.platform.time_zones import zone_name
from service.presentation.highlight import shorten

_LONGEST_NAME = 80
_LONGEST_HEADING = 160
_QUOTED = re.compile('["“”]([^"“”]+)["“”]')
_MOST_FIELDS = 2
_MOST_AUTHORS = 3


def count_of(number: int, noun: str) -> str:
    """Return `1 paper` or `1,204 papers`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def thousands(number: int) -> str:
    """Return `1,204`."""
    return f"{number:,}"


def is_more_than(values: Sequence[object], number: int) -> bool:
    """Return whether there are more than `number` values."""
    return len(values) > number


def beyond(values: Sequence[object], number: int) -> int:
    """Return how many values there are beyond the first `number`."""
    return max(len(values) - number, 0)


def say(first: object, *others: object) -> str:
    """Return the values as one text, as `~` does, but without disabling the shared skeletons."""
    return "".join(map(str, (first, *others)))


def below(home: str, path: str) -> str:
    """Return the address of a page of this site."""
    return f"{home.rstrip('/')}/{path}"


_HOW_OFTEN = {
    Cadence.DAILY: "every day",
    Cadence.WEEKDAYS: "every weekday",
    Cadence.MONTHLY: "once a month",
}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def how_often(cadence: Cadence) -> str:
    """Return `every weekday`, or `once a week`."""
    return _HOW_OFTEN.get(cadence, "once a week")


def day_of_week(number: int) -> str:
    """Return `Monday` for 0."""
    return _DAYS[number]


def weekday_name(cadence: Cadence) -> str:
    """Return the day of a weekly cadence, `Thursday`."""
    return _DAYS[cadence.weekday or 0]


def span_name(cadence: Cadence) -> str:
    """Return what an edition has the papers of: `day`, `week`, `month`."""
    if cadence is Cadence.MONTHLY:
        return "month"
    return "week" if cadence.is_weekly else "day"


def clock(hour: int) -> str:
    """Return an hour of the day as `07:00`."""
    return f"{hour:02}:00"


def comes_when(cadence: str, hour: int, timing: str) -> str:
    """Return `at 07:00`, or `as soon as a day’s papers are complete`, which is never of weeks and months."""
    has_hour = timing == Timing.AT_HOUR or Cadence(cadence).collects_days
    return f"at {clock(hour)}" if has_hour else "as soon as a day’s papers are complete"


def comes_at(cadence: Cadence, hour: int, zone: str, timing: Timing) -> str:
    """Return `every weekday at 07:00, Berlin time`."""
    when = comes_when(cadence, hour, timing)
    if cadence is Cadence.MONTHLY:
        return f"on the first of every month {when}, {zone_name(zone)}"
    if cadence.is_weekly:
        return f"every {weekday_name(cadence)} {when}, {zone_name(zone)}"
    if timing is Timing.WHEN_COMPLETE:
        return f"{how_often(cadence)}, {when}"
    return f"{how_often(cadence)} {when}, {zone_name(zone)}"


@cached("topic headings", maxsize=8_192)
def topic_title(title: str) -> str:
    """Return a topic's name as a one-line heading; a name that is all in quotes loses them."""
    title = " ".join(title.split())
    quoted = _QUOTED.fullmatch(title)
    return shorten(quoted[1] if quoted else title, _LONGEST_HEADING)


@dataclass(frozen=True, slots=True)
class Byline:
    """The names of the first authors, and how many `more` there are."""

    names: tuple[str, ...]
    more: int


def byline(paper: PaperView) -> Byline:
    """Return the first three authors and the number of the others."""
    return _byline(paper.authors)


# Rendering one paper's card computes its byline up to five times.
@cached("bylines", maxsize=4_096)
def _byline(names: tuple[str, ...]) -> Byline:
    authors = [" ".join(name.split()) for name in names if name.strip()]
    shown = authors[:_MOST_AUTHORS]
    return Byline(tuple(shorten(name, _LONGEST_NAME) for name in shown), len(authors) - len(shown))


def names_and_more(names: Sequence[str], more: int) -> str:
    """Return `Ada Example, Bo Sample and 3 more`."""
    return joined([*names, f"{more:,} more"] if more else names)


def fields(paper: PaperView) -> tuple[str, ...]:
    """Return the codes of the paper's first two categories, the primary one first.

    A category of another source than arXiv has no short code: its name is returned.
    """
    return _fields((paper.primary_category, *paper.categories))


@cached("codes of categories", maxsize=4_096)
def _fields(codes: tuple[str, ...]) -> tuple[str, ...]:
    # Two categories can have the same name: cs.LG and stat.ML are both Machine Learning.
    named = {category_name(code): code for code in reversed(codes) if code}
    first = dict.fromkeys(named[category_name(code)] for code in codes if code)
    return tuple(category_name(code) if is_foreign(code) else code for code in first)[:_MOST_FIELDS]


def named_field(code: str) -> str:
    """Return `cs.CL Computation and Language` for `cs.CL`."""
    return f"{code} {category_name(code)}"


def joined(parts: Sequence[str]) -> str:
    """Return `a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
