"""Coverage: how many of the announced papers an edition has checked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many papers the sources announced, and how many of them were checked.

    `late` papers belong to earlier days, listed in `late_days` (date, papers); `note` is a whole
    sentence about anything unusual ("arXiv deferred today's announcement.") or empty.
    """

    announced: int
    checked: int
    late: int = 0
    late_days: tuple[tuple[date, int], ...] = ()
    is_complete: bool = True
    note: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was announced, and nothing is missing."""
        return self.is_complete and not self.announced

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object for an edition's row; `parse_coverage` reads it."""
        late_days = {day.isoformat(): count for day, count in self.late_days}
        return asdict(self) | {"late_days": late_days}


def join_coverages(days: Mapping[date, Coverage]) -> Coverage:
    """Return the coverage of several days together; a day that is not complete is named.

    Where no day had an announcement, the note is that of the last day.
    """
    if all(coverage.is_empty for coverage in days.values()):
        return days[max(days)]
    notes = [
        f"{on:%A} {on.day} {on:%B}: {day.note}" for on, day in days.items() if not day.is_complete
    ]
    return Coverage(
        announced=sum(day.announced for day in days.values()),
        checked=sum(day.checked for day in days.values()),
        is_complete=all(day.is_complete for day in days.values()),
        note=" ".join(note for note in notes if note),
    )


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
    )
