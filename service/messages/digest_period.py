"""The days a digest is about, and how much of them was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from service.deliveries.domain.recipients import Cadence
from service.deliveries.store.claimed_rows import Mail, Reader
from service.editions.store.models import Edition
from service.messages.contexts.digest import Coverage


@dataclass(frozen=True, slots=True)
class DigestDays:
    """One edition's days, or (from `since` on) those of a pause."""

    cadence: Cadence
    until: date
    coverage: Coverage
    since: date | None = None


def edition_days(edition: Edition) -> DigestDays:
    return DigestDays(edition.cadence, edition.local_date, _coverage(edition.coverage))


def missed_days(delivery: Mail, reader: Reader) -> DigestDays:
    """What a catch-up says of its own days."""
    told = (delivery.digest or {})["missed"]
    since, until = (date.fromisoformat(told[name]) for name in ("since", "until"))
    return DigestDays(reader.cadence, until, _coverage(told), since)


def _coverage(told: Mapping[str, Any]) -> Coverage:
    return Coverage(
        announced=told.get("announced", 0),
        checked=told.get("checked", 0),
        late=told.get("late", 0),
        late_days=tuple(
            (date.fromisoformat(day), count) for day, count in told.get("late_days", {}).items()
        ),
        is_complete=told.get("is_complete", False),
        note=told.get("note", ""),
    )
