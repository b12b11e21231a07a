"""How much of what the sources announced an edition has looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of what the sources announced was looked at, in papers.

    `late` of them belong to earlier days, which are `late_days` (date, papers); `note` is a whole
    sentence about anything unusual ("arXiv deferred today's announcement.") or empty.
    """

    announced: int
    checked: int
    late: int = 0
    late_days: tuple[tuple[date, int], ...] = ()
    is_complete: bool = True
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return what an edition's row keeps; `parse_coverage` reads it."""
        return {
            "announced": self.announced,
            "checked": self.checked,
            "late": self.late,
            "late_days": {day.isoformat(): count for day, count in self.late_days},
            "is_complete": self.is_complete,
            "note": self.note,
        }


def parse_coverage(told: Mapping[str, Any]) -> Coverage:
    """Read what a row keeps. What it does not say counts as nothing, and never as complete."""
    days = told.get("late_days", {}).items()
    return Coverage(
        announced=told.get("announced", 0),
        checked=told.get("checked", 0),
        late=told.get("late", 0),
        late_days=tuple((date.fromisoformat(day), count) for day, count in days),
        is_complete=told.get("is_complete", False),
        note=told.get("note", ""),
    )
