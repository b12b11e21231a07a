"""The sent watermark: how far sending came, kept outside the database to detect a restored backup.

A watermark names one row as it was when its window went in flight. A database in which that row is
missing, or at an earlier step, is older than what was sent from it. The database in turn remembers that
it has a watermark: one that finds none may be a copy on another machine (decision record 0015).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState

# The prefix of the occasions of alerts about a restored database.
ALERT_OCCASIONS = "restored "
# How far the watermarks of a host may be behind the database: another host may have sent meanwhile.
MOST_LAG = timedelta(hours=1)


class WatermarkUnreadable(ValueError):
    """The text is no watermark: half written, or something else."""


@dataclass(frozen=True, slots=True)
class SentWatermark:
    """The newest row of a window that went in flight at `at` (aware, UTC).

    `installation` is the database's random name, which its backups share. `editions` are the newest
    dates of each cadence that were frozen by then. Attempt 0 is that of no row: nothing was sent yet.
    """

    installation: str
    delivery_id: int
    attempt: int
    at: datetime
    editions: Mapping[Cadence, date]

    @property
    def rank(self) -> tuple[datetime, int]:
        """The order of watermarks, oldest first."""
        return self.at, self.attempt


def first_watermark(installation: str, at: datetime) -> SentWatermark:
    """Return the watermark of a database from which nothing was sent that it does not know."""
    return SentWatermark(installation, 0, 0, at, {})


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The reason to send nothing: a newer `watermark`, or None where none is as new as the database.

    `at` is when mail was last sent, as far as is known. The text is one line that says what to do.
    """

    at: datetime
    watermark: SentWatermark | None

    @property
    def occasion(self) -> str:
        """The occasion of the alert about it."""
        missing = "" if self.watermark else "without a mark, "
        return f"{ALERT_OCCASIONS}{missing}{self.at.isoformat()}"

    def __str__(self) -> str:
        at = f"{self.at:%Y-%m-%d %H:%M} UTC"
        if self.watermark:
            return (
                f"this database is older than what was sent by {at}: it was restored from a backup, "
                "and would send old mail again. Nothing is sent until you confirm this; run: "
                "paperboy restored"
            )
        return (
            f"this database was in use by {at} and no sent mark of it is left: it may be a copy that was "
            "restored from a backup, and would send old mail again. Nothing is sent until you say when "
            "mail was last sent; run: paperboy restored --until TIME (or --nothing-lost, if this is "
            "the newest database)"
        )


def suspect(
    watermarks: Sequence[SentWatermark],
    ahead: Sequence[SentWatermark],
    marked_at: datetime | None,
    now: datetime,
) -> Suspicion | None:
    """Return why nothing may be sent, if anything.

    `ahead` are those of the `watermarks` that are newer than the database; `marked_at` is the time of
    the newest one that it remembers, None if it never had any.
    """
    if ahead:
        newest = max(ahead, key=lambda watermark: watermark.at)
        return Suspicion(newest.at, newest)
    if marked_at is None:
        return None
    # A time in the future is that of a clock that was wrong.
    oldest = min(marked_at, now) - MOST_LAG
    if any(watermark.at >= oldest for watermark in watermarks):
        return None
    return Suspicion(marked_at, None)


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
    if not watermark.attempt:
        return False
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
