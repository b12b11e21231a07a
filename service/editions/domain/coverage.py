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

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object for an edition's row; `parse_coverage` reads it."""
        late_days = {day.isoformat(): count for day, count in self.late_days}
        return asdict(self) | {"late_days": late_days}


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
