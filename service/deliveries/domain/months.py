"""Months of deliveries: a digest's id begins with its edition's month, as YYMM.

2611000000000042 is the sequence's number 42 in November 2026. Mails that belong to no edition have a
number of the sequence alone, and month 0. The rows of a month are a partition of their own.
"""

from datetime import UTC, datetime

# The most numbers of the sequence, 27 years of a hundred million mails a day. Ids stay below 2**53,
# so that every program reads them from JSON exactly.
IDS = 10**12
# The month of mails that belong to no edition.
SINGLE = 0


def month_of(at: datetime) -> int:
    """Return the UTC month of a moment, as YYMM."""
    at = at.astimezone(UTC)
    return (at.year - 2000) * 100 + at.month


def month_of_id(delivery_id: int) -> int:
    """Return the month of a delivery's edition, or `SINGLE`."""
    return delivery_id // IDS


def next_month(month: int) -> int:
    """Return the month after a month."""
    return month + 1 if month % 100 < 12 else month + 89


def end_of(month: int) -> datetime:
    """Return the first moment after a month."""
    year, number = divmod(next_month(month), 100)
    return datetime(2000 + year, number, 1, tzinfo=UTC)
