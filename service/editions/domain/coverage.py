"""Coverage: how many of the announced papers an edition has checked, and what it lacks."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Any, NamedTuple


class GapKind(StrEnum):
    """Why a category's day is not known to be whole.

    `unreached`, `unread` and `silent`: no paper came, since the source could not be reached or read,
    or announced nothing that its listing confirms. `waiting`: its papers may still come. `short`:
    fewer papers came than announced. `bad`: entries could not be read. `uncounted`: papers came,
    and the source's own count was not available.
    """

    UNREACHED = "unreached"
    UNREAD = "unread"
    SILENT = "silent"
    WAITING = "waiting"
    SHORT = "short"
    BAD = "bad"
    UNCOUNTED = "uncounted"

    @property
    def is_lost(self) -> bool:
        """Whether the category is missing as a whole."""
        return self in {GapKind.UNREACHED, GapKind.UNREAD, GapKind.SILENT}


class Gap(NamedTuple):
    """What a category's day lacks. `number`: how many papers or entries, 0 where nobody knows."""

    category: str
    kind: GapKind
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many papers the sources announced, and how many of them were checked.

    `late` papers belong to earlier days, listed in `late_days` (date, papers); `note` is a whole
    sentence about anything unusual ("arXiv announced nothing today.") or empty. `gaps` are what the
    categories lack.
    """

    announced: int
    checked: int
    late: int = 0
    late_days: tuple[tuple[date, int], ...] = ()
    is_complete: bool = True
    note: str = ""
    gaps: tuple[Gap, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was announced, and nothing is missing."""
        return self.is_complete and not self.announced

    @property
    def has_outage(self) -> bool:
        """Whether a category could not be reached or read."""
        return any(gap.kind in {GapKind.UNREACHED, GapKind.UNREAD} for gap in self.gaps)

    def in_past(self) -> "Coverage":
        """Return the coverage as it is described after its day."""
        return replace(self, note=self.note.replace(" today", " on that day"))

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object for an edition's row; `parse_coverage` reads it."""
        late_days = {day.isoformat(): count for day, count in self.late_days}
        return asdict(self) | {"late_days": late_days, "gaps": [list(gap) for gap in self.gaps]}


def join_coverages(days: Mapping[date, Coverage]) -> Coverage:
    """Return the coverage of several days together; a day that is not complete is named.

    Where no day had an announcement, the note is that of the last day. A category that is missing on
    some of the days is not missing as a whole.
    """
    if all(coverage.is_empty for coverage in days.values()):
        return days[max(days)]
    notes = [
        f"{on:%A} {on.day} {on:%B}: {day.in_past().note}"
        for on, day in days.items()
        if not day.is_complete
    ]
    return Coverage(
        announced=sum(day.announced for day in days.values()),
        checked=sum(day.checked for day in days.values()),
        is_complete=all(day.is_complete for day in days.values()),
        note=" ".join(note for note in notes if note),
        gaps=join_gaps([day.gaps for day in days.values() if not day.is_empty]),
    )


def join_gaps(days: Iterable[Iterable[Gap]]) -> tuple[Gap, ...]:
    """Return the gaps of several days; a category lost on all of them stays lost."""
    found = [{(gap.category, gap.kind): gap.number for gap in gaps} for gaps in days]
    joined = {}
    for key in dict.fromkeys(key for gaps in found for key in gaps):
        category, kind = key
        counts = [gaps[key] for gaps in found if key in gaps]
        is_partly = kind.is_lost and len(counts) < len(found)
        kind = GapKind.SHORT if is_partly else kind
        joined[category, kind] = Gap(category, kind, sum(counts) if all(counts) else 0)
    return tuple(joined.values())


def parse_coverage(stored: Mapping[str, Any]) -> Coverage:
    """Parse the JSON of an edition's row; missing counts are 0, missing `is_complete` is false."""
    days = stored.get("late_days", {}).items()
    return Coverage(
        announced=stored.get("announced", 0),
        checked=stored.get("checked", 0),
        late=stored.get("late", 0),
        late_days=tuple((date.fromisoformat(day), count) for day, count in days),
        is_complete=stored.get("is_complete", False),
        note=stored.get("note", ""),
        gaps=tuple(
            Gap(category, GapKind(kind), count) for category, kind, count in stored.get("gaps", ())
        ),
    )
