"""What a delivery's row must know of the person it goes to."""

from enum import StrEnum


class SubscriberState(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    PAUSED = "paused"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"


class Cadence(StrEnum):
    DAILY = "daily"
    WEEKDAYS = "weekdays"
    WEEKLY = "weekly"


class SuppressionReason(StrEnum):
    UNSUBSCRIBED_FOR_GOOD = "unsubscribed_for_good"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    OPERATOR = "operator"
    ERASED = "erased"
