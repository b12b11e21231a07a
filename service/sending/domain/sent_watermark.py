"""How far the sending has come, told outside the database: what gives a restored backup away.

A mark names one row as it was when its window went into flight. A database in which that row is
not there, or not that far, is older than what the world has got (decision record 0015).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState

# How the occasions begin under which the operator is told that a database is behind a mark.
ALERT_OCCASIONS = "restored "


class WatermarkUnreadable(ValueError):
    """The text is no mark: half written, or of something else."""


@dataclass(frozen=True, slots=True)
class SentWatermark:
    """The newest row of a window in flight at `at` (aware, UTC).

    `installation` is the database's own random name, which its backups share. `editions` are the
    newest dates of each cadence that had been made by then.
    """

    installation: str
    delivery_id: int
    attempt: int
    at: datetime
    editions: Mapping[Cadence, date]

    @property
    def occasion(self) -> str:
        """Under which the operator is told that a database is behind this mark."""
        return f"{ALERT_OCCASIONS}{self.at.isoformat()}"


@dataclass(frozen=True, slots=True)
class WatermarkedRow:
    """The row that a mark names, as the database has it now."""

    attempt: int
    state: DeliveryState
    has_message_id: bool


def is_older_than(watermark: SentWatermark, row: WatermarkedRow | None) -> bool:
    """Whether the database that has this row is older than the mark.

    The row was in flight at the mark's attempt, and the message's identity is written with that
    step; so it can neither be missing, nor at an earlier attempt, nor merely claimed for this one.
    """
    if row is None or not row.has_message_id or row.attempt < watermark.attempt:
        return True
    return row.attempt == watermark.attempt and row.state is DeliveryState.CLAIMED


def write_watermark(watermark: SentWatermark) -> str:
    """The mark as one line of JSON."""
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


def read_watermark(text: str) -> SentWatermark:
    """Read what `write_watermark` wrote. Raises `WatermarkUnreadable`."""
    try:
        told = json.loads(text)
        watermark = SentWatermark(
            installation=str(told["installation"]),
            delivery_id=int(told["delivery_id"]),
            attempt=int(told["attempt"]),
            at=datetime.fromisoformat(told["at"]),
            editions=_read_editions(told["editions"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WatermarkUnreadable(f"not a mark: {type(error).__name__}") from error
    if watermark.at.tzinfo is None:
        raise WatermarkUnreadable("not a mark: its time has no zone")
    return watermark


def _read_editions(told: Mapping[str, str]) -> dict[Cadence, date]:
    return {Cadence(cadence): date.fromisoformat(on) for cadence, on in told.items()}
