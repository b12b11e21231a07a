"""States and cadences of subscribers, and reasons of suppressions, as deliveries use them."""

from enum import StrEnum
from typing import Final

# How many papers of a digest are cards where the subscriber sets no number, and the largest number.
FULL_CARDS: Final = 10
MOST_FULL_CARDS: Final = 100
# The largest number of papers that a subscriber may choose for a mail.
MOST_PAPERS: Final = 100


class SubscriberState(StrEnum):
    """The state of a subscriber; digests go only to active ones."""

    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"


class Cadence(StrEnum):
    """How often a subscriber gets a digest. `WEEKLY` is on Mondays."""

    DAILY = "daily"
    WEEKDAYS = "weekdays"
    WEEKLY = "weekly"
    WEEKLY_TUESDAY = "weekly-tuesday"
    WEEKLY_WEDNESDAY = "weekly-wednesday"
    WEEKLY_THURSDAY = "weekly-thursday"
    WEEKLY_FRIDAY = "weekly-friday"
    WEEKLY_SATURDAY = "weekly-saturday"
    WEEKLY_SUNDAY = "weekly-sunday"
    MONTHLY = "monthly"

    @property
    def weekday(self) -> int | None:
        """The day of a weekly cadence, 0 for Monday; None for the others."""
        return _WEEKDAYS.get(self)

    @property
    def is_weekly(self) -> bool:
        return self in _WEEKDAYS

    @property
    def collects_days(self) -> bool:
        """Whether an edition has the days before its date: a week, or a calendar month."""
        return self is Cadence.MONTHLY or self in _WEEKDAYS


_WEEKDAYS: Final = {
    cadence: day
    for day, cadence in enumerate(each for each in Cadence if each.value.startswith("weekly"))
}


class Timing(StrEnum):
    """When a digest is due: at the subscriber's next hour, or as soon as its day is complete."""

    AT_HOUR = "at_hour"
    WHEN_COMPLETE = "when_complete"


class SuppressionReason(StrEnum):
    """The reason why an address must not be mailed."""

    UNSUBSCRIBED_FOR_GOOD = "unsubscribed_for_good"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    OPERATOR = "operator"
    ERASED = "erased"
