"""The load model of docs/scale.md: what a mail costs, and what that makes of a database and its hosts.

Bytes are with indexes, and with the space that an update leaves for the next one. Where a figure was
measured is in the table of docs/scale.md.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from service.deliveries.domain.months import month_of
from service.operations.domain.retention import is_over
from service.platform.settings.settings import Settings

# An empty schema, with PostgreSQL's own catalogue; and what each month's partitions add, without rows.
EMPTY_BYTES = 11_000_000
MONTH_BYTES = 400_000
SUBSCRIBER_BYTES = 1_250
# Of every paper that is announced, for ever: texts, words, versions, names, meaning, editions.
PAPER_BYTES = 14_500
DELIVERY_BYTES = 800
COPY_BYTES = 480
EVENT_BYTES = 1
# Fragments that an edition's mails share, of each of its papers.
PART_BYTES_A_PAPER = 5_800
_KEPT = Settings()


@dataclass(frozen=True)
class Installation:
    """What an installation has: subscribers who get a digest a day, papers a day, days since its first."""

    subscribers: int
    papers_a_day: int
    days: int


def kept_days(days: int, term: int, until: date) -> int:
    """Return how many of the last days are in months that are not over: a month goes as a whole."""
    tomorrow = datetime.combine(until + timedelta(days=1), time(0), tzinfo=UTC)
    dates = (tomorrow - timedelta(days=n) for n in range(1, days + 1))
    return sum(not is_over(month_of(at), term, tomorrow) for at in dates)


def database_bytes(installation: Installation, until: date) -> dict[str, int]:
    """Return the bytes of a database after its last day, by what they are for."""
    one = installation

    def kept(term: int) -> int:
        return kept_days(one.days, term, until)

    deliveries, copies = kept(_KEPT.keep_deliveries_days), kept(_KEPT.keep_copies_days)
    return {
        "empty": EMPTY_BYTES + MONTH_BYTES * (deliveries // 30 + 2),
        "subscribers": one.subscribers * SUBSCRIBER_BYTES,
        "papers": one.papers_a_day * one.days * PAPER_BYTES,
        "deliveries": one.subscribers * deliveries * DELIVERY_BYTES,
        "events": one.subscribers * kept(_KEPT.keep_events_days) * EVENT_BYTES,
        "copies": one.subscribers * copies * COPY_BYTES,
        "parts": one.papers_a_day * copies * PART_BYTES_A_PAPER,
    }
