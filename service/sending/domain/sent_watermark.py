"""The sent watermark: how far sending came, kept outside the database to detect a restored backup.

A watermark names one row as it was when its window went in flight. A database in which that row is
missing, or at an earlier step, is older than what was sent from it (decision record 0015).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState

# The prefix of the occasions of alerts about a restored database.
ALERT_OCCASIONS = "restored "


class WatermarkUnreadable(ValueError):
    """The text is no watermark: half written, or something else."""


@dataclass(frozen=True, slots=True)
class SentWatermark:
    """The newest row of a window that went in flight at `at` (aware, UTC).

    `installation` is the database's random name, which its backups share. `editions` are the newest
    dates of each cadence that were frozen by then.
    """

    installation: str
    delivery_id: int
    attempt: int
    at: datetime
    editions: Mapping[Cadence, date]

    @property
    def occasion(self) -> str:
        """The occasion of the alert that a database is older than this watermark."""
        return f"{ALERT_OCCASIONS}{self.at.isoformat()}"


@dataclass(frozen=True, slots=True)
class WatermarkedRow:
    """The row that a watermark names, as the database has it now."""

    attempt: int
    state: DeliveryState
    has_message_id: bool


def is_older_than(watermark: SentWatermark, row: WatermarkedRow | None) -> bool:
    """Return whether the database that has this row is older than the watermark.

    The row was in flight at the watermark's attempt, and its Message-ID is written in that step. So
    a row that is missing, at an earlier attempt, or only claimed for this one is older.
    """
    if row is None or not row.has_message_id or row.attempt < watermark.attempt:
        return True
    return row.attempt == watermark.attempt and row.state is DeliveryState.CLAIMED


def write_watermark(watermark: SentWatermark) -> str:
    """Return the watermark as one line of JSON."""
    return json.dumps(
        {
            "installation": watermark.installation,
            "delivery_id": watermark.delivery_id,
            "attempt": watermark.attempt,
            "at": watermark.at.isoformat(),
            "editions": {
                str(cadence): on.isoformat() for cadence, on in watermark.editions.items()
            },
        }
    )


def parse_watermark(text: str) -> SentWatermark:
    """Parse what `write_watermark` wrote. Raises `WatermarkUnreadable`."""
    try:
        value = json.loads(text)
        watermark = SentWatermark(
            installation=str(value["installation"]),
            delivery_id=int(value["delivery_id"]),
            attempt=int(value["attempt"]),
            at=datetime.fromisoformat(value["at"]),
            editions=_parse_editions(value["editions"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WatermarkUnreadable(f"not a watermark: {type(error).__name__}") from error
    if watermark.at.tzinfo is None:
        raise WatermarkUnreadable("not a watermark: its time has no zone")
    return watermark


def _parse_editions(dates: Mapping[str, str]) -> dict[Cadence, date]:
    return {Cadence(cadence): date.fromisoformat(on) for cadence, on in dates.items()}
