"""The small texts of a mail: dates, bylines, marks, and the sentence that says why."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.deliveries.domain.recipients import Cadence
from service.papers.domain.categories import category_name
from service.papers.domain.types import PaperView
from service.platform.caches import cached
from service.presentation.highlight import shorten

_LONGEST_NAME = 80
_LONGEST_HEADING = 160
_QUOTES = {*'"“”'}
_MOST_FIELDS = 2
_MOST_AUTHORS = 3


def count_of(number: int, noun: str) -> str:
    """`1 paper`, `1,204 papers`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def thousands(number: int) -> str:
    """`1,204`."""
    return f"{number:,}"


def is_more_than(things: Sequence[object], number: int) -> bool:
    """Whether there are more than `number`."""
    return len(things) > number


def beyond(things: Sequence[object], number: int) -> int:
    """How many there are beyond the first `number`."""
    return max(len(things) - number, 0)


def say(first: object, *others: object) -> str:
    """All of it in a row, as one text: what `~` does, but fit for a frame (see `opened`)."""
    return "".join(map(str, (first, *others)))


def below(home: str, path: str) -> str:
    """The address of a page below our own."""
    return f"{home.rstrip('/')}/{path}"


_HOW_OFTEN = {
    Cadence.DAILY: "every day",
    Cadence.WEEKDAYS: "every weekday",
    Cadence.WEEKLY: "once a week",
}


def how_often(cadence: Cadence) -> str:
    """`every weekday`."""
    return _HOW_OFTEN[cadence]


def clock(hour: int) -> str:
    """An hour of the day as readers write it: `7:00`."""
    return f"{hour}:00"


@cached("topic headings", maxsize=4_096)
def topic_title(title: str) -> str:
    """A topic as a heading: one line, and a topic that is one phrase without its quotes."""
    title = " ".join(title.split())
    if (
        len(title) > 2
        and title[0] in _QUOTES
        and title[-1] in _QUOTES
        and not _QUOTES & {*title[1:-1]}
    ):
        title = title[1:-1]
    return shorten(title, _LONGEST_HEADING)


@dataclass(frozen=True, slots=True)
class Byline:
    """The first authors and how many `more` there are."""

    names: tuple[str, ...]
    more: int


def byline(paper: PaperView) -> Byline:
    """The first three authors and a count of the others."""
    return _byline(paper.authors)


# A card asks for it up to five times.
@cached("bylines", maxsize=4_096)
def _byline(names: tuple[str, ...]) -> Byline:
    authors = [" ".join(name.split()) for name in names if name.strip()]
    shown = authors[:_MOST_AUTHORS]
    return Byline(tuple(shorten(name, _LONGEST_NAME) for name in shown), len(authors) - len(shown))


def names_and_more(names: Sequence[str], more: int) -> str:
    """`Ada Example, Bo Sample and 3 more`."""
    return joined([*names, f"{more:,} more"] if more else names)


def fields(paper: PaperView) -> tuple[str, ...]:
    """The names of the paper's first categories, its primary one first."""
    return _fields((paper.primary_category, *paper.categories))


@cached("names of categories", maxsize=4_096)
def _fields(codes: tuple[str, ...]) -> tuple[str, ...]:
    # Two categories may have one name: cs.LG and stat.ML are both Machine Learning.
    names = dict.fromkeys(category_name(code) for code in codes if code)
    return tuple(names)[:_MOST_FIELDS]


def joined(parts: Sequence[str]) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
